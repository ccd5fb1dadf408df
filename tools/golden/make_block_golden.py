"""Writes tests/golden/blocks.bin: a row of every weight type, and the floats that gguf makes of it.

Usage: python make_block_golden.py OUTPUT_FILE   (needs gguf, numpy)

Little endian, per type: u32 ggml type, u32 columns, the row's blocks, columns x f32.
"""

import pathlib
import sys

import gguf
import numpy

COLUMNS = 512
Type = gguf.GGMLQuantizationType

# Byte offsets of the F16 scales in a block. All other bytes are random.
HALVES = {
    Type.F32: [], Type.F16: [0], Type.BF16: [],
    Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q8_0: [0],
    Type.Q2_K: [80, 82], Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2],
    Type.Q6_K: [208], Type.IQ4_NL: [0], Type.IQ4_XS: [0], Type.MXFP4: [],
}


def finite_halves(rng, count):
    """Halves of every magnitude, subnormal ones too, but neither infinite nor NaN."""
    bits = rng.integers(0, 0x7C00, count, dtype=numpy.uint16)
    return bits | rng.integers(0, 2, count, dtype=numpy.uint16) << 15


def random_row(rng, kind):
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (COLUMNS // elements, size), dtype=numpy.uint8)
    if kind in (Type.F32, Type.BF16):  # no NaN, and nothing below 2^-31: BF16 factors may flush it
        blocks[:, -1] = blocks[:, -1] & 0xBF | 0x30
    for offset in HALVES[kind]:
        halves = finite_halves(rng, len(blocks)).astype("<u2")
        blocks[:, offset:offset + 2] = halves.view(numpy.uint8).reshape(-1, 2)
    if kind == Type.MXFP4:  # both denormals, and the infinities that the largest ones make
        blocks[:4, 0] = (0, 1, 254, 255)
    return blocks.reshape(1, -1)


def main(path):
    rng = numpy.random.default_rng(1)
    with open(path, "wb") as file:
        for kind in HALVES:
            row = random_row(rng, kind)
            with numpy.errstate(over="ignore"):
                values = gguf.quants.dequantize(row, kind).reshape(-1)
            assert values.size == COLUMNS and not numpy.isnan(values).any(), kind
            file.write(numpy.array([kind, COLUMNS], "<u4").tobytes())
            file.write(row.tobytes())
            file.write(values.astype("<f4").tobytes())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
