#include "plan/planner.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "plan/division.h"
#include "plan/search.h"
#include "plan/words.h"

namespace baton::plan {
namespace {

constexpr size_t kAlternativesShown = 16;
constexpr double kTokenMessageBytes = 64;
// Up to so many, what all do together is weighed whenever there is one more, if there is time.
constexpr size_t kNodesOneByOne = 16;
// Layers, squared, of which a round of all nodes is followed by one of twice as many.
constexpr double kRoundCells = 7000;

// --- Reasons ---

// Why the requests are divided.
std::string WhySeveral(const ClusterProfile& cluster, const Plan& plan, Objective objective,
                       const std::vector<Plan>& others) {
  const std::string what = Describe(cluster, plan);
  const auto one = std::find_if(others.begin(), others.end(),
                                [](const Plan& other) { return other.instances.empty(); });
  if (one == others.end()) return fmt::format("{}: no instance alone holds all requests", what);
  const std::string over = Describe(cluster, *one);
  const double times = SecondsOf(*one, objective) / SecondsOf(plan, objective);
  if (objective == Objective::kThroughput)
    return fmt::format("{} give {:.1f} tokens/s in all, {:.2f} times as many as one, {} ({:.1f})",
                       what, plan.throughput_tokens_per_s(), times, over,
                       one->throughput_tokens_per_s());
  return fmt::format("{}; a request takes {}, {:.2f} times as fast as with one, {} ({})", what,
                     Time(plan.total_s), times, over, Time(one->total_s));
}

std::string WhyChosen(const ClusterProfile& cluster, const Plan& plan, Objective objective,
                      const std::vector<Plan>& others) {
  if (!plan.instances.empty()) return WhySeveral(cluster, plan, objective, others);
  const auto single = std::find_if(others.begin(), others.end(),
                                   [](const Plan& other) { return NodesUsed(other).size() == 1; });
  const size_t nodes = NodesUsed(plan).size();
  const std::string what = Describe(cluster, plan);
  const double seconds = SecondsOf(plan, objective);
  const char* takes = objective == Objective::kThroughput ? "takes, per request, " : "takes ";
  if (nodes == 1 && others.empty())
    return fmt::format("{}: no other node has the model or the memory for it", what);
  if (nodes == 1)
    return fmt::format("{} {}{}; the next best, {}, {}{}", what, takes, Time(seconds),
                       Describe(cluster, others.front()), takes,
                       Time(SecondsOf(others.front(), objective)));
  if (single == others.end())
    return fmt::format("{}: no single node has the memory for the whole model", what);
  const double alone = SecondsOf(*single, objective);
  return fmt::format("{} {}{}, {:.2f} times as fast as {} alone ({})", what, takes, Time(seconds),
                     alone / seconds, NamesOf(cluster, single->decode), Time(alone));
}

// Of what nodes take turns with, if there is any: "; a and b share cores".
std::string WhoSharesCores(const CostTable& costs) {
  std::string text;
  for (const std::vector<size_t>& sharers : costs.pools().Sharers()) {
    std::vector<std::string> names;
    for (const size_t node : sharers) names.push_back(costs.cluster().nodes[node].name);
    text += fmt::format("; {} share cores", fmt::join(names, " and "));
  }
  return text;
}

std::string AsTold(const ClusterProfile& cluster, const Plan& plan) {
  return fmt::format("{}, as its owner says; predicted {}", Describe(cluster, plan),
                     Time(plan.total_s));
}

std::string WhyLostAsOne(const Plan& plan, const Plan& chosen, const Workload& workload) {
  const size_t nodes = NodesUsed(plan).size();
  const size_t fewest = NodesUsed(chosen).size();
  if (workload.objective == Objective::kFit && nodes > fewest)
    return fmt::format("takes {} nodes, not {}", nodes, fewest);
  if (workload.objective == Objective::kThroughput) {
    const double factor = plan.request_s / chosen.request_s;
    if (factor >= 1.0005)
      return fmt::format("{:.2f} times the time per request: {:.1f} tokens/s in all, not {:.1f}",
                         factor, plan.throughput_tokens_per_s(), chosen.throughput_tokens_per_s());
    return "as much throughput, but it takes more nodes";
  }
  const double prefill = plan.prefill_s - chosen.prefill_s;
  const double exposed = plan.exposed_s - chosen.exposed_s;
  const double decode = (plan.decode_step_s - chosen.decode_step_s) * workload.answer_tokens;
  const double most = std::max({prefill, exposed, decode});
  const double factor = plan.total_s / chosen.total_s;
  if (most <= 0 || factor < 1.0005)
    return nodes > fewest ? "as fast, but it takes more nodes" : "as fast";
  const char* part = most == prefill   ? "computing the prompt"
                     : most == exposed ? "moving the KV cache"
                                       : "generating";
  return fmt::format("{:.2f} times the time: {} takes {} longer", factor, part, Time(most));
}

std::string WhyLost(const Plan& plan, const Plan& chosen, const Workload& workload) {
  const size_t count = InstancesOf(plan).size();
  std::string why = WhyLostAsOne(plan, chosen, workload);
  if (count == InstancesOf(chosen).size()) return why;
  return count == 1 ? fmt::format("one instance for all requests: {}", why)
                    : fmt::format("{} instances: {}", count, why);
}

// --- Plans ---

// As ScoreOf() has it, then fewer instances, then fewer nodes.
bool IsBetter(const Plan& a, const Plan& b, Objective objective) {
  const auto key = [&](const Plan& plan) {
    return std::tuple(SecondsOf(plan, objective), InstancesOf(plan).size(), NodesUsed(plan).size());
  };
  return key(a) < key(b);
}

// Plans of several instances among those of one, each where it belongs.
void AddDivided(std::vector<Plan> divided, Objective objective, std::vector<Plan>& plans) {
  for (Plan& plan : divided) {
    const auto place = std::find_if(plans.begin(), plans.end(), [&](const Plan& other) {
      return IsBetter(plan, other, objective);
    });
    plans.insert(place, std::move(plan));
  }
}

// What is searched one after the other, and all that is found is kept.
struct Round {
  std::vector<size_t> nodes;
  std::optional<size_t> newest = {};  // only what it brings
  bool all_so_far = true;             // all nodes of the rounds before
};

// Every one: first those of the first node, then those of the first two, and so on.
std::vector<Round> Subsets(const std::vector<size_t>& nodes) {
  std::vector<Round> rounds;
  for (uint32_t set = 1; set < uint32_t{1} << nodes.size(); ++set) {
    Round round{.all_so_far = (set & (set + 1)) == 0};
    for (size_t i = 0; i < nodes.size(); ++i) {
      if ((set >> i & 1) != 0) round.nodes.push_back(nodes[i]);
    }
    rounds.push_back(std::move(round));
  }
  return rounds;
}

// Where not everything can be weighed, what is found among more nodes may be worse than what fewer
// do. So of a few nodes all subsets are weighed; of more what the first of them do, by identity,
// and then what each one more brings: one more behind them all, which is where people add devices,
// never makes a plan worse. What all of so many do together is weighed less often the longer that
// takes.
std::vector<Round> RoundsOf(const CostTable& costs, std::vector<size_t> nodes) {
  const double layers = costs.model().n_layers();
  const bool with_care = HasTimeForCare(costs.cluster(), costs.model());
  nodes = ById(costs.cluster(), std::move(nodes));
  const auto first = [&](size_t count) {
    return std::vector(nodes.begin(), nodes.begin() + static_cast<std::ptrdiff_t>(count));
  };
  const size_t few = std::min(nodes.size(), kNodesWeighedInFull);
  std::vector<Round> rounds;
  if (layers <= kLayersMany)
    rounds.push_back({.nodes = first(few)});
  else if (with_care)
    rounds = Subsets(first(few));
  size_t whole = rounds.empty() ? 1 : few + 1;  // as many nodes are weighed as a whole next
  for (size_t count = whole; count <= nodes.size(); ++count) {
    Round round{.nodes = first(count)};
    if (count < whole) {
      round.newest = round.nodes.back();
    } else {
      const double next = static_cast<double>(count) * (1 + layers * layers / kRoundCells);
      const bool all = with_care && count < kNodesOneByOne;
      whole = all ? count + 1 : std::max(count + 1, static_cast<size_t>(next));
    }
    rounds.push_back(std::move(round));
  }
  return rounds;
}

// Searches one after the other: all that they find is kept.
class Searches {
 public:
  // `many`: more than one.
  Searches(const Judge& judge, SearchSpace space, bool many)
      : judge_(judge),
        bounds_(judge),
        leaves_out_(many && HasTimeForCare(judge.costs().cluster(), judge.costs().model())),
        space_(std::move(space)) {
    if (many) space_.weighed = &weighed_;
  }
  Searches(const Searches&) = delete;
  Searches& operator=(const Searches&) = delete;

