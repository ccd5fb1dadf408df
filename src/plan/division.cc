#include "plan/division.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <tuple>

#include "plan/families.h"
#include "plan/search.h"

namespace baton::plan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Of more requests, shares are such parts of all.
constexpr int kSharesMost = 16;
// Of more nodes, up to so many, a few that promise most are partitioned, briefly.
constexpr size_t kNodesMany = 16;
// Where layers or nodes are many: the shares with which a set of several nodes is searched as one
// instance, the layer ranges computed to bound all orders of nodes, and those of each such search.
constexpr int kSharesSearched = 4;
constexpr double kCellsOfOrders = 5e6;
constexpr double kCellsOfSearch = 5e4;
// The best divisions whose instances are searched once more, where nodes are not too many.
constexpr size_t kPolished = 3;

// What is compared, smaller first.
struct Value {
  double seconds = kInfinity;  // of the objective
  double requests_per_s = 0;   // of all instances
  size_t instances = 0;
  size_t nodes = 0;

  bool exists() const { return instances > 0; }
  friend bool operator<(const Value& a, const Value& b) {
    return std::tie(a.seconds, a.instances, a.nodes) < std::tie(b.seconds, b.instances, b.nodes);
  }
};

Value Together(const Value& a, const Value& b, Objective objective) {
  Value both{.requests_per_s = a.requests_per_s + b.requests_per_s,
             .instances = a.instances + b.instances,
             .nodes = a.nodes + b.nodes};
  both.seconds = objective == Objective::kThroughput ? 1 / both.requests_per_s
                                                     : std::max(a.seconds, b.seconds);
  return both;
}

// What some share of the requests costs on all nodes.
struct Slice {
  Slice(const ClusterProfile& cluster, const ModelCost& model, const Workload& all,
        const NodeId& entry, int requests)
      : workload(ShareOf(all, requests)),
        costs(cluster, model, workload),
        judge(costs, entry),
        bounds(judge) {}
  const Workload workload;
  const CostTable costs;
  const Judge judge;
  BoundsBook bounds;
};

}  // namespace

// Of each share, computed once.
class Division::Slices {
 public:
  Slices(const ClusterProfile& cluster, const ModelCost& model, const Workload& workload,
         const NodeId& entry)
      : cluster_(cluster), model_(model), workload_(workload), entry_(entry) {}

  Slice& Of(int requests) {
    auto& slice = slices_[requests];
    if (!slice) slice = std::make_unique<Slice>(cluster_, model_, workload_, entry_, requests);
    return *slice;
  }
  const ClusterProfile& cluster() const { return cluster_; }
  const ModelCost& model() const { return model_; }
  const Workload& workload() const { return workload_; }

 private:
  const ClusterProfile& cluster_;
  const ModelCost& model_;
  const Workload& workload_;
  const NodeId& entry_;
  std::map<int, std::unique_ptr<Slice>> slices_;  // by requests
};

// Every partition of a few nodes.
class Division::Partitions {
 public:
  Partitions(Slices& slices, std::vector<size_t> nodes, bool briefly)
      : slices_(slices),
        model_(slices.model()),
        workload_(slices.workload()),
        nodes_(std::move(nodes)),
        index_of_(static_cast<size_t>(workload_.concurrency) + 1, kNoShare) {
    const int all = workload_.concurrency;
    for (int requests = 1; requests < all; ++requests) {
      if (!IsPart(requests, kSharesMost)) continue;
      index_of_[static_cast<size_t>(requests)] = shares_.size();
      shares_.push_back(requests);
    }
    best_.resize((size_t{1} << nodes_.size()) * shares_.size());
    if (briefly) Limit();
  }

  std::vector<Plan> Best() {
    const Set all = (Set{1} << nodes_.size()) - 1;
    for (Set set = 1; set < all; ++set) {
      for (size_t share = 0; share < shares_.size(); ++share) Weigh(set, share);
    }
    std::map<size_t, Found> by_count;
    ForEachSplit(all, workload_.concurrency, [&](Found found) {
      Found& best = by_count[found.value.instances];
      if (!best.value.exists() || found.value < best.value) best = std::move(found);
    });
    std::vector<std::pair<Value, Plan>> sorted;
    for (const auto& [count, found] : by_count) sorted.emplace_back(found.value, PlanOf(found));
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<Plan> plans;
    for (auto& [value, plan] : sorted) plans.push_back(std::move(plan));
    return plans;
  }

