#include <filesystem>

#include <gmock/gmock.h>

#include "hub/name.h"
#include "hub/store.h"
#include "hub/synthetic_model.h"
#include "model/model.h"

namespace baton::hub {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Folder {
 public:
  Folder() {
    char path[] = "/tmp/baton-hub-XXXXXX";
    CHECK(::mkdtemp(path) != nullptr);
    path_ = path;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  void Write(const std::string& name, std::string_view text) const {
    const std::string path = *this / name;
    CHECK(os::MakeDirectories(path.substr(0, path.rfind('/'))).ok());
    CHECK(os::WriteFileAtomically(path, AsBytes(text)).ok());
  }

 private:
  std::string path_;
};

std::vector<std::string> Names(const ModelStore& store) {
  std::vector<std::string> names;
  for (const ModelEntry& entry : store.List()) names.push_back(entry.name);
  return names;
}

TEST(ModelName, Kinds) {
  EXPECT_EQ(ParseModelName("llama3:8b")->tag, "8b");
  EXPECT_EQ(ParseModelName("llama3")->kind, NameKind::kPlain);
  const auto hf = ParseModelName("hf.co/Org/Model-GGUF:Q4_K_M");
  EXPECT_EQ(hf->kind, NameKind::kHuggingFace);
  EXPECT_EQ(hf->organisation, "Org");
  EXPECT_EQ(hf->tag, "Q4_K_M");
  EXPECT_EQ(ParseModelName("me/model")->kind, NameKind::kOllama);
  EXPECT_EQ(ParseModelName("host:5000/me/model")->host, "host:5000");
}

TEST(ModelName, NeverAPath) {
  for (const std::string& name :
       {std::string(""), std::string(".."), std::string("../x"), std::string("/etc/passwd"),
        std::string("a/../b"), std::string("hf.co/../.."), std::string("a//b"),
        std::string("a/b/c/d"), std::string("%2e%2e/x"), std::string("a\0b", 3),
        std::string(4096, 'a'), std::string("a\u2215b"), std::string("x:../y"),
        std::string("sha256:../../x"), std::string("-rf"), std::string(".hidden"),
        std::string("a..b"), std::string("a\\b")}) {
    const auto parsed = ParseModelName(name);
    ASSERT_FALSE(parsed.ok()) << name;
    EXPECT_EQ(parsed.error().code(), Code::kInvalidArgument);
  }
}

TEST(ModelStore, FindsModelsWherePeopleHaveThem) {
  const Folder folder;
  const std::string digest(64, 'a');
  folder.Write("mine/Tiny-Model.gguf", "x");
  folder.Write("mine/mmproj-vision.gguf", "x");
  folder.Write("mine/notes.txt", "x");
  folder.Write("own/hf.co/Org/Rep/rep-Q8_0.gguf", "x");
  folder.Write("hf/models--Org--Name/refs/main", "0123abcd\n");
  folder.Write("hf/models--Org--Name/snapshots/0123abcd/name-Q8_0.gguf", "x");
  folder.Write("hf/models--Org--Name/snapshots/0123abcd/name-Q4_K_M.gguf", "x");
  folder.Write("hf/models--Evil--Name/refs/main", "../../../etc");
  folder.Write("hf/models--Old--Rev/refs/v1", "beef");
  folder.Write("hf/models--Old--Rev/snapshots/beef/old.gguf", "x");
  folder.Write("hf/models--Two--Revs/snapshots/beef/a.gguf", "x");
  folder.Write("hf/models--Two--Revs/snapshots/cafe/b.gguf", "x");
  folder.Write(
      "ollama/manifests/registry.ollama.ai/library/llama3/8b",
      R"({"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:)" +
          digest + R"("}]})");
  folder.Write("ollama/manifests/registry.ollama.ai/library/evil/latest",
               R"({"layers": [{"mediaType": "application/vnd.ollama.image.model",
                   "digest": "sha256:../../../../etc/passwd"}]})");
  folder.Write("ollama/blobs/sha256-" + digest, "x");
  StoreOptions options;
  options.folders = {folder / "mine", folder / "absent"};
  options.own_folder = folder / "own";
  options.hf_hub = folder / "hf";
  options.ollama = folder / "ollama";
  const ModelStore store(options);
  EXPECT_THAT(Names(store),
              ElementsAre("Tiny-Model", "hf.co/Org/Rep/rep-Q8_0", "hf.co/Old/Rev/old",
                          "hf.co/Org/Name/name-Q4_K_M", "hf.co/Org/Name/name-Q8_0", "llama3:8b"));
  EXPECT_EQ(store.Resolve("tiny-model")->name, "Tiny-Model");
  EXPECT_EQ(store.Resolve("tiny-model.gguf")->name, "Tiny-Model");
  EXPECT_THAT(store.Resolve("hf.co/org/name")->path, HasSubstr("Q4_K_M"));
  EXPECT_THAT(store.Resolve("hf.co/Org/Name:Q8_0")->path, HasSubstr("Q8_0"));
  EXPECT_EQ(store.Resolve("rep-Q8_0")->source, Source::kOwn);
  EXPECT_THAT(store.Resolve("llama3:8b")->path, HasSubstr("blobs/sha256-a"));
  EXPECT_EQ(store.Resolve("nope").error().code(), Code::kNotFound);
  EXPECT_EQ(store.Resolve(folder / "mine/notes.txt").error().code(), Code::kInvalidArgument);
  EXPECT_TRUE(store.Resolve(folder / "mine/Tiny-Model.gguf", Paths::kAllowed).ok());
}

