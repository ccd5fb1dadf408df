#include "model/safetensors/tensor_map.h"

#include <algorithm>
#include <map>

#include "base/log.h"

namespace baton::safetensors {
namespace {

struct Stored {
  const StoredTensor* tensor = nullptr;
  size_t file = 0;
};

// The parts of one matrix.
struct Parts {
  Stored weight, bias, scales, biases, weight_scale, blocks;

  Stored* Of(std::string_view role) {
    if (role == "weight") return &weight;
    if (role == "bias") return &bias;
    if (role == "scales") return &scales;
    if (role == "biases") return &biases;
    return role == "blocks" ? &blocks : &weight_scale;
  }
};

// What becomes one module of ours: one matrix, or one of each expert.
struct Module {
  const ModuleRow* row = nullptr;
  std::map<int64_t, Parts> by_expert;
};
using Modules = std::map<std::string, Module, std::less<>>;

Error Refuse(const StoredTensor& tensor, std::string_view why) {
  return MakeError(Code::kInvalidArgument, "tensor '{}' ({}) {}", log::Escape(tensor.name),
                   Describe(tensor), why);
}

Result<Modules> Collect(const HubConfig& config, std::span<const TensorsOfFile> files) {
  Modules modules;
  for (size_t file = 0; file < files.size(); ++file) {
    for (const StoredTensor& tensor : files[file]) {
      BATON_ASSIGN_OR_RETURN(const auto names,
                             ParseTensorName(*config.architecture, config.layers, tensor.name));
      for (const TensorName& name : names) {
        if (config.tied && name.module == "output") continue;
        Module& module = modules[name.module];
        module.row = name.row;
        Stored& stored = *module.by_expert[name.expert].Of(name.role);
        if (stored.tensor != nullptr) return Refuse(tensor, "and another are the same to us");
        stored = {&tensor, file};
      }
    }
  }
  return modules;
}

// Makes the tensors of one module.
class Mapper {
 public:
  Mapper(const HubConfig& config, const Module& module)
      : config_(config), module_(module), rows_(module.row->rows) {}

  // {cols, rows, experts} and where they are.
  Status Weights(TensorInfo& info, Place& place) const {
    for (const auto& [expert, parts] : module_.by_expert) {
      TensorInfo one = info;
      Place one_place{.row_step = step(), .row_first = first()};
      BATON_RETURN_IF_ERROR(Matrix(parts, one, one_place));
      BATON_RETURN_IF_ERROR(Join(expert, parts, one, one_place, info, place));
    }
    place.piece_rows = info.rows() / static_cast<int64_t>(place.pieces.size());
    return OkStatus();
  }

  // All biases, as F32.
  Status Biases(TensorInfo& info, Place& place) const {
    const Stored& bias = module_.by_expert.begin()->second.bias;
    const StoredTensor& tensor = *bias.tensor;
    if (module_.by_expert.size() != 1 || tensor.dimensions < 1 || tensor.dimensions > 2)
      return Refuse(tensor, "is no vector, or that of one expert");
    BATON_RETURN_IF_ERROR(Floats(bias, 0, info, place));
    place.piece_rows = info.rows();
    if (info.shape[0] % step() != 0) return Refuse(tensor, "is not pairs");
    info.shape[0] /= step();
    place.column_step = step();
    place.column_first = first();
    return OkStatus();
  }

 private:
  int64_t step() const { return rows_ == RowChoice::kAll ? 1 : 2; }
  int64_t first() const { return rows_ == RowChoice::kOdd ? 1 : 0; }