  void Weigh(const Round& round) {
    space_.newest = round.newest;
    Search(round.nodes);
    if (!leaves_out_ || round.newest || round.nodes.size() <= kNodesWeighedInFull) return;
    if (found_.empty() || (best_ && !(found_.front().score < *best_))) return;
    WeighWithoutEach(round.nodes);
    best_ = found_.front().score;
  }
  std::vector<Plan> Plans() const {
    std::vector<Plan> plans;
    for (const Candidate& candidate : found_)
      plans.push_back(judge_.PlanOf(candidate.arrangement, candidate.totals));
    return plans;
  }

 private:
  static bool Has(const Arrangement& arrangement, size_t node) {
    const auto is_on = [&](const GroupStage& stage) { return stage.node == node; };
    return std::any_of(arrangement.prefill.begin(), arrangement.prefill.end(), is_on) ||
           std::any_of(arrangement.decode.begin(), arrangement.decode.end(), is_on);
  }

  void Search(std::vector<size_t> nodes, std::optional<size_t> without = {}) {
    space_.nodes = std::move(nodes);
    space_.routes_only = without.has_value();
    space_.known.clear();
    for (const Candidate& candidate : found_) {
      if (!without || !Has(candidate.arrangement, *without))
        space_.known.push_back(candidate.arrangement);
    }
    std::vector<Candidate> found = Find(judge_, space_, bounds_);
    if (!without)
      found_ = std::move(found);
    else if (!found.empty() && Better(judge_.costs(), found.front(), found_.front()))
      found_ = Merged(judge_.costs(), std::move(found), found_);
  }

