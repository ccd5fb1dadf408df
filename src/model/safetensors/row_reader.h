// RowReader: the rows of one tensor of ours, out of the files that store it.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "model/safetensors/header.h"
#include "model/safetensors/tensor_map.h"

namespace baton::safetensors {

// Read-only; any thread. Memory beside `into`: the stored rows, unless they need no conversion.
class RowReader {
 public:
  // Both must outlive the reader.
  RowReader(std::span<const File> files, const Place& place) : files_(files), place_(place) {}

  // Rows [first, first + count); `into` has exactly their size.
  Status Read(int64_t first, int64_t count, std::span<uint8_t> into) const;
  // A hint: those rows will be read soon.
  void WillNeed(int64_t first, int64_t count) const;

 private:
  int64_t StoredRow(int64_t row) const { return row * place_.row_step + place_.row_first; }
  Status ReadPiece(const Piece& piece, int64_t first, int64_t count, std::span<uint8_t> into) const;
  // From one stored row on, as many bytes as `into` has.
  Status ReadRun(const Run& run, int64_t stored_row, std::span<uint8_t> into) const;
  // The stored rows that become [first, first + count).
  Result<Bytes> Rows(const Run& run, int64_t first, int64_t count) const;
  void ToFloats(const Bytes& rows, size_t count, std::span<uint8_t> into) const;
  Status FromColumns(const Piece& piece, int64_t first, int64_t count,
                     std::span<uint8_t> into) const;
  Status FromF8(const Piece& piece, int64_t first, const Bytes& rows,
                std::span<uint8_t> into) const;

  const std::span<const File> files_;
  const Place& place_;
};

}  // namespace baton::safetensors