 private:
  using Set = uint32_t;
  static constexpr size_t kNoShare = std::numeric_limits<size_t>::max();
  struct Found {
    Value value;
    std::vector<std::pair<size_t, Arrangement>> instances;  // each with its share's index
  };

  bool IsPart(int requests, int parts) const {
    const int unit = (workload_.concurrency + parts - 1) / parts;
    return requests % unit == 0 || (workload_.concurrency - requests) % unit == 0;
  }

  // The largest sets that there is time to search as one instance.
  void Limit() {
    const double layers = model_.n_layers();
    const auto count = static_cast<double>(nodes_.size());
    searches_few_ = true;
    nodes_searched_ = 1;
    double sets = count;
    double orders = 1;  // of a set, of all its subsets
    double cells = 0;
    for (double size = 2; size <= count; ++size) {
      sets *= (count - size + 1) / size;
      orders = size * (1 + orders);
      cells += sets * orders * kSharesSearched * layers * layers / 2;
      if (cells > kCellsOfOrders) return;
      nodes_searched_ = static_cast<int>(size);
    }
  }

  Found& At(Set set, size_t share) { return best_[set * shares_.size() + share]; }
  size_t ShareOf(int requests) const { return index_of_[static_cast<size_t>(requests)]; }
  Slice& SliceOf(size_t share) { return slices_.Of(shares_[share]); }

  // Two parts of `set`, each as it is best.
  template <typename Visit>
  void ForEachSplit(Set set, int requests, const Visit& visit) {
    const Set lowest = set & (~set + 1);
    for (Set part = (set - 1) & set; part > 0; part = (part - 1) & set) {
      if ((part & lowest) == 0) continue;
      for (size_t share = 0; share < shares_.size() && shares_[share] < requests; ++share) {
        const size_t other = ShareOf(requests - shares_[share]);
        if (other == kNoShare) continue;
        const Found& a = At(part, share);
        const Found& b = At(set & ~part, other);
        if (!a.value.exists() || !b.value.exists()) continue;
        Found both{Together(a.value, b.value, workload_.objective), a.instances};
        both.instances.insert(both.instances.end(), b.instances.begin(), b.instances.end());
        visit(std::move(both));
      }
    }
  }

  // The best that these nodes, or some of them, do with this share.
  void Weigh(Set set, size_t share) {
    Found& best = At(set, share);
    const auto offer = [&](const Found& found) {
      if (found.value.exists() && found.value < best.value) best = found;
    };
    for (Set rest = set; rest != 0; rest &= rest - 1)
      if (const Set without = set & ~(rest & (~rest + 1))) offer(At(without, share));
    ForEachSplit(set, shares_[share], offer);
    offer(AsOne(set, share, best.value.seconds));
  }

  // As one instance, if that is no worse than `seconds`.
  Found AsOne(Set set, size_t share, double seconds) {
    SearchSpace space{.seconds_below = std::nextafter(seconds, kInfinity),
                      .cells = searches_few_ ? kCellsOfSearch : 0};
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if ((set >> i & 1) != 0) space.nodes.push_back(nodes_[i]);
    }
    const bool searched = static_cast<int>(space.nodes.size()) <= nodes_searched_ &&
                          (!searches_few_ || IsPart(shares_[share], kSharesSearched));
    if (space.nodes.size() > 1 && !searched) return {};
    Slice& slice = SliceOf(share);
    const std::vector<Candidate> found = Find(slice.judge, space, slice.bounds);
    if (found.empty()) return {};
    const Candidate& best = found.front();
    return {{.seconds = best.score.seconds,
             .requests_per_s = 1 / best.totals.request_s,
             .instances = 1,
             .nodes = NodeCount(best.arrangement)},
            {{share, best.arrangement}}};
  }

  Plan PlanOf(const Found& found) {
    std::vector<Plan> instances;
    for (const auto& [share, arrangement] : found.instances) {
      const Judge& judge = SliceOf(share).judge;
      instances.push_back(judge.PlanOf(arrangement, *judge.TotalsOf(arrangement)));
    }
    return SideBySide(std::move(instances));
  }

  Slices& slices_;
  const ModelCost& model_;
  const Workload& workload_;
  const std::vector<size_t> nodes_;
  std::vector<int> shares_;       // requests that an instance may take, ascending
  std::vector<size_t> index_of_;  // of a share, by requests
  std::vector<Found> best_;       // by set of nodes and share
  bool searches_few_ = false;
  int nodes_searched_ = static_cast<int>(kNodesWeighedInFull);
};