  // A good plan may stand in the way of a better one: once more without each node of the best.
  void WeighWithoutEach(const std::vector<size_t>& nodes) {
    std::set<size_t> tried;
    const auto next = [&]() -> std::optional<size_t> {
      const Arrangement& best = found_.front().arrangement;
      for (const size_t node : nodes) {
        if (Has(best, node) && tried.insert(node).second) return node;
      }
      return std::nullopt;
    };
    while (const auto node = next()) {
      std::vector<size_t> others = nodes;
      std::erase(others, *node);
      Search(std::move(others), node);
    }
  }

  const Judge& judge_;
  BoundsBook bounds_;
  const bool leaves_out_;
  OrderPairs weighed_;
  SearchSpace space_;
  std::vector<Candidate> found_;  // best first
  std::optional<Score> best_;     // without each of whose nodes it was tried
};

// Of one instance and, where that is asked for, of several; best first.
std::vector<Plan> PlansFor(const CostTable& costs, const NodeId& entry, SearchSpace space,
                           const Constraints& constraints, bool briefly) {
  const ClusterProfile& cluster = costs.cluster();
  const Workload& workload = costs.workload();
  const Judge judge(costs, entry);
  std::erase_if(space.nodes, [&](size_t node) { return !judge.IsInReach(node); });
  std::vector<Round> rounds = {{.nodes = space.nodes}};
  if (!constraints.told() && !briefly) rounds = RoundsOf(costs, space.nodes);
  const bool may_divide = !constraints.told() && !constraints.one_instance;
  Division division(cluster, costs.model(), workload, entry);
  Searches searches(judge, std::move(space), rounds.size() > 1);
  for (const Round& round : rounds) {
    searches.Weigh(round);
    if (!may_divide || !round.all_so_far) continue;
    if (round.newest)
      division.WeighNewest(*round.newest, searches.Plans());
    else
      division.Weigh(round.nodes, searches.Plans());
  }
  std::vector<Plan> plans = searches.Plans();
  AddDivided(division.Best(), workload.objective, plans);
  return plans;
}

Result<PlanResult> MakeAsAsked(const ClusterProfile& cluster, const ModelCost& model,
                               const Workload& workload, const NodeId& entry,
                               const Constraints& constraints, bool briefly) {
  const CostTable costs(cluster, model, workload);
  BATON_ASSIGN_OR_RETURN(SearchSpace space, SpaceOf(costs, constraints));
  std::vector<Plan> plans = PlansFor(costs, entry, std::move(space), constraints, briefly);
  if (plans.empty()) return NothingFits(costs);
  PlanResult result;
  result.chosen = std::move(plans.front());
  plans.erase(plans.begin());
  result.chosen.reason = constraints.told()
                             ? AsTold(cluster, result.chosen)
                             : WhyChosen(cluster, result.chosen, workload.objective, plans);
  result.chosen.reason += WhoSharesCores(costs);
  for (Plan& plan : plans) {
    // Every single node is shown, whatever its rank: it is what people compare with.
    if (result.alternatives.size() >= kAlternativesShown && NodesUsed(plan).size() > 1) continue;
    plan.reason = Describe(cluster, plan);
    std::string why = WhyLost(plan, result.chosen, workload);
    result.alternatives.push_back({std::move(plan), std::move(why)});
  }
  return result;
}

// The workload with each type that the planner may choose; what loses nothing comes first.
std::vector<Workload> Variants(const Workload& workload, const ModelCost& model) {
  std::vector<Workload> variants = {workload};
  const auto also = [&](bool may, auto set) {
    const size_t count = variants.size();
    for (size_t i = 0; may && i < count; ++i) {
      Workload other = variants[i];
      set(other);
      variants.push_back(other);
    }
  };
  also(workload.choose_kv_wire_type && model.kv_in_q8_0,
       [](Workload& other) { other.kv_wire_type = KvType::kQ8_0; });
  also(workload.choose_kv_type && model.kv_in_q8_0,
       [](Workload& other) { other.kv_type = KvType::kQ8_0; });
  also(workload.choose_activation_type,
       [](Workload& other) { other.activation_type = ActivationType::kF16; });
  return variants;
}

Score ScoreOf(const Plan& plan, Objective objective) {
  return {objective == Objective::kFit ? NodesUsed(plan).size() : 0, SecondsOf(plan, objective)};
}

std::string TypesOf(const Plan& plan) {
  return fmt::format("KV in {}, sent as {}, activations in {}", NameOf(plan.kv_type),
                     NameOf(plan.kv_wire_type), NameOf(plan.activation_type));
}

// The stages of a plan in this cluster; nothing if a node is gone, or lacks the model.
std::optional<Group> GroupOf(const ClusterProfile& cluster, const std::vector<StagePlan>& stages) {
  Group group;
  for (const StagePlan& stage : stages) {
    const NodeProfile* node = cluster.FindNode(stage.node);
    if (node == nullptr || !node->has_model) return std::nullopt;
    group.push_back({static_cast<size_t>(node - cluster.nodes.data()), stage.layers});
  }
  return group;
}

bool CoversAll(const Group& group, int layers) {
  int next = 0;
  for (const GroupStage& stage : group) {
    if (stage.layers.first != next || stage.layers.last <= next) return false;
    next = stage.layers.last;
  }
  return next == layers;
}

bool Obeys(const Plan& plan, const Constraints& constraints) {
  const auto nodes_of = [](const std::vector<StagePlan>& stages) {
    std::vector<NodeId> nodes;
    for (const StagePlan& stage : stages) nodes.push_back(stage.node);
    return nodes;
  };
  const auto is_named = [&](const NodeId& id) {
    return std::find(constraints.nodes.begin(), constraints.nodes.end(), id) !=
           constraints.nodes.end();
  };
  if (!plan.instances.empty() && (constraints.told() || constraints.one_instance)) return false;
  const std::vector<NodeId> used = NodesUsed(plan);
  if (!constraints.nodes.empty() && !std::all_of(used.begin(), used.end(), is_named)) return false;
  if (!constraints.prefill_on.empty() && nodes_of(plan.prefill) != constraints.prefill_on)
    return false;
  if (!constraints.decode_on.empty() && nodes_of(plan.decode) != constraints.decode_on)
    return false;
  std::vector<int> layers;
  for (const StagePlan& stage : plan.decode) layers.push_back(stage.layers.size());
  return constraints.split.empty() || layers == constraints.split;
}

// What stands as one instance, as it would do now; nothing if it cannot go on.
std::optional<Plan> InstanceNow(const ClusterProfile& cluster, const ModelCost& model,
                                Workload workload, const NodeId& entry, const Plan& standing) {
  const auto prefill = GroupOf(cluster, standing.prefill);
  const auto decode = GroupOf(cluster, standing.decode);
  if (!prefill || !decode || !CoversAll(*decode, model.n_layers())) return std::nullopt;
  if (!prefill->empty() && !CoversAll(*prefill, model.n_layers())) return std::nullopt;
  if (workload.choose_kv_type) workload.kv_type = standing.kv_type;
  if (workload.choose_kv_wire_type) workload.kv_wire_type = standing.kv_wire_type;
  if (workload.choose_activation_type) workload.activation_type = standing.activation_type;
  const CostTable costs(cluster, model, workload);
  const Judge judge(costs, entry);
  const Arrangement arrangement{*prefill, *decode};
  const auto totals = judge.TotalsOf(arrangement);
  if (!totals) return std::nullopt;
  return judge.PlanOf(arrangement, *totals);
}

std::optional<Plan> StandingNow(const ClusterProfile& cluster, const ModelCost& model,
                                const Workload& workload, const NodeId& entry,
                                const Constraints& constraints, const Plan& standing) {
  if (!Obeys(standing, constraints)) return std::nullopt;
  if (standing.instances.empty()) return InstanceNow(cluster, model, workload, entry, standing);
  if (standing.concurrency != workload.concurrency) return std::nullopt;
  std::vector<Plan> instances;
  for (const Plan& each : standing.instances) {
    auto now = InstanceNow(cluster, model, ShareOf(workload, each.concurrency), entry, each);
    if (!now) return std::nullopt;
    instances.push_back(*std::move(now));
  }
  return InTurns(cluster, SideBySide(std::move(instances)));
}

bool SameStages(const std::vector<StagePlan>& a, const std::vector<StagePlan>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.node == y.node && x.layers == y.layers;
  });
}

