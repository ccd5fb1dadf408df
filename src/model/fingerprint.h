// The identity of a model over nodes: two nodes may compute one request together only if their
// fingerprints agree, for then tokens, template, shapes and weights mean the same on both.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "os/file.h"

namespace baton {

// SHA-256, as 64 lower-case hex digits, over: the header bytes of each file (of GGUF all up to the
// tensor data: metadata with tokenizer and template, tensor directory), then for each stored
// tensor, in the order of files and of offsets, its first kFingerprintSampleBytes bytes (all of it
// if shorter).
//
// Why not every byte: a node must answer "which models do you have" in the first seconds of its
// life, and hashing 40 GB takes a minute. The header fixes every name, shape, type and offset; the
// samples tell apart fine-tunes and re-quantisations, which change every tensor. Damage deep inside
// a file is not what this detects: downloads are verified in full when they are made.
inline constexpr uint64_t kFingerprintSampleBytes = 4096;

class Fingerprinter {
 public:
  Fingerprinter();
  Fingerprinter(Fingerprinter&&) noexcept;
  ~Fingerprinter();

  void Add(std::span<const uint8_t> bytes);
  // The first bytes of a tensor of `size_bytes` at `offset`.
  Status AddSample(const os::MappedFile& file, uint64_t offset, uint64_t size_bytes);
  std::string Finish() &&;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace baton
