// What baton runs of Hugging Face's hub, as tables: by which names GGUF, and so baton's families,
// know the architectures of config.json, its fields and the tensors of safetensors files. A new
// family is rows here and, where its config.json says what no row can, a function.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace baton::safetensors {

class ConfigReader;

// Which rows of a stored matrix make a tensor.
enum class RowChoice : uint8_t { kAll, kEven, kOdd };

// A module of a layer ("model.layers.N.HUB" is "blk.N.GGUF"). A '*' in `hub` is the number of an
// expert. Several rows may have the same `hub`: each makes its tensor of the stored one.
struct ModuleRow {
  std::string_view hub;
  std::string_view gguf;
  RowChoice rows = RowChoice::kAll;
  bool inputs_first = false;  // a parameter [experts][inputs][outputs], where it is not quantised
};

enum class FieldKind : uint8_t { kInteger, kNumber };

// A field of config.json and the key, behind the architecture's name, of GGUF.
struct FieldRow {
  std::string_view hub;
  std::string_view gguf;
  FieldKind kind = FieldKind::kInteger;
};

struct Architecture {
  std::string_view hub;   // of "architectures" in config.json
  std::string_view gguf;  // general.architecture
  std::span<const ModuleRow> modules;
  std::span<const FieldRow> fields;
  // What no table says: refusals, and keys that follow from several fields.
  Status (*more)(ConfigReader& config);
  // Of a wrapper around a text model: fields that its text_config leaves out, as JSON. Null: it is
  // a text model.
  const char* text_defaults = nullptr;
  bool tied_by_default = false;    // where config.json does not mention tie_word_embeddings
  bool norms_are_offsets = false;  // GGUF's norms are 1 + those stored
  // What transformers' class of the configuration has where a text model's config.json lacks a
  // field, as JSON: those of which GGUF takes something else for granted.
  const char* usual = "{}";
};

// kUnimplemented with the name and those that work.
Result<const Architecture*> FindArchitecture(std::string_view hub_name);

// What a tensor's name says. Several, where one stored tensor makes several of ours.
struct TensorName {
  std::string module;  // "blk.3.attn_q", "token_embd"
  int64_t expert = -1;
  const ModuleRow* row = nullptr;
  // "weight", "bias" and what belongs to a weight: "scales", "biases" (MLX), "weight_scale"
  // (FP8), "blocks" (MXFP4).
  std::string_view role;
};

struct LayerCounts {
  int64_t run = 0;
  int64_t predict = 0;  // behind those, to predict further tokens: left alone
};
// Empty for what holds no weights that a model reads: tables that are computed, scales of
// activations and of a KV cache of FP8, layers that predict, and what a wrapper has beside its text
// model. kUnimplemented for a name in no table.
Result<std::vector<TensorName>> ParseTensorName(const Architecture& architecture,
                                                const LayerCounts& layers, std::string_view name);

}  // namespace baton::safetensors