bool SameArrangement(const Plan& a, const Plan& b) {
  return SameStages(a.prefill, b.prefill) && SameStages(a.decode, b.decode) &&
         a.kv_type == b.kv_type && a.kv_wire_type == b.kv_wire_type &&
         a.concurrency == b.concurrency &&
         std::equal(a.instances.begin(), a.instances.end(), b.instances.begin(), b.instances.end(),
                    SameArrangement);
}

Result<PlanResult> MakeWithCare(const ClusterProfile& cluster, const ModelCost& model,
                                const Workload& workload, const NodeId& entry,
                                const Constraints& constraints, bool briefly) {
  CHECK(model.n_layers() > 0);
  const std::vector<Workload> variants = Variants(workload, model);
  Result<PlanResult> best =
      MakeAsAsked(cluster, model, variants.front(), entry, constraints, briefly);
  std::vector<Alternative> others;
  for (size_t i = 1; i < variants.size(); ++i) {
    auto other = MakeAsAsked(cluster, model, variants[i], entry, constraints, briefly);
    if (!other.ok()) continue;
    if (!best.ok() ||
        ScoreOf(other->chosen, workload.objective) < ScoreOf(best->chosen, workload.objective))
      std::swap(best, other);
    if (other.ok()) others.push_back({std::move(other->chosen), {}});
  }
  if (!best.ok() || variants.size() == 1) return best;
  for (Alternative& other : others) {
    other.why =
        fmt::format("{}: {}", TypesOf(other.plan), WhyLost(other.plan, best->chosen, workload));
    other.plan.reason = Describe(cluster, other.plan);
  }
  best->chosen.reason += fmt::format("; {}", TypesOf(best->chosen));
  best->alternatives.insert(best->alternatives.begin(), others.begin(), others.end());
  return best;
}

}  // namespace