std::string LinkTo(const Folder& folder, const std::string& blob, const std::string& link) {
  const std::string path = folder / link;
  CHECK(os::MakeDirectories(path.substr(0, path.rfind('/'))).ok());
  std::filesystem::create_symlink(folder / blob, path);
  return path;
}

TEST(ModelStore, FindsSafetensorsAndSplitModels) {
  const Folder folder;
  folder.Write("mine/llama/config.json", "{}");
  folder.Write("mine/llama/model.safetensors", "12345");
  folder.Write("mine/llama/tokenizer.json", "{}");
  folder.Write("mine/no-weights/config.json", "{}");
  folder.Write("mine/big-Q4_K_M-00001-of-00002.gguf", "xx");
  folder.Write("mine/big-Q4_K_M-00002-of-00002.gguf", "xxx");
  folder.Write("mine/half-00002-of-00002.gguf", "x");
  folder.Write("alone/config.json", "{}");
  folder.Write("alone/model.safetensors.index.json",
               R"({"weight_map": {"a": "model-00001-of-00001.safetensors"}})");
  folder.Write("hf/models--Org--Name/refs/main", "0123abcd");
  folder.Write("hf/models--Org--Name/blobs/c", "{}");
  folder.Write("hf/models--Org--Name/blobs/w", "123");
  const std::string snapshot = "hf/models--Org--Name/snapshots/0123abcd/";
  LinkTo(folder, "hf/models--Org--Name/blobs/c", snapshot + "config.json");
  LinkTo(folder, "hf/models--Org--Name/blobs/w", snapshot + "model.safetensors");
  StoreOptions options;
  options.folders = {folder / "mine", folder / "alone"};
  options.hf_hub = folder / "hf";
  const ModelStore store(options);
  EXPECT_THAT(Names(store), ElementsAre("big-Q4_K_M", "half", "llama", "alone", "hf.co/Org/Name"));
  EXPECT_EQ(store.Resolve("llama")->path, folder / "mine/llama");
  EXPECT_EQ(store.Resolve("llama")->stamp.size_bytes, 2u + 5 + 2);
  EXPECT_EQ(store.Resolve("big-q4_k_m")->stamp.size_bytes, 5u);
  EXPECT_EQ(store.Resolve("hf.co/org/name")->path + "/", folder / snapshot);
  EXPECT_EQ(store.Resolve("Org/Name")->name, "hf.co/Org/Name");
  EXPECT_EQ(store.Resolve(folder / "mine/llama", Paths::kAllowed)->stamp.size_bytes, 9u);
  EXPECT_EQ(store.Resolve(folder / "mine/llama").error().code(), Code::kInvalidArgument);
}