  // The experts of a layer are alike and follow each other.
  static Status Join(int64_t expert, const Parts& parts, const TensorInfo& one,
                     const Place& one_place, TensorInfo& info, Place& place) {
    const StoredTensor& named = *NamedBy(parts);
    if (expert >= 0 && parts.bias.tensor != nullptr)
      return Refuse(*parts.bias.tensor, "is a bias of one expert");
    if (expert >= 0 && one.shape[2] != 1) return Refuse(named, "is more than one expert");
    if (expert >= 0 && expert != static_cast<int64_t>(place.pieces.size()))
      return Refuse(named, fmt::format("has no expert {} before it", place.pieces.size()));
    if (place.pieces.empty()) {
      info = one;
      place = one_place;
      return OkStatus();
    }
    const bool alike = one.type == info.type && one.shape[0] == info.shape[0] &&
                       one.shape[1] == info.shape[1] && one_place.conversion == place.conversion &&
                       one_place.stored == place.stored && one_place.scales == place.scales &&
                       one_place.f8_rows == place.f8_rows &&
                       one_place.f8_columns == place.f8_columns &&
                       one_place.mlx.group_size == place.mlx.group_size;
    if (!alike) return Refuse(named, "is not like those of the experts before it");
    ++info.shape[2];
    place.pieces.push_back(one_place.pieces[0]);
    return OkStatus();
  }

  static const StoredTensor* NamedBy(const Parts& parts) {
    return parts.weight.tensor != nullptr ? parts.weight.tensor : parts.blocks.tensor;
  }

  Status Matrix(const Parts& parts, TensorInfo& info, Place& place) const {
    if (parts.blocks.tensor != nullptr) return Mxfp4(parts, info, place);
    if (parts.weight.tensor == nullptr) return WithoutWeight(parts);
    const StoredTensor& weight = *parts.weight.tensor;
    if (weight.dimensions < 1 || weight.dimensions > 3) return Refuse(weight, "is no matrix");
    if (weight.type == StoredType::kU32) return Mlx(parts, info, place);
    if (parts.scales.tensor != nullptr || parts.biases.tensor != nullptr)
      return Refuse(weight, "has scales or biases that its type does not");
    if (weight.type == StoredType::kF8E4M3) return F8(parts, info, place);
    if (parts.weight_scale.tensor != nullptr)
      return Refuse(*parts.weight_scale.tensor, "scales a weight whose type has no scale");
    if (weight.dimensions == 1) {
      const float offset = config_.architecture->norms_are_offsets ? 1 : 0;
      return Floats(parts.weight, offset, info, place);
    }
    const bool parameter = !weight.name.ends_with(".weight");
    if (module_.row->inputs_first && parameter && weight.dimensions == 3)
      return Transposed(parts.weight, info, place);
    return Plain(parts.weight, info, place);
  }

  static Status WithoutWeight(const Parts& parts) {
    for (const Stored* stored : {&parts.scales, &parts.biases, &parts.weight_scale}) {
      if (stored->tensor != nullptr) return Refuse(*stored->tensor, "belongs to no weight");
    }
    return MakeError(Code::kInvalidArgument, "tensor '{}' has no weight beside it",
                     log::Escape(parts.bias.tensor->name));
  }

  // Shape and run of a matrix, a stack of them, or a vector, whose elements take so many bits.
  static void Lay(const Stored& stored, Shape& shape, Run& run) {
    const StoredTensor& tensor = *stored.tensor;
    shape = {1, 1, 1, 1};
    for (size_t i = 0; i < tensor.dimensions; ++i)
      shape[i] = tensor.shape[tensor.dimensions - 1 - i];
    run = {stored.file, tensor.offset, static_cast<uint64_t>(shape[0]) * SizeOf(tensor.type)};
  }

  Status ChooseRows(const StoredTensor& tensor, TensorInfo& info) const {
    if (info.shape[1] % step() != 0) return Refuse(tensor, "is not pairs of rows");
    info.shape[1] /= step();
    return OkStatus();
  }

  static Result<DType> PlainType(const StoredTensor& weight) {
    if (weight.type == StoredType::kF32) return DType::kF32;
    if (weight.type == StoredType::kF16) return DType::kF16;
    if (weight.type == StoredType::kBF16) return DType::kBF16;
    return Refuse(weight, "is of a type that weights do not have");
  }