namespace {

// The nodes of the best plans of one instance, then those that hold most: there may be no such
// plan, where only a part of the requests fits.
std::vector<size_t> Promising(const ClusterProfile& cluster, std::vector<size_t> nodes,
                              const std::vector<Plan>& whole) {
  std::vector<size_t> chosen;
  const auto take = [&](size_t node) {
    if (chosen.size() < kNodesWeighedInFull &&
        std::find(chosen.begin(), chosen.end(), node) == chosen.end())
      chosen.push_back(node);
  };
  for (const Plan& plan : whole) {
    for (const NodeId& id : NodesUsed(plan))
      take(static_cast<size_t>(cluster.FindNode(id) - cluster.nodes.data()));
  }
  std::stable_sort(nodes.begin(), nodes.end(), [&](size_t a, size_t b) {
    return cluster.nodes[a].device.memory_bytes > cluster.nodes[b].device.memory_bytes;
  });
  for (const size_t node : nodes) take(node);
  return chosen;
}

}  // namespace

// Every instance searched once more among its own nodes and those that no other has.
class Division::Polish {
 public:
  Polish(Slices& slices, const std::vector<size_t>& nodes) : slices_(slices), nodes_(nodes) {}

  Plan Polished(Plan plan) {
    const Objective objective = slices_.workload().objective;
    std::vector<Plan> instances = std::move(plan.instances);
    for (Plan& instance : instances) {
      SearchSpace space{.nodes = FreeFor(instance, instances),
                        .seconds_below = SecondsOf(instance, objective)};
      Slice& slice = slices_.Of(instance.concurrency);
      const std::vector<Candidate> found = Find(slice.judge, space, slice.bounds);
      if (!found.empty())
        instance = slice.judge.PlanOf(found.front().arrangement, found.front().totals);
    }
    return SideBySide(std::move(instances));
  }

 private:
  std::vector<size_t> FreeFor(const Plan& instance, const std::vector<Plan>& instances) const {
    std::set<NodeId> taken;
    for (const Plan& other : instances) {
      if (&other == &instance) continue;
      for (const NodeId& id : NodesUsed(other)) taken.insert(id);
    }
    std::vector<size_t> free;
    for (const size_t node : nodes_) {
      if (taken.count(slices_.cluster().nodes[node].id) == 0) free.push_back(node);
    }
    return free;
  }

  Slices& slices_;
  const std::vector<size_t>& nodes_;
};

namespace {

// Of each number of instances the better one; best first.
std::vector<Plan> Merged(std::vector<Plan> plans, std::vector<Plan> more, Objective objective) {
  std::move(more.begin(), more.end(), std::back_inserter(plans));
  const auto key = [&](const Plan& plan) {
    return std::tuple(SecondsOf(plan, objective), plan.instances.size(), NodesUsed(plan).size());
  };
  std::stable_sort(plans.begin(), plans.end(),
                   [&](const Plan& a, const Plan& b) { return key(a) < key(b); });
  std::set<size_t> counts;
  std::erase_if(plans,
                [&](const Plan& plan) { return !counts.insert(plan.instances.size()).second; });
  return plans;
}

}  // namespace

namespace {

// Of a second: what the instances take of processors that nodes of several share.
Pools::Load LoadOf(const Pools& pools, const std::vector<Plan>& instances,
                   const std::function<size_t(const NodeId&)>& index) {
  Pools::Load load(pools);
  for (const Plan& instance : instances) {
    const auto add = [&](const StagePlan& stage, double seconds) {
      load.Add(index(stage.node), seconds / instance.request_s);
    };
    for (const StagePlan& stage : instance.disaggregated() ? instance.prefill : instance.decode)
      add(stage, stage.prefill_s);
    for (const StagePlan& stage : instance.decode)
      add(stage, instance.answer_tokens * stage.decode_s / instance.concurrency);
  }
  return load;
}

// By how much the steps of each instance are longer where others read its machine's memory, too.
std::vector<double> LongerSteps(const MemoryPools& pools, const std::vector<Plan>& instances,
                                const std::function<size_t(const NodeId&)>& index) {
  constexpr int kRounds = 3;
  std::vector<double> longer(instances.size(), 0);
  if (pools.empty()) return longer;
  std::vector<double> times;  // of each stage of each instance
  for (int round = 0; round < kRounds; ++round) {
    std::vector<MemoryPools::Part> parts;
    for (size_t i = 0; i < instances.size(); ++i) {
      const Plan& instance = instances[i];
      const double steps = 1.0 * instance.answer_tokens / instance.concurrency;
      for (const StagePlan& stage : instance.decode) {
        const double times_now = round == 0 ? 1 : times[parts.size()];
        parts.push_back({index(stage.node), stage.memory_share,
                         std::min(1.0, times_now * steps * stage.decode_s /
                                           (instance.request_s + steps * longer[i]))});
      }
    }
    times = pools.Stretch(parts);
    size_t part = 0;
    for (size_t i = 0; i < instances.size(); ++i) {
      longer[i] = 0;
      for (const StagePlan& stage : instances[i].decode)
        longer[i] += stage.decode_s * (times[part++] - 1);
    }
  }
  return longer;
}

}  // namespace

