// Frames from a peer: header, then the decoder of its type, then what the messages are turned into.
// The input is what a connection carries: frames one after another (docs/formats/wire.md).
// fuzz: modules cluster
//
// The hashes in the headers of chunks, seals and activations stop a fuzzer at the door, so each of
// those frames is tried twice: as it is, and with its hashes made right.
#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "cluster/convert.h"
#include "cluster/seat.h"
#include "kv/chunk.h"
#include "net/handshake.h"
#include "net/link.pb.h"
#include "wire/activation.h"
#include "wire/frame.h"
#include "wire/hash.h"

namespace baton {
namespace {

using wire::FrameType;

constexpr size_t kChunkHeaderBytes = 80;  // of activations, too
constexpr size_t kSealBytes = 64;

// The node and the model that a SequenceOpen is judged against.
NodeId Self() {
  std::array<uint8_t, NodeId::kBytes> key;
  key.fill('s');
  return NodeId(key);
}

ModelSpec SmallModel() {
  ModelSpec model;
  model.n_layers = 4;
  model.hidden_width = 64;
  model.n_heads = 2;
  model.n_kv_heads = 1;
  model.head_dim = 32;
  model.ffn_width = 128;
  model.vocab_size = 256;
  model.context_length = 128;
  return model;
}

void PutHash(Bytes& frame, size_t at, uint64_t hash) {
  std::memcpy(frame.data() + at, &hash, sizeof(hash));
}

// As the sender would have hashed it.
Bytes WithHashes(Bytes frame, size_t header_bytes) {
  if (frame.size() < header_bytes) return frame;
  const std::span<const uint8_t> all(frame);
  if (header_bytes == kChunkHeaderBytes) {
    const uint64_t payload_bytes = frame.size() - header_bytes;
    std::memcpy(frame.data() + header_bytes - 24, &payload_bytes, sizeof(payload_bytes));
    PutHash(frame, header_bytes - 16, wire::Hash64(all.subspan(header_bytes)));
  }
  PutHash(frame, header_bytes - 8, wire::Hash64(all.first(header_bytes - 8)));
  return frame;
}

void TryChunk(const Bytes& frame) {
  const auto chunk = kv::DecodeChunk(frame);
  if (!chunk.ok()) return;
  const kv::ChunkHeader& header = chunk->header;
  CHECK(chunk->payload.size() == kv::PayloadBytes(header));
  CHECK(chunk->payload.data() + chunk->payload.size() <= frame.data() + frame.size());
  kv::ChunkBuilder builder(header);
  std::copy(chunk->payload.begin(), chunk->payload.end(), builder.payload().begin());
  const Bytes again = std::move(builder).Finish();
  CHECK(kv::DecodeChunk(again).ok());
}

void TrySeal(const Bytes& frame) {
  const auto seal = kv::DecodeSeal(frame);
  if (!seal.ok()) return;
  CHECK(seal->layers.first < seal->layers.last);
  CHECK(kv::DecodeSeal(kv::EncodeSeal(*seal)).ok());
}

void TryActivation(const Bytes& frame) {
  const auto activation = wire::DecodeActivation(frame);
  if (!activation.ok()) return;
  const Bytes again = wire::EncodeActivation(activation->header, activation->rows);
  CHECK(again.size() == frame.size());
  CHECK(wire::DecodeActivation(again).ok());
}

void TryLink(const Bytes& frame) {
  net::LinkMessage message;
  if (!message.ParseFromArray(frame.data(), static_cast<int>(frame.size()))) return;
  // Signatures are slow and no fuzzer forges them: a few entries tell as much as many.
  google::protobuf::RepeatedPtrField<net::RosterEntryProto> entries(message.roster().entries());
  entries.MergeFrom(message.join_reply().entries());
  while (entries.size() > 4) entries.RemoveLast();
  const auto roster = net::Roster::Adopt(net::FromProto(entries));
  if (roster.ok()) CHECK(roster->member_count() <= roster->entries().size());
}

void TryOpen(const cluster::SequenceOpen& open) {
  static const ModelSpec model = SmallModel();
  const auto spec = cluster::SpecFromProto(open, NodeId(), Self(), model);
  if (!spec.ok()) return;
  CHECK(spec->stage < spec->pipeline.size());
  CHECK(spec->pipeline.front().layers.first == 0);
  CHECK(spec->pipeline.back().layers.last == model.n_layers);
  CHECK(spec->self().node == Self());
  CHECK(!spec->tokens.empty());
  CHECK(static_cast<int>(spec->tokens.size()) + spec->tokens_left <= model.context_length);
  for (const kv::ExportTarget& target : spec->kv_targets)
    CHECK(target.layers.first >= spec->self().layers.first &&
          target.layers.last <= spec->self().layers.last);
}

void TryCluster(const Bytes& frame) {
  cluster::ClusterMessage message;
  if (!message.ParseFromArray(frame.data(), static_cast<int>(frame.size()))) return;
  if (message.has_node()) cluster::ToProto(cluster::FromProto(message.node().device()));
  if (message.has_instance()) {
    const cluster::PlanRecord& record = message.instance().plan();
    const plan::Plan plan = cluster::FromProto(record);
    cluster::ToProto(plan, cluster::FromProto(record.workload()));
    google::protobuf::RepeatedPtrField<cluster::StageRef> stages;
    for (const auto& stage : cluster::PipelineOf(plan.decode)) *stages.Add() = ToProto(stage);
    const auto pipeline = cluster::FromProto(stages, 0);
    if (pipeline.ok()) CHECK(pipeline->size() == plan.decode.size());
    cluster::ToProto(cluster::FromProto(message.instance().constraints()));
  }
  if (message.has_open()) TryOpen(message.open());
}

void Try(FrameType type, Bytes payload) {
  switch (type) {
    case FrameType::kLink:
      return TryLink(payload);
    case FrameType::kCluster:
      return TryCluster(payload);
    case FrameType::kKvChunk:
      TryChunk(payload);
      return TryChunk(WithHashes(std::move(payload), kChunkHeaderBytes));
    case FrameType::kKvSeal:
      TrySeal(payload);
      return TrySeal(WithHashes(std::move(payload), kSealBytes));
    case FrameType::kActivation:
      TryActivation(payload);
      return TryActivation(WithHashes(std::move(payload), kChunkHeaderBytes));
    case FrameType::kProbe:
      return;
  }
}

void TryStream(std::span<const uint8_t> bytes) {
  while (bytes.size() >= wire::kFrameHeaderBytes) {
    const auto head = bytes.first<wire::kFrameHeaderBytes>();
    const auto unproven = wire::DecodeFrameHeader(head, false);
    const auto header = wire::DecodeFrameHeader(head, true);
    if (unproven.ok()) CHECK(header.ok() && unproven->type == FrameType::kLink);
    if (!header.ok()) return;
    CHECK(std::ranges::equal(wire::EncodeFrameHeader(*header), head));
    CHECK(header->payload_bytes <= wire::PayloadMaxOf(header->type));
    bytes = bytes.subspan(head.size());
    // A length beyond the input is where a connection would wait: take what is there.
    const size_t size = std::min<size_t>(header->payload_bytes, bytes.size());
    Try(header->type, Bytes(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size)));
    bytes = bytes.subspan(size);
  }
}

}  // namespace
}  // namespace baton

// What protobuf would print of each broken message.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  baton::TryStream({data, size});
  return 0;
}
