// A checkpoint without weights: what a family makes of metadata and tensors.
#pragma once

#include <algorithm>
#include <string>

#include "model/checkpoint.h"
#include "model/spec_reader.h"

namespace baton {

class HeaderCheckpoint final : public Checkpoint {
 public:
  HeaderCheckpoint(gguf::Metadata metadata, std::vector<TensorInfo> tensors)
      : Checkpoint("fuzz", std::move(metadata), std::move(tensors)) {}
  void WillNeed(const TensorInfo&, int64_t, int64_t) const override {}
  Result<std::string> Fingerprint() const override { return std::string(); }

 private:
  Status Read(const TensorInfo&, int64_t, int64_t, std::span<uint8_t> into) const override {
    std::fill(into.begin(), into.end(), uint8_t{0x3f});
    return OkStatus();
  }
  void DropHeaders() override {}
};

}  // namespace baton
