#include "model/safetensors/checkpoint.h"

#include <algorithm>

#include "model/fingerprint.h"
#include "model/gguf/reader.h"
#include "model/safetensors/folder.h"
#include "model/safetensors/tensor_map.h"
#include "tensor/half.h"

namespace baton::safetensors {
namespace {

// The small files of a folder; absent ones are empty.
struct Texts {
  std::string config;
  std::string generation_config;
  std::string tokenizer;
  std::string tokenizer_config;
  std::string chat_template;

  TokenizerFiles ForTokenizer() const {
    return {tokenizer, tokenizer_config, generation_config, chat_template};
  }
};

Result<std::string> ReadIfThere(const std::string& folder, std::string_view name) {
  const std::string path = fmt::format("{}/{}", folder, name);
  return os::Exists(path) ? os::ReadFile(path) : Result<std::string>(std::string());
}

Result<Texts> ReadTexts(const std::string& folder) {
  Texts texts;
  BATON_ASSIGN_OR_RETURN(texts.config,
                         os::ReadFile(fmt::format("{}/{}", folder, kConfigName), kConfigBytesMax));
  BATON_ASSIGN_OR_RETURN(texts.generation_config, ReadIfThere(folder, "generation_config.json"));
  BATON_ASSIGN_OR_RETURN(texts.tokenizer, ReadIfThere(folder, "tokenizer.json"));
  BATON_ASSIGN_OR_RETURN(texts.tokenizer_config, ReadIfThere(folder, "tokenizer_config.json"));
  BATON_ASSIGN_OR_RETURN(texts.chat_template, ReadIfThere(folder, "chat_template.jinja"));
  return texts;
}

// Reads stored rows and converts them. Read-only; any thread.
class RowReader {
 public:
  RowReader(std::span<const File> files, const Place& place) : files_(files), place_(place) {}

  // Rows [first, first + count) of one piece.
  Status Read(const Piece& piece, int64_t first, int64_t count, std::span<uint8_t> into) const {
    if (place_.conversion == Conversion::kNone && place_.row_step == 1)
      return ReadRun(piece.weight, first, into);
    BATON_ASSIGN_OR_RETURN(const Bytes rows, Rows(piece.weight, first, count));
    switch (place_.conversion) {
      case Conversion::kNone:
        std::copy(rows.begin(), rows.end(), into.begin());
        return OkStatus();
      case Conversion::kToFloat:
        ToFloats(rows, static_cast<size_t>(count), into);
        return OkStatus();
      case Conversion::kF8:
        return FromF8(piece, first, rows, into);
      case Conversion::kMxfp4: {
        BATON_ASSIGN_OR_RETURN(const Bytes scales, Rows(piece.scales, first, count));
        DecodeMxfp4(rows, scales, into);
        return OkStatus();
      }
      case Conversion::kMlx:
        break;
    }
    BATON_ASSIGN_OR_RETURN(const Bytes scales, Rows(piece.scales, first, count));
    BATON_ASSIGN_OR_RETURN(const Bytes biases, Rows(piece.biases, first, count));
    DecodeMlx(place_.mlx, rows, scales, biases, into);
    return OkStatus();
  }

 private:
  Status ReadRun(const Run& run, int64_t stored_row, std::span<uint8_t> into) const {
    return files_[run.file].mapping().ReadAt(
        run.offset + static_cast<uint64_t>(stored_row) * run.row_bytes, into);
  }

  int64_t StoredRow(int64_t row) const { return row * place_.row_step + place_.row_first; }

  Result<Bytes> Rows(const Run& run, int64_t first, int64_t count) const {
    const int64_t stored = StoredRow(first + count - 1) + 1 - StoredRow(first);
    Bytes rows(static_cast<uint64_t>(stored) * run.row_bytes);
    BATON_RETURN_IF_ERROR(ReadRun(run, StoredRow(first), rows));
    if (place_.row_step == 1) return rows;
    for (int64_t i = 1; i < count; ++i)
      std::copy_n(rows.begin() + i * place_.row_step * static_cast<int64_t>(run.row_bytes),
                  run.row_bytes, rows.begin() + i * static_cast<int64_t>(run.row_bytes));
    rows.resize(static_cast<uint64_t>(count) * run.row_bytes);
    return rows;
  }

