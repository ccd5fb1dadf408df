#include "model/fingerprint.h"

#include <algorithm>
#include <array>

#include <openssl/evp.h>

namespace baton {

struct Fingerprinter::State {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(),
                                                                  EVP_MD_CTX_free};
};

Fingerprinter::Fingerprinter() : state_(std::make_unique<State>()) {
  CHECK(EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) == 1);
}
Fingerprinter::Fingerprinter(Fingerprinter&&) noexcept = default;
Fingerprinter::~Fingerprinter() = default;

void Fingerprinter::Add(std::span<const uint8_t> bytes) {
  CHECK(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
}

Status Fingerprinter::AddSample(const os::MappedFile& file, uint64_t offset, uint64_t size_bytes) {
  std::array<uint8_t, kFingerprintSampleBytes> buffer;
  const auto sample = std::span(buffer).first(std::min(size_bytes, kFingerprintSampleBytes));
  BATON_RETURN_IF_ERROR(file.ReadAt(offset, sample));
  Add(sample);
  return OkStatus();
}

std::string Fingerprinter::Finish() && {
  std::array<uint8_t, 32> digest{};
  CHECK(EVP_DigestFinal_ex(state_->context.get(), digest.data(), nullptr) == 1);
  std::string hex;
  for (const uint8_t byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

}  // namespace baton