TEST(ModelStore, AnOllamaBlobOfAnotherSizeIsNoModelYet) {
  const Folder folder;
  const std::string digest(64, 'b');
  const auto manifest = [&](int size) {
    folder.Write(
        "ollama/manifests/registry.ollama.ai/library/m/latest",
        fmt::format(R"({{"schemaVersion": 2, "config": {{"digest": "sha256:0"}}, "layers": [
                     {{"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:1"}},
                     {{"mediaType": "application/vnd.ollama.image.model",
                       "digest": "sha256:{}", "size": {}}}]}})",
                    digest, size));
  };
  folder.Write("ollama/blobs/sha256-" + digest, "12345");
  StoreOptions options;
  options.ollama = folder / "ollama";
  const ModelStore store(options);
  manifest(6);
  EXPECT_THAT(Names(store), ElementsAre());
  manifest(5);
  EXPECT_THAT(Names(store), ElementsAre("m:latest"));
  EXPECT_EQ(store.Resolve("m")->stamp.size_bytes, 5u);
}

TEST(ModelStore, RemovesAllFilesOfAModel) {
  const Folder folder;
  folder.Write("own/big-00001-of-00002.gguf", "x");
  folder.Write("own/big-00002-of-00002.gguf", "x");
  folder.Write("own/llama/config.json", "{}");
  folder.Write("own/llama/model.safetensors", "x");
  folder.Write("elsewhere/config.json", "{}");
  folder.Write("elsewhere/model.safetensors", "x");
  std::filesystem::create_directory_symlink(folder / "elsewhere", folder / "own/link");
  StoreOptions options;
  options.own_folder = folder / "own";
  const ModelStore store(options);
  EXPECT_TRUE(store.Remove("big").ok());
  EXPECT_TRUE(store.Remove("llama").ok());
  EXPECT_EQ(store.Remove("link").error().code(), Code::kPermissionDenied);
  EXPECT_TRUE(os::Exists(folder / "elsewhere/model.safetensors"));
  EXPECT_THAT(Names(store), ElementsAre("link"));
}

TEST(ModelStore, AFingerprintFollowsEveryFileOfAModel) {
  const Folder folder;
  ASSERT_TRUE(os::MakeDirectories(folder / "mine").ok());
  std::filesystem::copy(std::string(BATON_SOURCE_DIR) + "/tests/golden/hub/llama-f32-sharded",
                        folder / "mine/m", std::filesystem::copy_options::recursive);
  StoreOptions options;
  options.folders = {folder / "mine"};
  const ModelStore store(options);
  const ModelEntry entry = store.Resolve("m").value();
  const std::string before = store.FingerprintOf(entry).value();
  EXPECT_EQ(before, (*Model::Open(entry.path))->fingerprint());
  const std::string shard = folder / "mine/m/model-00002-of-00004.safetensors";
  std::string bytes = os::ReadFile(shard).value();
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), sizeof(header_bytes));
  bytes[8 + header_bytes] ^= 1;  // the first weight
  ASSERT_TRUE(os::WriteFileAtomically(shard, AsBytes(bytes)).ok());
  EXPECT_NE(store.FingerprintOf(entry).value(), before);
}

TEST(ModelStore, RemovesOnlyItsOwn) {
  const Folder folder;
  folder.Write("mine/a.gguf", "x");
  folder.Write("own/b.gguf", "x");
  folder.Write("elsewhere/c.gguf", "x");
  std::filesystem::create_directory_symlink(folder / "elsewhere", folder / "own/link");
  StoreOptions options;
  options.folders = {folder / "mine"};
  options.own_folder = folder / "own";
  const ModelStore store(options);
  EXPECT_EQ(store.Remove("a").error().code(), Code::kPermissionDenied);
  EXPECT_EQ(store.Remove("link/c").error().code(), Code::kPermissionDenied);
  EXPECT_EQ(store.Remove("../mine/a").error().code(), Code::kInvalidArgument);
  EXPECT_TRUE(store.Remove("b").ok());
  EXPECT_FALSE(os::Exists(folder / "own/b.gguf"));
  EXPECT_TRUE(os::Exists(folder / "mine/a.gguf"));
  EXPECT_TRUE(os::Exists(folder / "elsewhere/c.gguf"));
}