  void ToFloats(const Bytes& rows, size_t count, std::span<uint8_t> into) const {
    const size_t element = SizeOf(place_.stored);
    const size_t stored_columns = rows.size() / count / element;
    const size_t columns = into.size() / count / sizeof(float);
    for (size_t row = 0; row < count; ++row) {
      for (size_t column = 0; column < columns; ++column) {
        const size_t from = row * stored_columns +
                            column * static_cast<size_t>(place_.column_step) +
                            static_cast<size_t>(place_.column_first);
        const float value = FloatAt(rows, place_.stored, from) + place_.offset;
        std::memcpy(into.data() + (row * columns + column) * sizeof(value), &value, sizeof(value));
      }
    }
  }

  static float FloatAt(const Bytes& bytes, StoredType type, size_t index) {
    if (type == StoredType::kF32) {
      float value;
      std::memcpy(&value, bytes.data() + index * sizeof(value), sizeof(value));
      return value;
    }
    uint16_t bits;
    std::memcpy(&bits, bytes.data() + index * sizeof(bits), sizeof(bits));
    return type == StoredType::kF16 ? FromHalf(bits) : FromBrain(bits);
  }

  Status FromF8(const Piece& piece, int64_t first, const Bytes& rows,
                std::span<uint8_t> into) const {
    const size_t row_bytes = piece.weight.row_bytes;
    const size_t count = rows.size() / row_bytes;
    std::vector<float> scales(piece.scales.row_bytes / SizeOf(place_.scales));
    int64_t scales_of = -1;
    for (size_t i = 0; i < count; ++i) {
      const int64_t block = StoredRow(first + static_cast<int64_t>(i)) / place_.f8_block;
      if (block != scales_of) {
        Bytes raw(piece.scales.row_bytes);
        BATON_RETURN_IF_ERROR(ReadRun(piece.scales, block, raw));
        for (size_t s = 0; s < scales.size(); ++s) scales[s] = FloatAt(raw, place_.scales, s);
        scales_of = block;
      }
      DecodeF8Row(std::span(rows).subspan(i * row_bytes, row_bytes), scales,
                  static_cast<size_t>(place_.f8_block),
                  into.subspan(i * row_bytes * sizeof(uint16_t), row_bytes * sizeof(uint16_t)));
    }
    return OkStatus();
  }

  const std::span<const File> files_;
  const Place& place_;
};

class FolderCheckpoint final : public Checkpoint {
 public:
  FolderCheckpoint(std::string path, Bytes metadata_bytes, gguf::Metadata metadata, Texts texts,
                   std::vector<File> files, TensorMap map)
      : Checkpoint(std::move(path), std::move(metadata), std::move(map.tensors)),
        metadata_bytes_(std::move(metadata_bytes)),
        texts_(std::move(texts)),
        files_(std::move(files)),
        places_(std::move(map.places)) {}

  std::optional<TokenizerFiles> tokenizer_files() const override { return texts_.ForTokenizer(); }

  void WillNeed(const TensorInfo& tensor, int64_t first, int64_t count) const override {
    const Place& place = places_[tensor.place];
    for (int64_t row = first; row < first + count;) {
      const int64_t begin = row % place.piece_rows;
      const int64_t rows = std::min(place.piece_rows - begin, first + count - row);
      const Run& run = place.pieces[static_cast<size_t>(row / place.piece_rows)].weight;
      const auto step = static_cast<uint64_t>(place.row_step) * run.row_bytes;
      files_[run.file].mapping().WillNeed(run.offset + static_cast<uint64_t>(begin) * step,
                                          static_cast<uint64_t>(rows) * step);
      row += rows;
    }
  }

  Result<std::string> Fingerprint() const override {
    Fingerprinter fingerprint;
    const auto add = [&](std::span<const uint8_t> bytes) {
      const uint64_t length = bytes.size();
      fingerprint.Add({reinterpret_cast<const uint8_t*>(&length), sizeof(length)});
      fingerprint.Add(bytes);
    };
    for (const std::string* text : {&texts_.config, &texts_.generation_config, &texts_.tokenizer,
                                    &texts_.tokenizer_config, &texts_.chat_template})
      add(AsBytes(*text));
    for (const File& file : files_) add(file.header_bytes());
    for (const File& file : files_) {
      for (const StoredTensor& tensor : file.tensors())
        BATON_RETURN_IF_ERROR(
            fingerprint.AddSample(file.mapping(), tensor.offset, tensor.size_bytes));
    }
    return std::move(fingerprint).Finish();
  }