Result<PlanResult> Make(const ClusterProfile& cluster, const ModelCost& model,
                        const Workload& workload, const NodeId& entry,
                        const Constraints& constraints) {
  return MakeWithCare(cluster, model, workload, entry, constraints, /*briefly=*/false);
}

Result<PlanResult> Reconsider(const ClusterProfile& cluster, const ModelCost& model,
                              const Workload& workload, const NodeId& entry,
                              const Constraints& constraints, const Plan& standing,
                              const ReconsiderOptions& options) {
  const double gain = options.gain;
  auto result = MakeWithCare(cluster, model, workload, entry, constraints, options.briefly);
  if (!result.ok()) return result;
  auto now = StandingNow(cluster, model, workload, entry, constraints, standing);
  if (!now) return result;
  result->stands = SameArrangement(*now, result->chosen);
  if (result->stands) return result;
  const Score stands = ScoreOf(*now, workload.objective);
  const Score best = ScoreOf(result->chosen, workload.objective);
  if (best.nodes < stands.nodes || best.seconds < stands.seconds * (1 - gain)) return result;
  const double gained = 1 - best.seconds / stands.seconds;
  now->reason = fmt::format("{} stands; {} would take {:.0f} % less, and a move must gain {:.0f} %",
                            Describe(cluster, *now), Describe(cluster, result->chosen),
                            100 * gained, 100 * gain);
  const auto is_standing = [&](const Alternative& other) {
    return SameArrangement(other.plan, *now);
  };
  std::erase_if(result->alternatives, is_standing);
  Alternative best_now{std::move(result->chosen),
                       fmt::format("would take {:.0f} % less: not worth a move", 100 * gained)};
  result->alternatives.insert(result->alternatives.begin(), std::move(best_now));
  result->chosen = *std::move(now);
  result->stands = true;
  return result;
}

