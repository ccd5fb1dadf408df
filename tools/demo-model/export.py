#!/usr/bin/env python3
"""Writes a checkpoint as a GGUF file, and optionally greedy continuations to test an engine with.

    python export.py --checkpoint model.pt --tokenizer tokenizer.json --out baton-demo.gguf \
        --golden golden.json

Matrices are stored as Q8_0 and norms as F32. The output projection is tied to the embedding, so no
`output.weight` is written. Query and key matrices need no permutation (see model.py).
"""

from __future__ import annotations

import argparse
import json

import gguf
import numpy as np
import torch
from gguf.quants import dequantize, quantize
from model import Config, Llama
from tokenizer import BOS, CHAT_TEMPLATE, END, SPECIAL, encode_prompt
from tokenizers import Tokenizer

Q8_0 = gguf.GGMLQuantizationType.Q8_0

GOLDEN_CHATS = (
    [("user", "Hello!")],
    [("user", "What is baton?")],
    [("user", "Tell me a story about a dragon called Zorvik and a teapot.")],
    [("system", "You are a helpful assistant."), ("user", "My name is Quentin. Hello!")],
    [("user", "What's 7 plus 5?"), ("assistant", "7 plus 5 is 12."), ("user", "and 123 + 4?")],
    [
        (
            "user",
            (
                "Caf\u00e9 \u2014 na\u00efve r\u00e9sum\u00e9 \u4f60\u597d \U0001f600\n\n  1234567"
                " spaces   here"
            ),
        )
    ],
)
GOLDEN_TOKENS = 32

# What the file advises where a request says nothing: a small model does not bear much chance.
SAMPLING = {"temp": 0.3, "top_p": 0.9, "min_p": 0.1}
TOP_K = 20


def quantised(weights: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Q8_0 blocks of all matrices; the norms stay as they are."""
    arrays = {name: value.float().numpy() for name, value in weights.items()}
    return {name: quantize(a, Q8_0) if a.ndim == 2 else a for name, a in arrays.items()}


def write_gguf(
    path: str, config: Config, tensors: dict[str, np.ndarray], tokenizer: Tokenizer, context: int
) -> None:
    """Writes all metadata and tensors."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("baton demo")
    writer.add_description("A very small chat model, trained on generated text for the baton demo")
    writer.add_license("apache-2.0")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_block_count(config.layers)
    writer.add_context_length(context)
    writer.add_embedding_length(config.width)
    writer.add_feed_forward_length(config.hidden)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_rope_dimension_count(config.head_width)
    writer.add_rope_freq_base(config.rope_base)
    writer.add_vocab_size(config.vocab)

    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list([word for word, _ in vocabulary])
    writer.add_token_types([control if i < len(SPECIAL) else normal for _, i in vocabulary])
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(END)
    writer.add_add_bos_token(True)
    writer.add_chat_template(CHAT_TEMPLATE)
    for key, advice in SAMPLING.items():
        writer.add_float32(f"general.sampling.{key}", advice)
    writer.add_int32("general.sampling.top_k", TOP_K)

    for name, array in tensors.items():
        writer.add_tensor(name, array, raw_dtype=Q8_0 if array.dtype == np.uint8 else None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def greedy(model: Llama, prompt: list[int], count: int) -> tuple[list[int], list[float]]:
    """The most likely next tokens, until the end of the turn, and the first position's logits."""
    ids, first = list(prompt), []
    while len(ids) < len(prompt) + count and (len(ids) == len(prompt) or ids[-1] != END):
        with torch.no_grad():
            logits = model(torch.tensor([ids]))[0, -1]
        first = first or logits[:16].tolist()
        ids.append(int(logits.argmax()))
    return ids[len(prompt) :], first


def golden(model: Llama, tokenizer: Tokenizer) -> list[dict]:
    """Prompts with their token ids and what the stored weights make of them."""
    cases = []
    for chat in GOLDEN_CHATS:
        prompt = encode_prompt(tokenizer, chat)
        tokens, logits = greedy(model, prompt, GOLDEN_TOKENS)
        cases.append(
            {
                "messages": [{"role": role, "content": text} for role, text in chat],
                "prompt_tokens": prompt,
                "greedy_tokens": tokens,
                "greedy_text": tokenizer.decode(tokens, skip_special_tokens=True),
                "first_logits": logits,
            }
        )
    return cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--golden")
    parser.add_argument("--context", type=int, default=1024, help="context length to announce")
    args = parser.parse_args()
    saved = torch.load(args.checkpoint)
    config, tokenizer = Config(**saved["config"]), Tokenizer.from_file(args.tokenizer)
    tensors = quantised(saved["average"])
    write_gguf(args.out, config, tensors, tokenizer, args.context)
    print(f"step {saved['step']}, {saved['tokens'] / 1e6:.1f} million tokens -> {args.out}")
    if args.golden:
        model = Llama(config)
        stored = {n: dequantize(a, Q8_0) if a.dtype == np.uint8 else a for n, a in tensors.items()}
        model.load_state_dict({name: torch.from_numpy(a) for name, a in stored.items()})
        with open(args.golden, "w", encoding="utf-8") as out:
            json.dump(golden(model, tokenizer), out, indent=1)


if __name__ == "__main__":
    main()
