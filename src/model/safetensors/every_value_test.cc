// Every value of every JSON file of a folder wrong in turn: what it says is refused or harmless, at
// once, and for little memory.
#include <functional>

#include <boost/json.hpp>
#include <gmock/gmock.h>

#include "model/model.h"
#include "model/testing/cpu_stopwatch.h"
#include "model/testing/heap_meter.h"
#include "model/testing/hub_folder.h"
#include "model/tokenizer/byte_characters.h"

namespace baton::safetensors {
namespace {

using boost::json::array;
using boost::json::object;
using boost::json::value;
using Change = std::function<void(value&)>;

// Calls `visit(path, at)` for every value below `json` and itself; `at` finds it in a copy.
struct Place {
  std::string path;  // "/model/vocab/he"
  std::function<value*(value&)> in;
};
void Places(const value& json, Place here, std::vector<Place>& places) {
  places.push_back(here);
  if (const object* members = json.if_object()) {
    for (const auto& member : *members) {
      const std::string key(member.key());
      Places(member.value(),
             {here.path + "/" + key,
              [in = here.in, key](value& root) { return in(root)->as_object().if_contains(key); }},
             places);
    }
  } else if (const array* elements = json.if_array()) {
    for (size_t i = 0; i < elements->size(); ++i) {
      Places((*elements)[i],
             {fmt::format("{}/{}", here.path, i),
              [in = here.in, i](value& root) { return in(root)->as_array().if_contains(i); }},
             places);
    }
  }
}

std::vector<Place> Places(const value& json) {
  std::vector<Place> places;
  Places(json, {"", [](value& root) { return &root; }}, places);
  return places;
}

std::vector<value> WrongValues(const value& right) {
  std::vector<value> wrong = {nullptr, true, -1,      0,       1.5,      uint64_t{1} << 63,
                              1e300,   "",   "wrong", array{}, object{}, array{array{}}};
  if (right.is_int64()) {
    wrong.emplace_back(right.get_int64() + 1);
    wrong.emplace_back(right.get_int64() * 1024 + 1);
  }
  if (right.is_string()) wrong.emplace_back(std::string(right.get_string()) + "x");
  std::erase(wrong, right);
  return wrong;
}

// Byte-level BPE of 260 tokens with a bit of everything.
object TokenizerJson() {
  object vocabulary;
  for (int byte = 0; byte < 256; ++byte)
    vocabulary[ByteCharacters()[static_cast<size_t>(byte)]] = byte;
  vocabulary["he"] = 256;
  vocabulary["ll"] = 257;
  const object end = {
      {"id", 258}, {"content", "<|end|>"}, {"special", true}, {"normalized", false}};
  const object start = {{"SpecialToken", object{{"id", "<|end|>"}, {"type_id", 0}}}};
  const object text = {{"Sequence", object{{"id", "A"}, {"type_id", 0}}}};
  return {
      {"added_tokens", array{end}},
      {"normalizer", object{{"type", "NFC"}}},
      {"pre_tokenizer", object{{"type", "ByteLevel"}, {"add_prefix_space", false}}},
      {"post_processor", object{{"type", "TemplateProcessing"}, {"single", array{start, text}}}},
      {"decoder", object{{"type", "ByteLevel"}}},
      {"model",
       object{{"type", "BPE"}, {"vocab", vocabulary}, {"merges", array{"h e", array{"l", "l"}}}}}};
}

class EveryValue : public testing::Test {
 protected:
  EveryValue() {
    HubModel().WriteTo(folder_);
    folder_.Write("tokenizer.json", boost::json::serialize(TokenizerJson()));
    weights_ = SafetensorsFile(HubModel().Tensors());
    file_bytes_ = weights_.size();
  }

  // What opening says; "" if it is a model.
  std::string Open(const std::string& name) {
    const CpuStopwatch watch;
    const HeapMeter meter;
    const auto model = Model::Open(folder_.path());
    EXPECT_LT(meter.peak_bytes(), 2 * file_bytes_ + kFixedBytes) << name;
    EXPECT_LT(watch.Seconds(), 1.0) << name;
    if (model.ok()) return "";
    std::string message = model.error().message();
    EXPECT_THAT(message, testing::StartsWith(folder_.path())) << name;
    message.erase(0, folder_.path().size());
    EXPECT_THAT(message, testing::ContainsRegex("[0-9]|'")) << name;
    return message;
  }

