// Groups: ordered stages that cover all layers once, and what each stage of each node would cost.
// Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "plan/cost.h"
#include "plan/memory_pools.h"
#include "plan/pools.h"

namespace baton::plan {

struct GroupStage {
  size_t node = 0;  // index into ClusterProfile::nodes
  LayerRange layers;
  bool operator==(const GroupStage&) const = default;
};
using Group = std::vector<GroupStage>;

// What the search asks again and again, computed once per planning: every layer range that fits a
// node, and the time of each kind of message on each link.
class CostTable {
 public:
  // All three must outlive it.
  CostTable(const ClusterProfile& cluster, const ModelCost& model, const Workload& workload);
  // With nothing but these ranges of layers, for who knows what will be asked.
  CostTable(const ClusterProfile& cluster, const ModelCost& model, const Workload& workload,
            const std::vector<LayerRange>& only);

  // As one of so many stages.
  StageCost At(size_t node, LayerRange layers, size_t stages) const;
  bool Fits(size_t node, LayerRange layers) const {
    return layers.last <= LastThatFits(node, layers.first);
  }
  // The largest `last` with which the layers from `first` on fit the node; `first` if none does.
  int LastThatFits(size_t node, int first) const {
    return last_fitting_[node * static_cast<size_t>(model_.n_layers()) +
                         static_cast<size_t>(first)];
  }
  uint64_t MemoryOf(LayerRange layers) const { return memory_[Cell(layers)]; }

  // Of layers that fit. A chunk is one of a pipeline.
  double PrefillChunk(size_t node, LayerRange layers) const {
    return RowsOf(node).chunk[Cell(layers)];
  }
  double PrefillWhole(size_t node, LayerRange layers) const {
    return RowsOf(node).whole[Cell(layers)];
  }
  // The same as a stage of several, whose chunks may be smaller.
  double PrefillPiped(size_t node, LayerRange layers) const {
    return RowsOf(node).piped[Cell(layers)];
  }
  // As one of so many stages.
  double PrefillOf(size_t node, LayerRange layers, size_t stages) const {
    return stages > 1 ? PrefillPiped(node, layers) : PrefillWhole(node, layers);
  }
  // A token of each request at once, and of one request alone.
  double DecodeStep(size_t node, LayerRange layers) const {
    return RowsOf(node).step[Cell(layers)];
  }
  double DecodeOne(size_t node, LayerRange layers) const { return RowsOf(node).one[Cell(layers)]; }
  // A token of each of `requests`, at most the workload's concurrency.
  double DecodeBatch(size_t node, LayerRange layers, double requests) const;
  // How far `requests` are from one (0) to all of them (1).
  double BatchPart(double requests) const {
    return concurrency_ > 1 ? (requests - 1) / (concurrency_ - 1) : 1;
  }

  // Seconds of one node's ranges that begin at one layer, each by the layer it ends at. Not of a
  // table of few ranges.
  struct Ranges {
    const double *chunk, *whole, *piped, *step, *one;
    // A prompt, as one of so many stages.
    const double* Prompt(size_t stages) const { return stages > 1 ? piped : whole; }
    // A token of each of a batch that is so far (BatchPart()) from one request to all.
    double Batch(int last, double part) const {
      return one[last] + (step[last] - one[last]) * part;
    }
  };
  Ranges RangesFrom(size_t node, int first) const {
    const Rows& rows = RowsOf(node);
    const size_t at = Cell({first, 0});
    return {&rows.chunk[at], &rows.whole[at], &rows.piped[at], &rows.step[at], &rows.one[at]};
  }

  // As fast as one another, with as much memory, and in the same pools.
  bool SameCosts(size_t a, size_t b) const;
  // Of two links, or of none where there are none.
  bool SameLink(size_t from, size_t to, size_t other_from, size_t other_to) const {
    return links_[from * nodes_ + to] == links_[other_from * nodes_ + other_to];
  }

  // One way from node to node; infinite where there is no link.
  double ChunkHop(size_t from, size_t to) const { return links_[from * nodes_ + to].chunk_hop_s; }
  double StepHop(size_t from, size_t to) const { return links_[from * nodes_ + to].step_hop_s; }
  double TokenHop(size_t from, size_t to) const { return links_[from * nodes_ + to].token_hop_s; }
  double BytesPerSecond(size_t from, size_t to) const {
    return links_[from * nodes_ + to].bytes_per_s;
  }
  double HalfRtt(size_t from, size_t to) const { return links_[from * nodes_ + to].half_rtt_s; }
  // The ports that a link leaves and arrives by, in one direction each. A port sends as fast as the
  // fastest of its links, and receives as fast as any goes either way.
  struct PortOf {
    uint32_t id;
    double bytes_per_s;
  };
  PortOf OutPort(size_t from, size_t to) const {
    const Link& link = links_[from * nodes_ + to];
    return {PortId(from, link.out_port), link.out_bytes_per_s};
  }
  PortOf InPort(size_t from, size_t to) const {
    const Link& link = links_[from * nodes_ + to];
    return {PortId(to, link.in_port) + 1, link.in_bytes_per_s};
  }
  // Of a node with one port; 0: it has several, or none.
  double OnlyOutRate(size_t node) const { return only_out_[node]; }
  double OnlyInRate(size_t node) const { return only_in_[node]; }

