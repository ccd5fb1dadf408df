#include "plan/groups.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string_view>

namespace baton::plan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kTokenMessageBytes = 64;

Workload InPipelines(Workload workload) {
  workload.chunk_tokens = workload.ChunkOf(workload.prompt_tokens, 2);
  return workload;
}

}  // namespace

CostTable::CostTable(const ClusterProfile& cluster, const ModelCost& model,
                     const Workload& workload)
    : CostTable(cluster, model, workload, {}) {
  FillMemory();
  FillRows();
}

CostTable::CostTable(const ClusterProfile& cluster, const ModelCost& model,
                     const Workload& workload, const std::vector<LayerRange>& only)
    : cluster_(cluster),
      model_(model),
      workload_(workload),
      piped_(InPipelines(workload)),
      cost_(model, workload),
      piped_cost_(model, piped_),
      pools_(cluster),
      memory_pools_(cluster),
      nodes_(cluster.nodes.size()),
      chunk_tokens_(std::max(1, std::min(piped_.chunk_tokens, workload.prompt_tokens))),
      chunks_(std::ceil(std::max(1, workload.prompt_tokens) / chunk_tokens_)),
      chunks_alone_(std::ceil(std::max(1, workload.prompt_tokens) /
                              std::max(1.0, 1.0 * workload.chunk_tokens))),
      later_tokens_(std::max(0, workload.answer_tokens - 1)),
      sent_token_bytes_(static_cast<double>(model.KvBytesPerTokenPerLayer(workload.TravelType()))),
      concurrency_(std::max(1, workload.concurrency)) {
  Place(only);
  memory_.resize(places_ * places_);
  CountSent();
  if (!memory_pools_.empty()) FillMemoryShares();
  FillLinks();
  if (!only.empty()) FillOnly(only);
}

void CostTable::Place(const std::vector<LayerRange>& only) {
  const auto boundaries = static_cast<size_t>(model_.n_layers()) + 1;
  std::vector<bool> asked(boundaries, only.empty());
  for (const LayerRange& range : only)
    asked[static_cast<size_t>(range.first)] = asked[static_cast<size_t>(range.last)] = true;
  for (const bool each : asked) {
    place_.push_back(static_cast<uint32_t>(places_));
    places_ += each ? 1 : 0;
  }
}

void CostTable::FillOnly(const std::vector<LayerRange>& only) {
  const int layers = model_.n_layers();
  for (const LayerRange& range : only) memory_[Cell(range)] = cost_.MemoryOf(range);
  for (size_t node = 0; node < nodes_; ++node) {
    const DeviceProfile& device = cluster_.nodes[node].device;
    for (int first = 0; first < layers; ++first) last_fitting_.push_back(first);
    row_of_.push_back(node);
    rows_.push_back(EmptyRows());
    for (const LayerRange& range : only) {
      if (MemoryOf(range) > device.memory_bytes) continue;
      int& last =
          last_fitting_[node * static_cast<size_t>(layers) + static_cast<size_t>(range.first)];
      last = std::max(last, range.last);
      FillCell({cost_, device}, {piped_cost_, device}, range, rows_.back());
    }
  }
}

void CostTable::CountSent() {
  sent_tokens_.push_back(0);
  for (int layer = 0; layer < model_.n_layers(); ++layer)
    sent_tokens_.push_back(sent_tokens_.back() + model_.SeenTokens(layer, workload_.prompt_tokens));
}

CostTable::Rows CostTable::EmptyRows() const {
  const auto nothing = [&] { return std::vector<double>(memory_.size()); };
  return {nothing(), nothing(), nothing(), nothing(), nothing()};
}

void CostTable::FillCell(const CostModel::OnDevice& alone, const CostModel::OnDevice& in_pipelines,
                         LayerRange layers, Rows& rows) const {
  const StageCost cost = alone.CostOf(layers);
  const PromptCost piped = in_pipelines.PromptOf(layers);
  const size_t cell = Cell(layers);
  rows.chunk[cell] = piped.chunk_s;
  rows.piped[cell] = piped.whole_s;
  rows.whole[cell] = cost.prefill_whole_s;
  rows.step[cell] = cost.decode_step_s;
  rows.one[cell] = cost.decode_one_s;
}

void CostTable::FillMemoryShares() {
  const LayerRange all{0, model_.n_layers()};
  for (size_t node = 0; node < nodes_; ++node) {
    const DeviceProfile& device = cluster_.nodes[node].device;
    const StageCost cost = cost_.CostOf(device, all);
    const auto share = [&](double requests, double seconds) {
      return memory_pools_.ShareOf(node, cost_.DecodeBytes(device, all, requests) / seconds);
    };
    memory_shares_.push_back(
        {share(1, cost.decode_one_s), share(concurrency_, cost.decode_step_s)});
  }
}

