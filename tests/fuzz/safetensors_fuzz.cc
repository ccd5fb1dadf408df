// Folders of safetensors: four bytes of how long the data is, the header of a file, a zero byte,
// config.json, a zero byte, the index.
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/bytes.h"
#include "model/gguf/reader.h"
#include "model/safetensors/config.h"
#include "model/safetensors/folder.h"
#include "model/safetensors/header.h"
#include "model/safetensors/tensor_map.h"
#include "tests/fuzz/header_checkpoint.h"

namespace {

// What is before the next zero byte, and takes both off.
std::string_view TakePart(std::string_view& text) {
  const size_t end = std::min(text.find('\0'), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace baton::safetensors;
  uint32_t data_bytes = 0;
  if (size < sizeof(data_bytes)) return 0;
  std::memcpy(&data_bytes, data, sizeof(data_bytes));
  std::string_view text = baton::AsText({data + sizeof(data_bytes), size - sizeof(data_bytes)});
  const std::string_view header = TakePart(text);
  const std::string_view config_text = TakePart(text);
  (void)ShardNamesIn(text).ok();
  const auto tensors = ParseHeader(header, 8 + header.size() + data_bytes);
  const auto config = ReadConfig(config_text, config_text, "fuzz");
  if (!config.ok()) return 0;
  auto metadata = baton::gguf::ParseHeader(config->metadata, config->metadata.size());
  if (!metadata.ok() || !tensors.ok()) return 0;
  auto map = MapTensors(*config, std::vector<TensorsOfFile>{*tensors});
  if (!map.ok()) return 0;
  (void)baton::ReadSpec(
      baton::HeaderCheckpoint(std::move(metadata->metadata), std::move(map->tensors)))
      .ok();
  return 0;
}
