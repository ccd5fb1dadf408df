// Activations between pipeline stages. Format: docs/formats/wire.md.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace baton::wire {

struct ActivationHeader {
  RequestId request;
  uint32_t epoch = 0;
  int32_t layer = 0;  // the layer that is to read these rows
  int32_t first_token = 0;
  int32_t token_count = 0;
  int32_t width = 0;  // f32 elements per token
  bool last_of_prompt = false;
  uint64_t prefix_before = 0;
  uint64_t prefix_after = 0;
};

struct Activation {
  ActivationHeader header;
  std::span<const float> rows;  // [token_count][width], inside the decoded frame, which it borrows
};

Bytes EncodeActivation(const ActivationHeader& header, std::span<const float> rows);
// Every field is checked against its limits and the bytes that are there.
Result<Activation> DecodeActivation(std::span<const uint8_t> frame);

}  // namespace baton::wire