void CostTable::FillMemory() {
  const int layers = model_.n_layers();
  for (int first = 0; first < layers; ++first) {
    for (int last = first + 1; last <= layers; ++last)
      memory_[Cell({first, last})] = cost_.MemoryOf({first, last});
  }
  for (const NodeProfile& node : cluster_.nodes) {
    for (int first = 0; first < layers; ++first) {
      int last = first;
      while (last < layers && MemoryOf({first, last + 1}) <= node.device.memory_bytes) ++last;
      last_fitting_.push_back(last);
    }
  }
}

namespace {

// Equally fast with weights of `type`.
bool AreAlike(const DeviceProfile& a, const DeviceProfile& b, DType type) {
  return a.RateFor(type) == b.RateFor(type) && a.attention_flops_per_s == b.attention_flops_per_s &&
         a.kv_read_bytes_per_s == b.kv_read_bytes_per_s && a.contexts == b.contexts &&
         a.cache_bytes == b.cache_bytes && a.layer_overhead_us == b.layer_overhead_us &&
         a.element_ns == b.element_ns && a.CorrectionFor(type) == b.CorrectionFor(type);
}

}  // namespace

void CostTable::FillRows() {
  const int layers = model_.n_layers();
  const auto layer_count = static_cast<size_t>(layers);
  std::vector<size_t> sample;    // a node of each kind
  std::vector<int> last_wanted;  // by kind and first layer
  for (size_t node = 0; node < nodes_; ++node) {
    const auto known = std::find_if(sample.begin(), sample.end(), [&](size_t other) {
      return AreAlike(cluster_.nodes[node].device, cluster_.nodes[other].device,
                      model_.weight_type);
    });
    const auto kind = static_cast<size_t>(known - sample.begin());
    if (known == sample.end()) {
      sample.push_back(node);
      last_wanted.resize(last_wanted.size() + layer_count, 0);
    }
    row_of_.push_back(kind);
    for (int first = 0; first < layers; ++first) {
      int& last = last_wanted[kind * layer_count + static_cast<size_t>(first)];
      last = std::max(last, LastThatFits(node, first));
    }
  }
  rows_.resize(sample.size());
  for (size_t kind = 0; kind < sample.size(); ++kind) {
    Rows& rows = rows_[kind];
    rows = EmptyRows();
    const CostModel::OnDevice alone(cost_, cluster_.nodes[sample[kind]].device);
    const CostModel::OnDevice in_pipelines(piped_cost_, cluster_.nodes[sample[kind]].device);
    for (int first = 0; first < layers; ++first) {
      const int last_of_all = last_wanted[kind * layer_count + static_cast<size_t>(first)];
      for (int last = first + 1; last <= last_of_all; ++last)
        FillCell(alone, in_pipelines, {first, last}, rows);
    }
  }
}

void CostTable::FillLinks() {
  const double row_bytes = model_.ActivationBytesPerToken(workload_);
  links_.assign(nodes_ * nodes_, {kInfinity, kInfinity, kInfinity, 0, kInfinity});
  for (size_t node = 0; node < nodes_; ++node)
    links_[node * nodes_ + node] = {0, 0, 0, kInfinity, 0};
  std::map<NodeId, size_t> index;
  for (size_t node = 0; node < nodes_; ++node) index.emplace(cluster_.nodes[node].id, node);
  std::vector<std::vector<const LinkProfile*>> said(nodes_);  // by node and the other end
  for (auto& from : said) from.resize(nodes_);
  for (const LinkProfile& link : cluster_.links) {
    const auto from = index.find(link.from);
    const auto to = index.find(link.to);
    if (from == index.end() || to == index.end() || from->second == to->second) continue;
    const LinkProfile*& first = said[from->second][to->second];
    if (first != nullptr) continue;  // the first word counts, as in FindLink()
    first = &link;
    links_[from->second * nodes_ + to->second] = {
        LinkSeconds(link, chunk_tokens_ * row_bytes), LinkSeconds(link, concurrency_ * row_bytes),
        LinkSeconds(link, kTokenMessageBytes), link.bytes_per_s, link.rtt_us * 0.5e-6};
  }
  FillPorts(said);
}