Plan InTurns(const ClusterProfile& cluster, Plan plan) {
  const Pools pools(cluster);
  const MemoryPools memory_pools(cluster);
  if ((pools.empty() && memory_pools.empty()) || plan.instances.empty()) return plan;
  const auto index = [&](const NodeId& id) {
    return static_cast<size_t>(cluster.FindNode(id) - cluster.nodes.data());
  };
  const Pools::Load load = LoadOf(pools, plan.instances, index);
  const std::vector<double> longer = LongerSteps(memory_pools, plan.instances, index);
  std::vector<Plan> instances = std::move(plan.instances);
  for (size_t i = 0; i < instances.size(); ++i) {
    Plan& instance = instances[i];
    double times = 1;
    for (const NodeId& id : NodesUsed(instance)) times = std::max(times, load.SecondsAt(index(id)));
    // Those that take turns do not read at once.
    if (times * instance.decode_step_s >= instance.decode_step_s + longer[i]) {
      for (double Plan::*seconds : {&Plan::prefill_s, &Plan::ttft_s, &Plan::decode_step_s,
                                    &Plan::total_s, &Plan::request_s})
        instance.*seconds *= times;
      continue;
    }
    instance.decode_step_s += longer[i];
    instance.total_s += (instance.answer_tokens - 1) * longer[i];
    instance.request_s += instance.answer_tokens * longer[i] / instance.concurrency;
  }
  return SideBySide(std::move(instances));
}

Workload ShareOf(const Workload& workload, int requests) {
  Workload share = workload;
  const int all = std::max(1, workload.concurrency);
  share.concurrency = requests;
  share.slots = static_cast<int>((static_cast<int64_t>(workload.slots) * requests + all - 1) / all);
  return share;
}

Division::Division(const ClusterProfile& cluster, const ModelCost& model, const Workload& workload,
                   const NodeId& entry)
    : cluster_(cluster),
      model_(model),
      workload_(workload),
      entry_(entry),
      with_care_(HasTimeForCare(cluster, model)),
      slices_(std::make_unique<Slices>(cluster, model, workload, entry)),
      families_(std::make_unique<Families>(cluster, model, workload, entry)) {}

Division::~Division() = default;

bool Division::MayDivide() const {
  return workload_.concurrency > 1 && workload_.objective != Objective::kFit;
}

void Division::Add(std::vector<Plan> plans) {
  for (Plan& plan : plans) plan = InTurns(cluster_, std::move(plan));
  best_ = Merged(std::move(best_), std::move(plans), workload_.objective);
}

void Division::Weigh(const std::vector<size_t>& nodes, const std::vector<Plan>& whole) {
  if (!MayDivide() || nodes.size() < 2) return;
  if (!with_care_ && nodes.size() <= kNodesMany) return;
  const std::vector<size_t> sorted = ById(cluster_, nodes);
  const bool few = sorted.size() <= kNodesWeighedInFull;
  const bool briefly = !few || model_.n_layers() > kLayersMany;
  std::vector<Plan> plans;
  const bool closely = with_care_ && sorted.size() <= kNodesMany;
  if (closely) {
    const auto some = few ? sorted : ById(cluster_, Promising(cluster_, sorted, whole));
    plans = Partitions(*slices_, some, briefly).Best();
    if (!briefly) return Add(std::move(plans));
  }
  plans = Merged(std::move(plans), families_->Best(sorted, whole), workload_.objective);
  if (closely) {
    Polish polish(*slices_, sorted);
    const size_t count = std::min(plans.size(), kPolished);
    for (size_t i = 0; i < count; ++i) plans.push_back(polish.Polished(plans[i]));
  }
  Add(std::move(plans));
}

void Division::WeighNewest(size_t node, const std::vector<Plan>& whole) {
  if (!MayDivide()) return;
  Add(families_->With(node, best_, whole));
}

}  // namespace baton::plan