  // Each value of `json` wrong in turn, by `write`. Returns how many were refused.
  size_t WrongInTurn(const value& json, const std::function<void(const value&)>& write) {
    size_t refused = 0;
    for (const Place& place : Places(json)) {
      value copy = json;
      const value right = *place.in(copy);
      for (const value& wrong : WrongValues(right)) {
        *place.in(copy) = wrong;
        write(copy);
        refused += Open(place.path + " = " + boost::json::serialize(wrong)).empty() ? 0 : 1;
      }
      *place.in(copy) = right;
    }
    return refused;
  }

  static constexpr size_t kFixedBytes = 1 << 20;
  const ScratchFolder folder_;
  std::string weights_;
  size_t file_bytes_ = 0;
};

TEST_F(EveryValue, OfTheHeader) {
  const size_t end = weights_.find("} ") + 1;
  const value header = boost::json::parse(weights_.substr(8, end - 8));
  const std::string data = weights_.substr(end + 1);
  const auto write = [&](const value& json) {
    folder_.Write("model.safetensors", WithLength(boost::json::serialize(json), data));
  };
  write(header);
  ASSERT_EQ(Open("header"), "");
  EXPECT_GT(WrongInTurn(header, write), 800u);
}

TEST_F(EveryValue, OfTheIndex) {
  folder_.Write("model-1.safetensors", weights_);
  std::filesystem::remove(folder_.path() + "/model.safetensors");
  object map;
  for (const StoredSpec& tensor : HubModel().Tensors()) map[tensor.name] = "model-1.safetensors";
  const value index = {{"metadata", {{"total_size", 1}}}, {"weight_map", map}};
  const auto write = [&](const value& json) {
    folder_.Write("model.safetensors.index.json", boost::json::serialize(json));
  };
  write(index);
  ASSERT_EQ(Open("index"), "");
  EXPECT_GT(WrongInTurn(index, write), 100u);
}

TEST_F(EveryValue, OfConfig) {
  const value config = boost::json::parse(
      HubModel{.more_config = R"("rope_scaling": {"rope_type": "yarn", "factor": 4.0,
                                 "original_max_position_embeddings": 32}, )"}
          .Config());
  const auto write = [&](const value& json) {
    folder_.Write("config.json", boost::json::serialize(json));
  };
  write(config);
  ASSERT_EQ(Open("config"), "");
  EXPECT_GT(WrongInTurn(config, write), 100u);
}

TEST_F(EveryValue, OfTokenizerJson) {
  const value tokenizer = TokenizerJson();
  const auto write = [&](const value& json) {
    folder_.Write("tokenizer.json", boost::json::serialize(json));
  };
  ASSERT_EQ(Open("tokenizer"), "");
  EXPECT_GT(WrongInTurn(tokenizer, write), 2000u);
}

// As many values in as few bytes as JSON allows.
TEST_F(EveryValue, TreesOfTinyValuesAreBounded) {
  for (const std::string name :
       {"config.json", "tokenizer_config.json", "generation_config.json", "tokenizer.json"}) {
    std::string text = name == "config.json" ? HubModel().Config() : "{\"a\": 0}";
    text.replace(0, 1, "{\"x\":[0");
    std::string many;
    while (many.size() < 900'000) many += ",0";
    text.insert(7, many + "],");
    folder_.Write(name, text);
    file_bytes_ += text.size();
    EXPECT_THAT(Open(name), testing::HasSubstr(name)) << name;
    EXPECT_THAT(Open(name), testing::HasSubstr("values")) << name;
    std::filesystem::remove(folder_.path() + "/" + name);
    if (name == "config.json") folder_.Write(name, HubModel().Config());
  }
}

TEST_F(EveryValue, TruncatedAtEveryPercent) {
  for (const std::string name : {"config.json", "tokenizer.json", "model.safetensors"}) {
    const std::string whole = os::ReadFile(folder_.path() + "/" + name).value();
    // An empty tokenizer.json is none, and a model needs none.
    for (size_t percent = name == "tokenizer.json" ? 1 : 0; percent < 100; ++percent) {
      folder_.Write(name, whole.substr(0, whole.size() * percent / 100));
      EXPECT_NE(Open(name), "") << percent << " % of " << name;
    }
    folder_.Write(name, whole);
    EXPECT_EQ(Open(name), "");
  }
}

}  // namespace
}  // namespace baton::safetensors