  Status Plain(const Stored& weight, TensorInfo& info, Place& place) const {
    BATON_ASSIGN_OR_RETURN(info.type, PlainType(*weight.tensor));
    place.conversion = Conversion::kNone;
    Piece piece;
    Lay(weight, info.shape, piece.weight);
    place.pieces.push_back(piece);
    return ChooseRows(*weight.tensor, info);
  }

  // [experts][inputs][outputs]: our rows are their columns.
  Status Transposed(const Stored& weight, TensorInfo& info, Place& place) const {
    const StoredTensor& tensor = *weight.tensor;
    if (tensor.size_bytes == 0) return Refuse(tensor, "is empty");
    BATON_ASSIGN_OR_RETURN(info.type, PlainType(tensor));
    const auto [experts, inputs, outputs, _] = tensor.shape;
    if (outputs % step() != 0) return Refuse(tensor, "is not pairs of columns");
    Piece piece;
    Lay(weight, info.shape, piece.weight);
    info.shape = {inputs, outputs / step(), experts, 1};
    place.conversion = Conversion::kTransposed;
    place.stored = tensor.type;
    place.row_step = 1;
    place.row_first = 0;
    place.column_step = step();
    place.column_first = first();
    for (int64_t expert = 0; expert < experts; ++expert) {
      place.pieces.push_back(piece);
      piece.weight.offset += static_cast<uint64_t>(inputs) * piece.weight.row_bytes;
    }
    return OkStatus();
  }

  Status Floats(const Stored& stored, float offset, TensorInfo& info, Place& place) const {
    const StoredType type = stored.tensor->type;
    if (type != StoredType::kF32 && type != StoredType::kF16 && type != StoredType::kBF16)
      return Refuse(*stored.tensor, "is of a type that norms and biases do not have");
    info.type = DType::kF32;
    place.conversion = Conversion::kToFloat;
    place.stored = type;
    place.offset = offset;
    Piece piece;
    Lay(stored, info.shape, piece.weight);
    place.pieces.push_back(piece);
    return OkStatus();
  }

  Status F8(const Parts& parts, TensorInfo& info, Place& place) const {
    const StoredTensor& weight = *parts.weight.tensor;
    const StoredTensor* scales = parts.weight_scale.tensor;
    if (weight.dimensions != 2) return Refuse(weight, "is no matrix of rows and columns");
    if (scales == nullptr) return Refuse(weight, "has no weight_scale or weight_scale_inv");
    if (scales->type != StoredType::kF32 && scales->type != StoredType::kBF16 &&
        scales->type != StoredType::kF16)
      return Refuse(*scales, "is of a type that scales do not have");
    place.conversion = Conversion::kF8;
    place.scales = scales->type;
    BATON_RETURN_IF_ERROR(ShareScales(weight, *scales, place));
    info.type = DType::kBF16;
    Piece piece;
    Lay(parts.weight, info.shape, piece.weight);
    const auto per_row = static_cast<uint64_t>(BlocksIn(weight.shape[1], place.f8_columns));
    piece.scales = {parts.weight_scale.file, scales->offset, per_row * SizeOf(scales->type)};
    place.pieces.push_back(piece);
    return ChooseRows(weight, info);
  }

  static int64_t BlocksIn(int64_t extent, int64_t block) { return (extent + block - 1) / block; }

  // Rows and columns that share a scale: of a block, of all, or of each row, by the scales' shape.
  Status ShareScales(const StoredTensor& weight, const StoredTensor& scales, Place& place) const {
    const F8Scales& f8 = config_.quantization.f8;
    const int64_t rows = weight.shape[0];
    if (f8.block_rows > 0 && scales.dimensions == 2 &&
        scales.shape[0] == BlocksIn(rows, f8.block_rows) &&
        scales.shape[1] == BlocksIn(weight.shape[1], f8.block_columns)) {
      place.f8_rows = f8.block_rows;
      place.f8_columns = f8.block_columns;
      return OkStatus();
    }
    const bool column = scales.dimensions <= 2 && scales.shape[1] == 1;
    if (f8.whole && column && (scales.shape[0] == 1 || scales.shape[0] == rows)) {
      place.f8_rows = scales.shape[0] == 1 ? std::max<int64_t>(rows, 1) : 1;
      place.f8_columns = std::max<int64_t>(weight.shape[1], 1);
      return OkStatus();
    }
    return Refuse(scales, fmt::format("does not scale a {} as config.json says: {}",
                                      Describe(weight), Wanted(f8)));
  }