void CostTable::FillPorts(const std::vector<std::vector<const LinkProfile*>>& links) {
  struct Port {
    std::string_view name;
    double out = 0;
    double in = 0;
  };
  std::vector<std::vector<Port>> ports(nodes_);
  const auto find = [&](size_t node, const LinkProfile* link) {
    std::vector<Port>& of_node = ports[node];
    // What comes where nothing goes: by the first.
    if (link == nullptr && !of_node.empty()) return uint32_t{0};
    const std::string_view name = link == nullptr ? std::string_view() : link->port;
    const auto known = std::find_if(of_node.begin(), of_node.end(),
                                    [&](const Port& port) { return port.name == name; });
    const auto place = static_cast<uint32_t>(known - of_node.begin());
    if (known == of_node.end()) of_node.push_back({name});
    return place;
  };
  const auto for_each = [&](const auto& visit) {
    for (size_t from = 0; from < nodes_; ++from) {
      for (size_t to = 0; to < nodes_; ++to) {
        if (const LinkProfile* link = links[from][to])
          visit(from, to, *link, links_[from * nodes_ + to]);
      }
    }
  };
  for_each([&](size_t from, size_t, const LinkProfile& link, Link& cell) {
    cell.out_port = find(from, &link);
    double& out = ports[from][cell.out_port].out;
    out = std::max(out, link.bytes_per_s);
  });
  for_each([&](size_t from, size_t to, const LinkProfile& link, Link& cell) {
    cell.in_port = find(to, links[to][from]);
    double& in = ports[to][cell.in_port].in;
    in = std::max(in, link.bytes_per_s);
  });
  for_each([&](size_t from, size_t to, const LinkProfile&, Link& cell) {
    const Port& in = ports[to][cell.in_port];
    cell.out_bytes_per_s = ports[from][cell.out_port].out;
    cell.in_bytes_per_s = std::max(in.in, in.out);
  });
  for (const std::vector<Port>& of_node : ports) {
    const bool one = of_node.size() == 1;
    only_out_.push_back(one ? of_node[0].out : 0);
    only_in_.push_back(one ? std::max(of_node[0].in, of_node[0].out) : 0);
  }
}

bool CostTable::SameCosts(size_t a, size_t b) const {
  return row_of_[a] == row_of_[b] &&
         cluster_.nodes[a].device.memory_bytes == cluster_.nodes[b].device.memory_bytes &&
         cluster_.nodes[a].device.send_ns == cluster_.nodes[b].device.send_ns &&
         pools_.Alike(a, b) && memory_pools_.Alike(a, b);
}

StageCost CostTable::At(size_t node, LayerRange layers, size_t stages) const {
  const CostModel& cost = stages > 1 ? piped_cost_ : cost_;
  if (!Fits(node, layers)) return cost.CostOf(cluster_.nodes[node].device, layers);
  return {.prefill_chunk_s = PrefillChunk(node, layers),
          .prefill_whole_s = PrefillOf(node, layers, stages),
          .decode_step_s = DecodeStep(node, layers),
          .decode_one_s = DecodeOne(node, layers),
          .memory_bytes = MemoryOf(layers)};
}

double CostTable::DecodeBatch(size_t node, LayerRange layers, double requests) const {
  const double one = DecodeOne(node, layers);
  return one + (DecodeStep(node, layers) - one) * BatchPart(requests);
}

double PrefillSeconds(const CostTable& costs, const Group& group,
                      std::span<const double> hop_times) {
  if (group.size() == 1) return costs.At(group[0].node, group[0].layers, 1).prefill_whole_s;
  double fill = 0;
  double slowest = 0;
  std::vector<Pools::Part> sharers;
  for (size_t i = 0; i < group.size(); ++i) {
    const double stage = costs.At(group[i].node, group[i].layers, group.size()).prefill_chunk_s;
    double hop = i + 1 < group.size() ? costs.ChunkHop(group[i].node, group[i + 1].node) : 0;
    if (i < hop_times.size()) hop *= hop_times[i];
    fill += stage + hop;
    slowest = std::max({slowest, stage, hop});
    if (!costs.pools().empty()) sharers.push_back({group[i].node, stage});
  }
  return fill + (costs.chunks() - 1) * std::max(slowest, costs.pools().SecondsTogether(sharers));
}

double DecodeSeconds(const CostTable& costs, const Group& group) {
  double sum = 0;
  for (size_t i = 0; i < group.size(); ++i) {
    sum += costs.At(group[i].node, group[i].layers, group.size()).decode_step_s;
    if (i + 1 < group.size()) sum += costs.StepHop(group[i].node, group[i + 1].node);
  }
  if (group.size() > 1) sum += costs.TokenHop(group.back().node, group.front().node);
  return sum;
}

}  // namespace baton::plan
