#include "model/fingerprint.h"

#include <algorithm>
#include <array>
#include <memory>

#include <openssl/evp.h>

namespace baton {
namespace {

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    CHECK(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void Add(std::span<const uint8_t> bytes) {
    CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }
  std::string FinishAsHex() {
    std::array<uint8_t, 32> digest{};
    CHECK(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) == 1);
    std::string hex;
    for (const uint8_t byte : digest) hex += fmt::format("{:02x}", byte);
    return hex;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

std::vector<const gguf::TensorInfo*> InFileOrder(const std::vector<gguf::TensorInfo>& tensors) {
  std::vector<const gguf::TensorInfo*> ordered;
  for (const gguf::TensorInfo& info : tensors) ordered.push_back(&info);
  std::sort(ordered.begin(), ordered.end(),
            [](const auto* a, const auto* b) { return a->file_offset < b->file_offset; });
  return ordered;
}

}  // namespace

Result<std::string> Fingerprint(const gguf::File& file) {
  Sha256 hash;
  hash.Add(file.header_bytes());
  std::array<uint8_t, kFingerprintSampleBytes> buffer;
  for (const gguf::TensorInfo* info : InFileOrder(file.header().tensors)) {
    const auto sample =
        std::span(buffer).first(std::min(info->size_bytes, kFingerprintSampleBytes));
    BATON_RETURN_IF_ERROR(file.mapping().ReadAt(info->file_offset, sample));
    hash.Add(sample);
  }
  return hash.FinishAsHex();
}

}  // namespace baton