  static std::string Wanted(const F8Scales& f8) {
    const std::string blocks =
        f8.block_rows > 0 ? fmt::format("blocks of {}x{}", f8.block_rows, f8.block_columns) : "";
    if (!f8.whole) return blocks.empty() ? "no fp8" : blocks;
    return blocks + (blocks.empty() ? "" : ", ") + "all of it or each row";
  }

  // blocks [experts][rows][cols / 32][16] and scales [experts][rows][cols / 32].
  Status Mxfp4(const Parts& parts, TensorInfo& info, Place& place) const {
    const StoredTensor& blocks = *parts.blocks.tensor;
    const StoredTensor* scales = parts.scales.tensor;
    if (blocks.dimensions != 4 || blocks.type != StoredType::kU8 || blocks.shape[3] != 16)
      return Refuse(blocks, "is not [experts][rows][blocks][16] U8");
    if (scales == nullptr || scales->dimensions != 3 || scales->type != StoredType::kU8 ||
        !std::equal(scales->shape.begin(), scales->shape.begin() + 3, blocks.shape.begin()))
      return Refuse(blocks, "has no scales U8 of its experts, rows and blocks");
    place.conversion = Conversion::kMxfp4;
    info.type = DType::kMXFP4;
    const int64_t per_row = blocks.shape[2];
    int64_t columns = 0;
    if (__builtin_mul_overflow(per_row, 32, &columns)) return Refuse(blocks, "is too large");
    info.shape = {columns, blocks.shape[1], blocks.shape[0], 1};
    const auto row_blocks = static_cast<uint64_t>(per_row);
    place.pieces.push_back({.weight = {parts.blocks.file, blocks.offset, row_blocks * 16},
                            .scales = {parts.scales.file, scales->offset, row_blocks}});
    return ChooseRows(blocks, info);
  }

  // words [..., rows][cols / 8], whose bytes are those of blocks, and scales [..., rows][cols /
  // 32].
  Status MlxMxfp4(const Parts& parts, TensorInfo& info, Place& place) const {
    const StoredTensor& weight = *parts.weight.tensor;
    const StoredTensor* scales = parts.scales.tensor;
    if (scales == nullptr || scales->type != StoredType::kU8 || parts.biases.tensor != nullptr ||
        weight.dimensions < 2)
      return Refuse(weight, "of mode mxfp4 has no scales U8, or biases");
    place.conversion = Conversion::kMxfp4;
    info.type = DType::kMXFP4;
    Piece piece;
    Shape scale_shape;
    Lay(parts.weight, info.shape, piece.weight);
    Lay(parts.scales, scale_shape, piece.scales);
    info.shape[0] *= 8;  // below 2^62: the words are in the file
    Shape expected = info.shape;
    expected[0] /= 32;
    if (info.shape[0] % 32 != 0 || scale_shape != expected)
      return Refuse(weight,
                    fmt::format("of mode mxfp4 does not go with scales {}", Describe(*scales)));
    place.pieces.push_back(piece);
    return ChooseRows(weight, info);
  }

