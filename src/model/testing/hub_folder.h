// Safetensors files and folders of Hugging Face's hub made by hand, for tests to damage.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "model/testing/scratch_folder.h"

namespace baton {

struct StoredSpec {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
  std::string data;
};

inline std::string WithLength(const std::string& json, const std::string& data) {
  const uint64_t length = json.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + json + data;
}

inline std::string SafetensorsFile(const std::vector<StoredSpec>& tensors) {
  std::string json = R"({"__metadata__":{"format":"pt","note":"a \"b\" [c"})";
  std::string data;
  for (const StoredSpec& tensor : tensors) {
    json += fmt::format(R"(,"{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                        tensor.name, tensor.dtype, fmt::join(tensor.shape, ","), data.size(),
                        data.size() + tensor.data.size());
    data += tensor.data;
  }
  return WithLength(json + "} ", data);
}

// A tiny llama of zeros, with one thing changed.
struct HubModel {
  std::string architecture = "LlamaForCausalLM";
  std::string more_config;       // further fields, each with a comma behind it
  std::string skip_field;        // left out
  std::string skip_tensor;       // left out
  std::vector<StoredSpec> more;  // tensors
  std::string dtype = "F32";

  static std::string Zeros(int64_t count, const std::string& dtype) {
    return std::string(static_cast<size_t>(count) * (dtype == "F32" ? 4 : 2), '\0');
  }

  std::string Config() const {
    std::string config = "{" + more_config;
    for (const auto& [field, value] : std::vector<std::pair<std::string, std::string>>{
             {"architectures", "[\"" + architecture + "\"]"},
             {"num_hidden_layers", "1"},
             {"hidden_size", "32"},
             {"intermediate_size", "64"},
             {"max_position_embeddings", "128"},
             {"num_attention_heads", "4"},
             {"num_key_value_heads", "2"},
             {"rms_norm_eps", "1e-5"},
             {"rope_theta", "10000.0"},
             {"vocab_size", "260"},
             {"head_dim", "null"},
             {"hidden_act", "\"silu\""}}) {
      if (field != skip_field) config += fmt::format("\"{}\": {}, ", field, value);
    }
    return config + "\"torch_dtype\": \"float32\"}";
  }

  std::vector<StoredSpec> Tensors() const {
    std::vector<StoredSpec> tensors;
    const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
      if (name == skip_tensor) return;
      int64_t count = 1;
      for (const int64_t extent : shape) count *= extent;
      tensors.push_back({name, dtype, std::move(shape), Zeros(count, dtype)});
    };
    const std::string layer = "model.layers.0.";
    add("model.embed_tokens.weight", {260, 32});
    add("model.norm.weight", {32});
    add("lm_head.weight", {260, 32});
    add(layer + "input_layernorm.weight", {32});
    add(layer + "post_attention_layernorm.weight", {32});
    add(layer + "self_attn.q_proj.weight", {32, 32});
    add(layer + "self_attn.k_proj.weight", {16, 32});
    add(layer + "self_attn.v_proj.weight", {16, 32});
    add(layer + "self_attn.o_proj.weight", {32, 32});
    add(layer + "mlp.gate_proj.weight", {64, 32});
    add(layer + "mlp.up_proj.weight", {64, 32});
    add(layer + "mlp.down_proj.weight", {32, 64});
    tensors.insert(tensors.end(), more.begin(), more.end());
    return tensors;
  }

  void WriteTo(const ScratchFolder& folder) const {
    folder.Write("config.json", Config());
    folder.Write("model.safetensors", SafetensorsFile(Tensors()));
  }
};

}  // namespace baton