 private:
  Status Read(const TensorInfo& tensor, int64_t first, int64_t count,
              std::span<uint8_t> into) const override {
    const Place& place = places_[tensor.place];
    const RowReader reader(files_, place);
    while (count > 0) {
      const int64_t begin = first % place.piece_rows;
      const int64_t rows = std::min(place.piece_rows - begin, count);
      const uint64_t bytes = static_cast<uint64_t>(rows) * tensor.row_bytes();
      BATON_RETURN_IF_ERROR(reader.Read(place.pieces[static_cast<size_t>(first / place.piece_rows)],
                                        begin, rows, into.first(bytes)));
      into = into.subspan(bytes);
      first += rows;
      count -= rows;
    }
    return OkStatus();
  }

  void DropHeaders() override {
    metadata_bytes_ = {};
    texts_ = {};
    for (File& file : files_) file.DropHeader();
  }

  Bytes metadata_bytes_;
  Texts texts_;
  std::vector<File> files_;
  const std::vector<Place> places_;
};

Result<std::vector<File>> OpenFiles(const std::string& folder) {
  BATON_ASSIGN_OR_RETURN(const auto names, ShardNames(folder));
  std::vector<File> files;
  for (const std::string& name : names) {
    BATON_ASSIGN_OR_RETURN(File file, File::Open(fmt::format("{}/{}", folder, name)));
    files.push_back(std::move(file));
  }
  return files;
}

// What people call a model: its folder, or in Hugging Face's cache the repository.
std::string NameOfFolder(std::string folder) {
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  constexpr std::string_view kRepository = "models--";
  constexpr std::string_view kSnapshots = "/snapshots/";
  const size_t snapshots = folder.rfind(kSnapshots);
  if (snapshots != std::string::npos) {
    const std::string repository = folder.substr(0, snapshots);
    const size_t begin = repository.rfind('/') + 1;
    const size_t separator = repository.rfind("--");
    if (repository.compare(begin, kRepository.size(), kRepository) == 0 && separator > begin)
      return repository.substr(separator + 2);
  }
  return folder.substr(folder.rfind('/') + 1);
}

Status CheckHead(const HubConfig& config, const TensorMap& map) {
  const auto has_head = [&] {
    return std::any_of(map.tensors.begin(), map.tensors.end(),
                       [](const TensorInfo& info) { return info.name == "output.weight"; });
  };
  if (config.tied || has_head()) return OkStatus();
  return MakeError(Code::kInvalidArgument,
                   "tensor 'lm_head.weight' is missing, and config.json does not tie it");
}

Result<std::unique_ptr<Checkpoint>> OpenFolder(const std::string& folder) {
  BATON_ASSIGN_OR_RETURN(Texts texts, ReadTexts(folder));
  BATON_ASSIGN_OR_RETURN(HubConfig config,
                         ReadConfig(texts.config, texts.generation_config, NameOfFolder(folder)));
  BATON_ASSIGN_OR_RETURN(auto header, gguf::ParseHeader(config.metadata, config.metadata.size()));
  BATON_ASSIGN_OR_RETURN(std::vector<File> files, OpenFiles(folder));
  BATON_ASSIGN_OR_RETURN(TensorMap map, MapTensors(config, files));
  BATON_RETURN_IF_ERROR(CheckHead(config, map));
  return std::unique_ptr<Checkpoint>(std::make_unique<FolderCheckpoint>(
      folder, std::move(config.metadata), std::move(header.metadata), std::move(texts),
      std::move(files), std::move(map)));
}

}  // namespace

Result<std::unique_ptr<Checkpoint>> OpenCheckpoint(const std::string& folder) {
  auto opened = OpenFolder(folder);
  if (!opened.ok()) return opened.error().Within(folder);
  return opened;
}

}  // namespace baton::safetensors