  // Tokens whose KV a prompt sends of these layers, and bytes of one of them.
  double SentTokens(LayerRange layers) const {
    return sent_tokens_[static_cast<size_t>(layers.last)] -
           sent_tokens_[static_cast<size_t>(layers.first)];
  }
  double SentTokenBytes() const { return sent_token_bytes_; }

  // Of a prompt in a pipeline.
  double chunk_tokens() const { return chunk_tokens_; }
  double chunks() const { return chunks_; }
  // Of a prompt that so many stages share.
  double ChunksOf(size_t stages) const { return stages > 1 ? chunks_ : chunks_alone_; }
  // Tokens that follow the first.
  double later_tokens() const { return later_tokens_; }
  int concurrency() const { return concurrency_; }
  // Of all requests together, those that a request takes for itself.
  double steps_per_request() const {
    return std::max(1, workload_.answer_tokens) / static_cast<double>(concurrency_);
  }
  bool counts_throughput() const { return workload_.objective == Objective::kThroughput; }

  const Pools& pools() const { return pools_; }
  const MemoryPools& memory_pools() const { return memory_pools_; }
  // Of its machine's memory, while a node generates for so many requests.
  double MemoryShareOf(size_t node, double requests) const {
    const MemoryShares& shares = memory_shares_[node];
    return shares.one + (shares.all - shares.one) * BatchPart(requests);
  }
  const ClusterProfile& cluster() const { return cluster_; }
  const ModelCost& model() const { return model_; }
  const Workload& workload() const { return workload_; }

 private:
  // Devices of one kind share them.
  struct Rows {
    std::vector<double> chunk, whole, piped, step, one;
  };
  struct Link {
    double chunk_hop_s, step_hop_s, token_hop_s;  // rows of a chunk, of a step; a token
    double bytes_per_s, half_rtt_s;
    uint32_t out_port = 0, in_port = 0;  // of those that the node has
    double out_bytes_per_s = 0, in_bytes_per_s = 0;
    bool operator==(const Link&) const = default;
  };
  size_t Cell(LayerRange layers) const {
    return place_[static_cast<size_t>(layers.first)] * places_ +
           place_[static_cast<size_t>(layers.last)];
  }
  static uint32_t PortId(size_t node, uint32_t port) {
    return static_cast<uint32_t>(node) << 16 | port << 1;
  }
  const Rows& RowsOf(size_t node) const { return rows_[row_of_[node]]; }
  // Of one row each; ranges that do not fit are left out.
  void FillCell(const CostModel::OnDevice& alone, const CostModel::OnDevice& in_pipelines,
                LayerRange layers, Rows& rows) const;
  Rows EmptyRows() const;
  void Place(const std::vector<LayerRange>& only);
  void CountSent();
  void FillOnly(const std::vector<LayerRange>& only);
  void FillMemory();
  void FillRows();
  void FillMemoryShares();
  void FillLinks();
  void FillPorts(const std::vector<std::vector<const LinkProfile*>>& links);

  const ClusterProfile& cluster_;
  const ModelCost& model_;
  const Workload& workload_;
  const Workload piped_;  // with the chunks of a pipeline
  const CostModel cost_, piped_cost_;
  const Pools pools_;
  const MemoryPools memory_pools_;
  size_t nodes_;
  double chunk_tokens_, chunks_, chunks_alone_, later_tokens_, sent_token_bytes_;
  int concurrency_;
  // Of each boundary between layers, among those that ranges may have: tables have no other cells.
  std::vector<uint32_t> place_;
  size_t places_ = 0;
  std::vector<uint64_t> memory_;
  std::vector<int> last_fitting_;
  std::vector<Rows> rows_;
  std::vector<size_t> row_of_;
  std::vector<Link> links_;
  std::vector<double> only_out_, only_in_;
  struct MemoryShares {
    double one, all;
  };
  std::vector<MemoryShares> memory_shares_;  // by node, if there are memory pools
  std::vector<double> sent_tokens_;          // of the first n layers
};

// Seconds to compute the prompt on `group`, chunks in a pipeline, as far apart as the slowest stage
// or hop takes, or what shares processors; hops take so many times as long as alone, where given.
double PrefillSeconds(const CostTable& costs, const Group& group,
                      std::span<const double> hop_times = {});
// Seconds per generated token of one stream, hops included; all requests go in one batch.
double DecodeSeconds(const CostTable& costs, const Group& group);

}  // namespace baton::plan