TEST(ModelStore, RemembersFingerprints) {
  const Folder folder;
  SyntheticOptions synthetic;
  synthetic.shape =
      *ParseShape("layers=1,hidden=32,heads=2,kv_heads=1,head_dim=16,ffn=32,vocab=300");
  ASSERT_TRUE(os::MakeDirectories(folder / "mine").ok());
  ASSERT_TRUE(WriteSyntheticModel(folder / "mine/m.gguf", synthetic).ok());
  StoreOptions options;
  options.folders = {folder / "mine"};
  options.fingerprint_cache = folder / "cache.json";
  const std::string direct = (*Model::Open(folder / "mine/m.gguf"))->fingerprint();
  EXPECT_EQ(ModelStore(options).FingerprintOf(*ModelStore(options).Resolve("m")).value(), direct);
  EXPECT_TRUE(os::Exists(folder / "cache.json"));
  EXPECT_EQ(ModelStore(options).FindByFingerprint(direct)->name, "m");
  synthetic.seed = 2;
  ASSERT_TRUE(WriteSyntheticModel(folder / "mine/m.gguf", synthetic).ok());
  EXPECT_EQ(ModelStore(options).FindByFingerprint(direct).error().code(), Code::kNotFound);
}

TEST(SyntheticModel, EveryTypeOpensAndIsReproducible) {
  const Folder folder;
  for (const std::string& type : SyntheticTypes()) {
    SyntheticOptions options;
    options.shape = *ParseShape("tiny");
    options.type = type;
    ASSERT_TRUE(WriteSyntheticModel(folder / "a.gguf", options).ok()) << type;
    ASSERT_TRUE(WriteSyntheticModel(folder / "b.gguf", options).ok());
    EXPECT_EQ(*os::ReadFile(folder / "a.gguf"), *os::ReadFile(folder / "b.gguf")) << type;
    const auto model = Model::Open(folder / "a.gguf");
    ASSERT_TRUE(model.ok()) << type << ": " << model.error().message();
    EXPECT_EQ((*model)->spec().quantization, type);
    const auto tokens = (*model)->tokenizer().Encode("Any tëxt.");
    EXPECT_EQ((*model)->tokenizer().Decode(*tokens), "Any tëxt.");
  }
}

TEST(SyntheticModel, EveryArchitectureOpens) {
  const Folder folder;
  constexpr std::string_view kSmall = ",layers=2,hidden=64,heads=4,head_dim=16,ffn=96,vocab=300";
  for (const std::string arch : {"llama", "qwen2", "qwen3"}) {
    SyntheticOptions options;
    options.shape = *ParseShape(fmt::format("arch={}{}", arch, kSmall));
    ASSERT_TRUE(WriteSyntheticModel(folder / "a.gguf", options).ok()) << arch;
    const auto model = Model::Open(folder / "a.gguf");
    ASSERT_TRUE(model.ok()) << model.error().message();
    EXPECT_EQ((*model)->spec().architecture, arch);
    EXPECT_EQ((*model)->spec().qkv_bias, arch == "qwen2");
    EXPECT_EQ((*model)->spec().qk_norm, arch == "qwen3");
    EXPECT_EQ((*model)->spec().rope.halves, arch != "llama");
  }
}

TEST(SyntheticModel, ExpertsAreCountedByWhatATokenReads) {
  const Folder folder;
  SyntheticOptions options;
  options.shape = *ParseShape("tiny-moe");
  options.type = "Q8_0";
  ASSERT_TRUE(WriteSyntheticModel(folder / "a.gguf", options).ok());
  const auto model = Model::Open(folder / "a.gguf");
  ASSERT_TRUE(model.ok()) << model.error().message();
  const ModelSpec& spec = (*model)->spec();
  EXPECT_EQ(spec.experts.count, 8);
  EXPECT_EQ(spec.experts.used, 2);
  const uint64_t expert = 3 * 256 * 256;  // of each layer
  EXPECT_EQ(spec.parameters - spec.active_parameters, 4 * 6 * expert);
  EXPECT_EQ(spec.layer_weight_bytes[1] - spec.layer_active_bytes[1], 6 * expert / 32 * 34);
}

