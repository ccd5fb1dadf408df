#include "model/safetensors/row_reader.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/half.h"

namespace baton::safetensors {
namespace {

float FloatAt(const Bytes& bytes, StoredType type, size_t index) {
  if (type == StoredType::kF32) {
    float value;
    std::memcpy(&value, bytes.data() + index * sizeof(value), sizeof(value));
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, bytes.data() + index * sizeof(bits), sizeof(bits));
  return type == StoredType::kF16 ? FromHalf(bits) : FromBrain(bits);
}

}  // namespace

Status RowReader::Read(int64_t first, int64_t count, std::span<uint8_t> into) const {
  const uint64_t row_bytes = count == 0 ? 0 : into.size() / static_cast<uint64_t>(count);
  while (count > 0) {
    const int64_t begin = first % place_.piece_rows;
    const int64_t rows = std::min(place_.piece_rows - begin, count);
    const auto part = into.first(static_cast<uint64_t>(rows) * row_bytes);
    const Piece& piece = place_.pieces[static_cast<size_t>(first / place_.piece_rows)];
    BATON_RETURN_IF_ERROR(ReadPiece(piece, begin, rows, part));
    into = into.subspan(part.size());
    first += rows;
    count -= rows;
  }
  return OkStatus();
}

void RowReader::WillNeed(int64_t first, int64_t count) const {
  while (count > 0) {
    const int64_t begin = first % place_.piece_rows;
    const int64_t rows = std::min(place_.piece_rows - begin, count);
    const Run& run = place_.pieces[static_cast<size_t>(first / place_.piece_rows)].weight;
    // Some columns lie in all rows: reading those in order is what the system foresees by itself.
    if (place_.conversion == Conversion::kTransposed) return;
    const auto step = static_cast<uint64_t>(place_.row_step) * run.row_bytes;
    files_[run.file].mapping().WillNeed(run.offset + static_cast<uint64_t>(begin) * step,
                                        static_cast<uint64_t>(rows) * step);
    first += rows;
    count -= rows;
  }
}

Status RowReader::ReadPiece(const Piece& piece, int64_t first, int64_t count,
                            std::span<uint8_t> into) const {
  if (place_.conversion == Conversion::kNone && place_.row_step == 1)
    return ReadRun(piece.weight, first, into);
  if (place_.conversion == Conversion::kTransposed) return FromColumns(piece, first, count, into);
  BATON_ASSIGN_OR_RETURN(const Bytes rows, Rows(piece.weight, first, count));
  switch (place_.conversion) {
    case Conversion::kNone:
    case Conversion::kTransposed:
      std::copy(rows.begin(), rows.end(), into.begin());
      return OkStatus();
    case Conversion::kToFloat:
      ToFloats(rows, static_cast<size_t>(count), into);
      return OkStatus();
    case Conversion::kF8:
      return FromF8(piece, first, rows, into);
    case Conversion::kMxfp4: {
      BATON_ASSIGN_OR_RETURN(const Bytes scales, Rows(piece.scales, first, count));
      DecodeMxfp4(rows, scales, into);
      return OkStatus();
    }
    case Conversion::kMlx:
      break;
  }
  BATON_ASSIGN_OR_RETURN(const Bytes scales, Rows(piece.scales, first, count));
  BATON_ASSIGN_OR_RETURN(const Bytes biases, Rows(piece.biases, first, count));
  DecodeMlx(place_.mlx, rows, scales, biases, into);
  return OkStatus();
}

Status RowReader::ReadRun(const Run& run, int64_t stored_row, std::span<uint8_t> into) const {
  return files_[run.file].mapping().ReadAt(
      run.offset + static_cast<uint64_t>(stored_row) * run.row_bytes, into);
}

Result<Bytes> RowReader::Rows(const Run& run, int64_t first, int64_t count) const {
  const int64_t stored = StoredRow(first + count - 1) + 1 - StoredRow(first);
  const auto row_bytes = static_cast<int64_t>(run.row_bytes);
  Bytes rows(static_cast<uint64_t>(stored * row_bytes));
  BATON_RETURN_IF_ERROR(ReadRun(run, StoredRow(first), rows));
  if (place_.row_step == 1) return rows;
  for (int64_t i = 1; i < count; ++i)
    std::copy_n(rows.begin() + i * place_.row_step * row_bytes, row_bytes,
                rows.begin() + i * row_bytes);
  rows.resize(static_cast<uint64_t>(count * row_bytes));
  return rows;
}

void RowReader::ToFloats(const Bytes& rows, size_t count, std::span<uint8_t> into) const {
  const size_t stored_columns = rows.size() / count / SizeOf(place_.stored);
  const size_t columns = into.size() / count / sizeof(float);
  for (size_t row = 0; row < count; ++row) {
    for (size_t column = 0; column < columns; ++column) {
      const size_t from = row * stored_columns + column * static_cast<size_t>(place_.column_step) +
                          static_cast<size_t>(place_.column_first);
      const float value = FloatAt(rows, place_.stored, from) + place_.offset;
      std::memcpy(into.data() + (row * columns + column) * sizeof(value), &value, sizeof(value));
    }
  }
}

Status RowReader::FromColumns(const Piece& piece, int64_t first, int64_t count,
                              std::span<uint8_t> into) const {
  const auto element = static_cast<int64_t>(SizeOf(place_.stored));
  const int64_t step = place_.column_step * element;
  const auto inputs = static_cast<int64_t>(into.size()) / count / element;
  Bytes run(static_cast<uint64_t>((count - 1) * step + element));
  const int64_t offset = first * step + place_.column_first * element;
  const Run from{piece.weight.file, piece.weight.offset + static_cast<uint64_t>(offset),
                 piece.weight.row_bytes};
  for (int64_t input = 0; input < inputs; ++input) {
    BATON_RETURN_IF_ERROR(ReadRun(from, input, run));
    for (int64_t row = 0; row < count; ++row)
      std::copy_n(run.begin() + row * step, element,
                  into.begin() + (row * inputs + input) * element);
  }
  return OkStatus();
}

Status RowReader::FromF8(const Piece& piece, int64_t first, const Bytes& rows,
                         std::span<uint8_t> into) const {
  const size_t row_bytes = piece.weight.row_bytes;
  const size_t count = rows.size() / row_bytes;
  std::vector<float> scales(piece.scales.row_bytes / SizeOf(place_.scales));
  int64_t scales_of = -1;
  for (size_t i = 0; i < count; ++i) {
    const int64_t block = StoredRow(first + static_cast<int64_t>(i)) / place_.f8_rows;
    if (block != scales_of) {
      Bytes raw(piece.scales.row_bytes);
      BATON_RETURN_IF_ERROR(ReadRun(piece.scales, block, raw));
      for (size_t s = 0; s < scales.size(); ++s) {
        scales[s] = FloatAt(raw, place_.scales, s);
        if (!std::isfinite(scales[s]))
          return MakeError(Code::kInvalidArgument, "scale {} of stored row {} is {}", s,
                           block * place_.f8_rows, scales[s]);
      }
      scales_of = block;
    }
    DecodeF8Row(std::span(rows).subspan(i * row_bytes, row_bytes), scales,
                static_cast<size_t>(place_.f8_columns),
                into.subspan(i * row_bytes * sizeof(uint16_t), row_bytes * sizeof(uint16_t)));
  }
  return OkStatus();
}

}  // namespace baton::safetensors
