#include "plan/families.h"

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "plan/boundaries.h"
#include "plan/division.h"
#include "plan/evaluate.h"

namespace baton::plan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Of more requests, so many are dealt at once that there are such hands.
constexpr int kHands = 64;
// Plans of one instance that families begin with.
constexpr size_t kBegun = 4;
// Layer ranges computed to cut groups: beyond, no more of them are packed.
constexpr double kCellsOfGroups = 1.2e6;
// Cells of tables made to judge instances: beyond, no more families are dealt requests.
constexpr double kCellsOfPlans = 2e6;
// Steps from the least sum towards the least slowest stage of a group.
constexpr int kCutSteps = 6;
constexpr double kCutStep = 0.8;

// An instance that there may be.
struct Unit {
  ClusterProfile cluster;  // its nodes and what they are linked with
  Arrangement arrangement;
  std::set<size_t> nodes;                    // of the whole cluster
  std::map<int, std::optional<Plan>> plans;  // by requests
};

std::vector<LayerRange> RangesOf(const Arrangement& arrangement) {
  std::vector<LayerRange> ranges;
  for (const GroupStage& stage : arrangement.decode) {
    ranges.push_back(stage.layers);
    for (const GroupStage& twin : arrangement.prefill) {
      if (twin.node == stage.node) ranges.push_back(Hull(stage.layers, twin.layers));
    }
  }
  for (const GroupStage& stage : arrangement.prefill) ranges.push_back(stage.layers);
  return ranges;
}

}  // namespace

class Families::Impl {
 public:
  Impl(const ClusterProfile& cluster, const ModelCost& model, const Workload& workload,
       const NodeId& entry)
      : cluster_(cluster), model_(model), workload_(workload), entry_(entry) {
    std::map<NodeId, size_t> index;
    for (size_t node = 0; node < cluster.nodes.size(); ++node)
      index.emplace(cluster.nodes[node].id, node);
    for (const LinkProfile& link : cluster.links) {
      const auto from = index.find(link.from);
      const auto to = index.find(link.to);
      if (from != index.end()) links_[from->second].push_back(&link);
      if (link.from == entry && to != index.end()) from_entry_[to->second] = &link;
    }
  }

  std::vector<Plan> Best(const std::vector<size_t>& nodes, const std::vector<Plan>& whole) {
    Begin();
    std::vector<Unit*> singles;
    for (const size_t node : nodes) {
      if (Unit* unit = Alone(node)) singles.push_back(unit);
    }
    std::vector<Unit*> first;
    for (const auto& sequence : SequencesOf(Without(nodes, singles))) {
      for (const int requests : {(workload_.concurrency + 1) / 2, 1}) {
        const std::vector<Unit*> packed = Pack(sequence, requests);
        if (first.empty()) first = packed;
        Deal(Joined(singles, packed));
      }
    }
    size_t begun = 0;
    for (const Plan& plan : whole) {
      if (begun == kBegun) break;
      if (NodesUsed(plan).size() == 1) continue;
      ++begun;
      Deal(Joined({UnitOf(plan)}, Joined(singles, first)));
    }
    return Dealt();
  }

  std::vector<Plan> With(size_t newest, const std::vector<Plan>& divided,
                         const std::vector<Plan>& whole) {
    Begin();
    Unit* const alone = Alone(newest);
    for (size_t i = 0; alone != nullptr && i < std::min(divided.size(), kBegun); ++i)
      Deal(Joined(UnitsOf(divided[i]), {alone}));
    if (whole.empty()) return Dealt();
    Unit* const best = UnitOf(whole.front());
    if (best->nodes.count(newest) > 0 && !divided.empty())
      Deal(Joined({best}, UnitsOf(divided.front())));
    return Dealt();
  }

 private:
  void Begin() {
    units_.clear();
    best_.clear();
    cells_left_ = kCellsOfGroups;
    plan_cells_left_ = kCellsOfPlans;
  }