TEST(SyntheticModel, GemmaAndGptOssHaveWhatTheirFamiliesHave) {
  const Folder folder;
  const auto spec = [&](const std::string& shape, const std::string& type) {
    SyntheticOptions options{.shape = *ParseShape(shape), .type = type};
    CHECK(WriteSyntheticModel(folder / "a.gguf", options).ok());
    const auto model = Model::Open(folder / "a.gguf");
    CHECK(model.ok(), "{}", model.error().message());
    return (*model)->spec();
  };
  const ModelSpec second = spec("tiny-gemma2", "Q4_0");
  EXPECT_EQ(second.family, Family::kGemma);
  EXPECT_EQ(second.WindowOf(0), 100);
  EXPECT_EQ(second.WindowOf(1), 0);
  EXPECT_TRUE(spec("tiny-gemma3", "Q4_K").qk_norm);
  const ModelSpec oss = spec("tiny-gpt-oss", "MXFP4");
  EXPECT_EQ(oss.family, Family::kGptOss);
  EXPECT_EQ(oss.quantization, "MXFP4");
  EXPECT_EQ(oss.rope.divisors.size(), 32u);
}

TEST(SyntheticModel, DeepSeekHasLatentsAndGroups) {
  const Folder folder;
  const auto spec = [&](const std::string& shape, const std::string& type) {
    SyntheticOptions options{.shape = *ParseShape(shape), .type = type};
    CHECK(WriteSyntheticModel(folder / "a.gguf", options).ok());
    const auto model = Model::Open(folder / "a.gguf");
    CHECK(model.ok(), "{}", model.error().message());
    return (*model)->spec();
  };
  const ModelSpec third = spec("tiny-deepseek", "Q4_K_M");
  EXPECT_EQ(third.family, Family::kDeepSeek);
  EXPECT_EQ(third.KvBytesPerTokenPerLayer(), 2u * (128 + 32));
  EXPECT_TRUE(third.experts.biased);
  EXPECT_EQ(third.experts.groups_used, 2);
  EXPECT_EQ(third.rope.divisors.size(), 16u);
  const uint64_t expert = 3 * 256 * 256;  // of each layer but the first
  EXPECT_EQ(third.parameters - third.active_parameters, 3 * 6 * expert);
  const ModelSpec second = spec(
      "arch=deepseek2,layers=2,hidden=64,heads=2,head_dim=24,ffn=96,vocab=300,experts=4,"
      "experts_used=2,expert_ffn=32,kv_rank=32,rope_dim=8,value_dim=16",
      "F16");
  EXPECT_EQ(second.latent.q_rank, 0);
  EXPECT_EQ(second.experts.score, ExpertScore::kSoftmax);
  EXPECT_THAT(ParseShape("arch=deepseek2,experts=4,experts_used=2,expert_ffn=32").error().message(),
              HasSubstr("kv_rank=0"));
}

TEST(SyntheticModel, AnUnknownTypeListsTheKnownOnes) {
  SyntheticOptions options;
  options.shape = *ParseShape("tiny");
  options.type = "Q9_Z";
  EXPECT_THAT(WriteSyntheticModel("never", options).error().message(),
              AllOf(HasSubstr("'Q9_Z'"), HasSubstr("IQ4_XS, MXFP4")));
}

TEST(SyntheticModel, ShapesFromText) {
  EXPECT_EQ(ParseShape("llama-3.1-8b")->ffn_width, 14336);
  EXPECT_EQ(ParseShape("layers=3,tied=1")->n_layers, 3);
  EXPECT_TRUE(ParseShape("layers=3,tied=1")->tied_embeddings);
  EXPECT_THAT(ParseShape("nope").error().message(), HasSubstr("llama-3.1-8b"));
  EXPECT_THAT(ParseShape("layers=x").error().message(), HasSubstr("layers=x"));
  EXPECT_THAT(ParseShape("frob=1").error().message(), HasSubstr("'frob'"));
  EXPECT_THAT(ParseShape("heads=3,kv_heads=2").error().message(), HasSubstr("multiple"));
  EXPECT_THAT(ParseShape("arch=gpt2").error().message(),
              HasSubstr("llama, qwen2, qwen3, qwen3moe"));
  EXPECT_THAT(ParseShape("experts=4,experts_used=5,expert_ffn=64").error().message(),
              HasSubstr("experts_used=5 of experts=4"));
  EXPECT_THAT(ParseShape("arch=qwen3moe").error().message(), HasSubstr("experts=0"));
}

}  // namespace
}  // namespace baton::hub