  // words [..., rows][cols * bits / 32], scales and biases [..., rows][cols / group].
  Status Mlx(const Parts& parts, TensorInfo& info, Place& place) const {
    const StoredTensor& weight = *parts.weight.tensor;
    const StoredTensor* scales = parts.scales.tensor;
    const StoredTensor* biases = parts.biases.tensor;
    const std::string_view module = weight.name.substr(0, weight.name.rfind('.'));
    const MlxGroups& groups = config_.quantization.MlxOf(module);
    if (groups.mxfp4) return MlxMxfp4(parts, info, place);
    if (groups.bits == 0 || scales == nullptr || biases == nullptr || weight.dimensions < 2)
      return Refuse(weight, "has no scales and biases, or config.json no MLX quantization");
    BATON_ASSIGN_OR_RETURN(place.mlx.scales, ScaleTypeOf(*scales));
    place.conversion = Conversion::kMlx;
    place.mlx.bits = static_cast<int>(groups.bits);
    place.mlx.group_size = static_cast<int>(groups.size);
    info.type = TypeOf(place.mlx);
    Piece piece;
    Shape scale_shape, bias_shape;
    Lay(parts.weight, info.shape, piece.weight);
    Lay(parts.scales, scale_shape, piece.scales);
    Lay(parts.biases, bias_shape, piece.biases);
    const int64_t words = info.shape[0];
    info.shape[0] = words * 32 / groups.bits;  // below 2^62: the words are in the file
    Shape expected = info.shape;
    expected[0] /= groups.size;
    if (info.shape[0] % groups.size != 0 || scale_shape != expected || bias_shape != expected ||
        biases->type != scales->type)
      return Refuse(weight,
                    fmt::format("of {} bits in groups of {} does not go with scales {} and "
                                "biases {}",
                                groups.bits, groups.size, Describe(*scales), Describe(*biases)));
    place.pieces.push_back(piece);
    return ChooseRows(weight, info);
  }

  static Result<ScaleType> ScaleTypeOf(const StoredTensor& scales) {
    if (scales.type == StoredType::kF16) return ScaleType::kF16;
    if (scales.type == StoredType::kBF16) return ScaleType::kBF16;
    if (scales.type == StoredType::kF32) return ScaleType::kF32;
    return Refuse(scales, "is of a type that scales do not have");
  }

  const HubConfig& config_;
  const Module& module_;
  const RowChoice rows_;
};

bool IsBiasAlone(const Parts& parts) {
  return parts.bias.tensor != nullptr && parts.weight.tensor == nullptr &&
         parts.blocks.tensor == nullptr;
}

// What the rest of baton expects of any tensor: extents of which rows are whole blocks.
Status CheckInfo(TensorInfo& info) {
  const DTypeInfo& type = InfoOf(info.type);
  const bool empty = std::find(info.shape.begin(), info.shape.end(), 0) != info.shape.end();
  if (empty || info.shape[0] % static_cast<int64_t>(type.block_elements) != 0)
    return MakeError(Code::kInvalidArgument, "tensor '{}' of {} {} is not whole blocks", info.name,
                     fmt::join(info.shape, "x"), type.name);
  info.size_bytes = info.row_bytes() * static_cast<uint64_t>(info.rows());
  return OkStatus();
}

}  // namespace

Result<TensorMap> MapTensors(const HubConfig& config, std::span<const TensorsOfFile> files) {
  BATON_ASSIGN_OR_RETURN(const Modules modules, Collect(config, files));
  TensorMap map;
  for (const auto& [name, module] : modules) {
    const Mapper mapper(config, module);
    const Parts& first = module.by_expert.begin()->second;
    for (const std::string_view role : {"weight", "bias"}) {
      const bool biases = role == "bias";
      if (biases ? first.bias.tensor == nullptr : IsBiasAlone(first)) continue;
      TensorInfo info{.name = fmt::format("{}.{}", name, role), .place = map.places.size()};
      Place place;
      BATON_RETURN_IF_ERROR(biases ? mapper.Biases(info, place) : mapper.Weights(info, place));
      BATON_RETURN_IF_ERROR(CheckInfo(info));
      map.tensors.push_back(std::move(info));
      map.places.push_back(std::move(place));
    }
  }
  return map;
}

}  // namespace baton::safetensors