  std::vector<Plan> Dealt() const {
    std::vector<Plan> plans;
    for (const auto& [count, plan] : best_) plans.push_back(plan);
    std::stable_sort(plans.begin(), plans.end(),
                     [&](const Plan& a, const Plan& b) { return SecondsOf(a) < SecondsOf(b); });
    return plans;
  }

  double SecondsOf(const Plan& plan) const {
    return baton::plan::SecondsOf(plan, workload_.objective);
  }

  // --- Units ---

  // `arrangement` has the places of nodes in `nodes`.
  std::unique_ptr<Unit> Made(const std::vector<size_t>& nodes, Arrangement arrangement) const {
    auto unit = std::make_unique<Unit>();
    unit->arrangement = std::move(arrangement);
    unit->nodes = {nodes.begin(), nodes.end()};
    unit->cluster = ClusterOf(nodes);
    return unit;
  }

  Unit* Add(const std::vector<size_t>& nodes, Arrangement arrangement) {
    units_.push_back(Made(nodes, std::move(arrangement)));
    return units_.back().get();
  }

  ClusterProfile ClusterOf(const std::vector<size_t>& nodes) const {
    ClusterProfile cluster;
    for (const size_t node : nodes) cluster.nodes.push_back(cluster_.nodes[node]);
    for (const size_t node : nodes) {
      const auto links = links_.find(node);
      if (links == links_.end()) continue;
      for (const LinkProfile* link : links->second) {
        if (link->to == entry_ || cluster.FindNode(link->to) != nullptr)
          cluster.links.push_back(*link);
      }
    }
    if (cluster.FindNode(entry_) != nullptr) return cluster;
    for (const size_t node : nodes) {
      const auto link = from_entry_.find(node);
      if (link != from_entry_.end()) cluster.links.push_back(*link->second);
    }
    return cluster;
  }

  // With so many requests; nothing if it has no memory for them.
  const std::optional<Plan>& PlanOf(Unit& unit, int requests) {
    const auto known = unit.plans.find(requests);
    if (known != unit.plans.end()) return known->second;
    const double layers = model_.n_layers();
    plan_cells_left_ -= static_cast<double>(unit.nodes.size()) * layers * layers;
    const Workload share = ShareOf(workload_, requests);
    const CostTable costs(unit.cluster, model_, share, RangesOf(unit.arrangement));
    const Judge judge(costs, entry_);
    std::optional<Plan> plan;
    if (const auto totals = judge.TotalsOf(unit.arrangement))
      plan = judge.PlanOf(unit.arrangement, *totals);
    return unit.plans[requests] = std::move(plan);
  }

  // Nothing if the node does not hold the model with a request.
  Unit* Alone(size_t node) {
    const auto [known, is_new] = alone_.try_emplace(node);
    if (is_new) {
      known->second = Made({node}, {{}, {{0, {0, model_.n_layers()}}}});
      if (!PlanOf(*known->second, 1)) known->second.reset();
    }
    return known->second.get();
  }

  std::vector<Unit*> UnitsOf(const Plan& divided) {
    std::vector<Unit*> units;
    for (const Plan& plan : divided.instances) units.push_back(UnitOf(plan));
    return units;
  }

  // The unit of a plan of one instance.
  Unit* UnitOf(const Plan& plan) {
    std::vector<size_t> nodes;
    const auto group_of = [&](const std::vector<StagePlan>& stages) {
      Group group;
      for (const StagePlan& stage : stages) {
        const auto node =
            static_cast<size_t>(cluster_.FindNode(stage.node) - cluster_.nodes.data());
        auto place = std::find(nodes.begin(), nodes.end(), node);
        if (place == nodes.end()) place = nodes.insert(place, node);
        group.push_back({static_cast<size_t>(place - nodes.begin()), stage.layers});
      }
      return group;
    };
    Arrangement arrangement;
    arrangement.prefill = group_of(plan.prefill);
    arrangement.decode = group_of(plan.decode);
    return Add(nodes, std::move(arrangement));
  }

