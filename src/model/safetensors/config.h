// config.json of Hugging Face's hub as the metadata that a GGUF file of the same model has, and
// what it says of how weights are stored. Hostile until parsed; errors name the field.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "base/bytes.h"
#include "base/result.h"
#include "model/gguf/writer.h"
#include "model/safetensors/architectures.h"

namespace baton::safetensors {

// Far above any real file; bounds what parsing it takes.
inline constexpr size_t kConfigBytesMax = 1 << 20;

struct MlxGroups {
  int64_t bits = 0;
  int64_t size = 0;
  bool mxfp4 = false;  // 4 bits in groups of 32 are MXFP4's, with exponents for scales
};

// Which weights of FP8 share a scale: those of a block of so many rows and columns, 0 where there
// are none; or, where `whole`, all of a matrix, or of each of its rows.
struct F8Scales {
  int64_t block_rows = 0;
  int64_t block_columns = 0;
  bool whole = false;
};

struct Quantization {
  enum class Method : uint8_t { kNone, kF8, kMxfp4, kMlx };
  Method method = Method::kNone;
  F8Scales f8;
  MlxGroups mlx;
  // Modules, by their names on the hub, that differ from `mlx`.
  std::map<std::string, MlxGroups, std::less<>> mlx_modules;

  const MlxGroups& MlxOf(std::string_view module) const;
};

struct HubConfig {
  const Architecture* architecture = nullptr;
  LayerCounts layers;
  bool tied = false;  // the head is the embedding
  Quantization quantization;
  Bytes metadata;  // the header of a GGUF file without tensors
};

// `name` and `license` are for people. `generation_config` and `license` may be empty.
Result<HubConfig> ReadConfig(std::string_view config, std::string_view generation_config,
                             std::string_view name, std::string_view license = "");

// What transformers takes for granted of a family's positions.
struct RopeHabits {
  // rope_parameters, as JSON, where config.json has them by neither name.
  const char* parameters = "{}";
  std::optional<double> theta;  // where it is not said; else GGUF's
  // Whether "type", as rope_scaling once had it, stands for "rope_type".
  bool older_type = true;
};

// What Architecture::more reads and writes. Fields that are null are absent.
class ConfigReader {
 public:
  ConfigReader(const Architecture& architecture, const boost::json::object& config,
               gguf::HeaderBuilder& header)
      : architecture_(architecture), config_(config), header_(header) {}

  Status AddFields();
  // How positions turn heads: base, dimensions, scaling; of layers with a window the base, where it
  // is their own.
  Status AddRope(const RopeHabits& habits = {});
  // The sliding window, and which layers have it.
  Status AddWindow();
  // That pairs which turn together lie in the two halves of a head, as everywhere on the hub.
  void AddHalves();
  // attention.scale = 1 / sqrt(of the field), where it is there.
  Status AddQueryScale(std::string_view field);

  // The sum of two integers that must both be there.
  Status AddSum(std::string_view field, std::string_view other, std::string_view key);
  // Groups of experts, where there are any (DeepSeek).
  Status AddGroups();
  // What YaRN multiplies all scores by, where the field is there (DeepSeek).
  Status AddMagnitudeOfScores();
  // By what queries of far positions grow, and from where on (Ministral 3).
  Status AddQueryGrowth();
  // The head's width, where config.json leaves it out and the family does not make it of the hidden
  // width.
  void AddHeadDimOr(int64_t otherwise);
  // Which layers have experts: each `step_field`-th but those that `dense_field` lists (Qwen3-MoE).
  Status AddLayersWithExperts(std::string_view step_field, std::string_view dense_field);
  // A number that is there and null is 0 under the same key, not what is usual with the family.
  void AddNoneWhereNull(std::string_view field);
  void AddInteger(std::string_view key, int64_t value);
  void AddBool(std::string_view key, bool value);

  // kUnimplemented unless the field is absent or as required.
  Status RequireText(std::string_view field, std::string_view value) const;
  Status RequireInteger(std::string_view field, int64_t value) const;
  Status RequireNumber(std::string_view field, double value) const;
  // Likewise, and absent means `otherwise`.
  Status RequireBool(std::string_view field, bool value, bool otherwise) const;

  Result<std::optional<int64_t>> Integer(std::string_view field) const;
  Result<bool> BoolOr(std::string_view field, bool otherwise) const;
  Result<std::string> Text(std::string_view field, std::string_view otherwise) const;

 private:
  std::string Key(std::string_view rest) const;
  // Of all layers, or of those without a window.
  Result<const boost::json::object*> RopeObject();
  Status AddRopeScaling(const boost::json::object& rope, bool older_type);
  Status AddRopeNumber(const boost::json::object& rope, std::string_view field,
                       std::string_view key);
  Status AddYarn(const boost::json::object& rope);
  Status AddLongRope(const boost::json::object& rope);
  Result<std::vector<bool>> WindowedLayers() const;

  const Architecture& architecture_;
  const boost::json::object& config_;
  gguf::HeaderBuilder& header_;
};

}  // namespace baton::safetensors