RequestEstimate Estimate(const ClusterProfile& cluster, const ModelCost& model, const Plan& plan,
                         Workload workload, int uncached_on_decode, int uncached_on_prefill) {
  const auto decode = GroupOf(cluster, plan.decode);
  const auto prefill = GroupOf(cluster, plan.prefill);
  RequestEstimate estimate;
  if (!decode || !prefill || decode->empty() || prefill->empty()) return estimate;

  workload.prompt_tokens = uncached_on_decode;
  estimate.local_s = PrefillSeconds(CostTable(cluster, model, workload), *decode);
  workload.prompt_tokens = uncached_on_prefill;
  const CostTable costs(cluster, model, workload);
  const double prefill_s = PrefillSecondsBeside(costs, *prefill, *decode, uncached_on_decode);
  const Exposure exposure = HandOver(costs, *prefill, prefill_s, uncached_on_decode).To(*decode);
  const double grant_s = TransferSeconds(cluster, plan.decode.front().node,
                                         plan.prefill.front().node, kTokenMessageBytes);
  estimate.remote_s = 2 * grant_s + prefill_s + exposure.seconds;
  // What the decode group computes itself stops all that it generates.
  const bool many = workload.objective == Objective::kThroughput;
  const double stopped = many ? std::max(1, workload.concurrency) : 1;
  estimate.remote_prefill = estimate.remote_s < estimate.local_s * stopped;
  return estimate;
}

}  // namespace baton::plan