  // --- Families ---

  static std::vector<size_t> Without(const std::vector<size_t>& nodes,
                                     const std::vector<Unit*>& units) {
    std::vector<size_t> rest;
    for (const size_t node : nodes) {
      const bool used = std::any_of(units.begin(), units.end(),
                                    [&](const Unit* unit) { return unit->nodes.count(node) > 0; });
      if (!used) rest.push_back(node);
    }
    return rest;
  }

  // Those of `more` too that share no node with those before.
  static std::vector<Unit*> Joined(std::vector<Unit*> family, const std::vector<Unit*>& more) {
    std::set<size_t> used;
    for (const Unit* unit : family) used.insert(unit->nodes.begin(), unit->nodes.end());
    for (Unit* unit : more) {
      const bool free = std::none_of(unit->nodes.begin(), unit->nodes.end(),
                                     [&](size_t node) { return used.count(node) > 0; });
      if (!free) continue;
      used.insert(unit->nodes.begin(), unit->nodes.end());
      family.push_back(unit);
    }
    return family;
  }

  // As given (by identity, which is how files list racks), by what they read, and by what they
  // hold.
  std::vector<std::vector<size_t>> SequencesOf(const std::vector<size_t>& nodes) const {
    if (nodes.empty()) return {{}};
    const auto sorted_by = [&](const auto& value) {
      std::vector<size_t> sequence = nodes;
      std::stable_sort(sequence.begin(), sequence.end(), [&](size_t a, size_t b) {
        return value(cluster_.nodes[a].device) > value(cluster_.nodes[b].device);
      });
      return sequence;
    };
    return {nodes, sorted_by([&](const DeviceProfile& device) {
              return device.RateFor(model_.weight_type).read_bytes_per_s;
            }),
            sorted_by([](const DeviceProfile& device) { return device.memory_bytes; })};
  }

  // Groups of nodes that follow each other, as few as hold the model with so many requests.
  std::vector<Unit*> Pack(const std::vector<size_t>& sequence, int requests) {
    const Workload share = ShareOf(workload_, requests);
    const CostModel costs(model_, share);
    std::vector<Unit*> packed;
    std::vector<size_t> begun;
    int layer = 0;
    for (const size_t node : sequence) {
      const int first = layer;
      const uint64_t room = cluster_.nodes[node].device.memory_bytes;
      while (layer < model_.n_layers() && costs.MemoryOf({first, layer + 1}) <= room) ++layer;
      if (layer > first) begun.push_back(node);
      if (layer < model_.n_layers()) continue;
      if (Unit* unit = Cut(std::exchange(begun, {}), share)) packed.push_back(unit);
      layer = 0;
    }
    return packed;
  }

  // The best boundaries along these nodes, from the least sum to the least slowest stage.
  Unit* Cut(const std::vector<size_t>& nodes, const Workload& share) {
    const int layers = model_.n_layers();
    const double cells = static_cast<double>(nodes.size()) * layers * layers / 2;
    cells_left_ -= cells * (2 + kCutSteps);
    if (cells_left_ < 0) return nullptr;
    const ClusterProfile cluster = ClusterOf(nodes);
    const CostTable costs(cluster, model_, share);
    const Judge judge(costs, entry_);
    std::vector<size_t> order;
    for (size_t i = 0; i < nodes.size(); ++i) order.push_back(i);
    const double steps = costs.later_tokens() / costs.concurrency();
    const auto busy = [&](int i, int first) {
      const CostTable::Ranges ranges = costs.RangesFrom(static_cast<size_t>(i), first);
      return [ranges, prompt = ranges.Prompt(order.size()), steps](int to) {
        return prompt[to] + steps * ranges.step[to];
      };
    };
    const auto last = [&](int i, int first) {
      return costs.LastThatFits(static_cast<size_t>(i), first);
    };
    std::optional<std::pair<double, Group>> best;
    double limit = kInfinity;
    for (int step = 0; step < kCutSteps; ++step) {
      const auto group = LeastSum<true>(layers, order, busy, busy, limit, last);
      if (!group) break;
      double most = 0;
      for (size_t i = 0; i < group->size(); ++i)
        most = std::max(
            most, busy(static_cast<int>(i), (*group)[i].layers.first)((*group)[i].layers.last));
      limit = kCutStep * most;
      const auto totals = judge.TotalsOf({{}, *group});
      if (!totals) continue;
      const double seconds = judge.ScoreOf({{}, *group}, *totals).seconds;
      if (!best || seconds < best->first) best = {seconds, *group};
    }
    return best ? Add(nodes, {{}, std::move(best->second)}) : nullptr;
  }

  // --- Requests ---

  // What `unit` is worth with `more` requests than it has, smaller first; nothing if it cannot.
  std::optional<double> Cost(Unit& unit, int has, int more) {
    const std::optional<Plan>& with = PlanOf(unit, has + more);
    if (!with) return std::nullopt;
    if (workload_.objective != Objective::kThroughput) return with->total_s;
    return (has > 0 ? 1 / PlanOf(unit, has)->request_s : 0) - 1 / with->request_s;
  }

  // Deals the requests to a family, and keeps the division if it is the best of so many instances.
  void Deal(const std::vector<Unit*>& family) {
    if (plan_cells_left_ < 0) return;
    std::vector<int> has(family.size(), 0);
    std::vector<std::optional<double>> costs(family.size());
    const int hand = (workload_.concurrency + kHands - 1) / kHands;
    int left = workload_.concurrency;
    const auto look = [&](size_t i) { costs[i] = Cost(*family[i], has[i], std::min(hand, left)); };
    for (size_t i = 0; i < family.size(); ++i) look(i);
    while (left > 0) {
      std::optional<size_t> best;
      for (size_t i = 0; i < family.size(); ++i) {
        if (costs[i] && (!best || *costs[i] < *costs[*best])) best = i;
      }
      if (!best) return;
      const int more = std::min(hand, left);
      has[*best] += more;
      left -= more;
      if (left > 0 && left < hand) {
        for (size_t i = 0; i < family.size(); ++i) look(i);
      } else if (left > 0) {
        look(*best);
      }
    }
    std::vector<Plan> instances;
    for (size_t i = 0; i < family.size(); ++i) {
      if (has[i] > 0) instances.push_back(*PlanOf(*family[i], has[i]));
    }
    const size_t count = instances.size();
    if (count < 2) return;
    Plan plan = SideBySide(std::move(instances));
    const auto known = best_.find(count);
    if (known == best_.end() || SecondsOf(plan) < SecondsOf(known->second))
      best_.insert_or_assign(count, std::move(plan));
  }

  const ClusterProfile& cluster_;
  const ModelCost& model_;
  const Workload& workload_;
  const NodeId& entry_;
  std::map<size_t, std::vector<const LinkProfile*>> links_;  // from each node
  std::map<size_t, const LinkProfile*> from_entry_;          // to each
  std::vector<std::unique_ptr<Unit>> units_;
  std::map<size_t, std::unique_ptr<Unit>> alone_;  // by node, whoever is asked again and again
  std::map<size_t, Plan> best_;                    // by instances
  double cells_left_ = 0;
  double plan_cells_left_ = 0;
};

Families::Families(const ClusterProfile& cluster, const ModelCost& model, const Workload& workload,
                   const NodeId& entry)
    : impl_(std::make_unique<Impl>(cluster, model, workload, entry)) {}

Families::~Families() = default;

std::vector<Plan> Families::Best(const std::vector<size_t>& nodes, const std::vector<Plan>& whole) {
  return impl_->Best(nodes, whole);
}

std::vector<Plan> Families::With(size_t newest, const std::vector<Plan>& divided,
                                 const std::vector<Plan>& whole) {
  return impl_->With(newest, divided, whole);
}

}  // namespace baton::plan
