#include "plan/search.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <deque>
#include <limits>
#include <map>
#include <queue>
#include <set>
#include <tuple>

#include "plan/boundaries.h"
#include "plan/decode_stages.h"
#include "plan/neighbours.h"
#include "plan/orders.h"
#include "plan/routes.h"

namespace baton::plan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// More of both leave no time for care.
constexpr size_t kNodesWithCare = 40;
constexpr int kLayersWithCare = 64;
// Layer ranges of orders that are computed where there are more nodes than can be weighed in full.
constexpr double kCellsAllowed = 2.5e6;
// What an order, a pair of orders, and a look at one to step to, cost by themselves is worth so
// many.
constexpr double kCellsOfOrder = 100;
constexpr double kCellsOfPair = 20;
constexpr double kCellsOfWay = 200;
// Bounds are sums of several kinds.
constexpr double kCellsOfBounds = 4;
// Ways to cut the decode group under one prefill group, from the quickest to the least exposed.
constexpr int kDecodeSteps = 64;
// Where layers are many, by how much the next of these is to be better.
constexpr double kDecodeStep = 0.97;
// Layer ranges computed: beyond, what promises least is left out. (Of up to six nodes and few
// layers next to nothing is.)
struct Budget {
  double pairs;          // in pairs of roles of up to six nodes with many layers
  double pairs_of_many;  // nodes
  double steps;          // from the best to better neighbours
  double newest;         // of what one node more brings
  int routes;            // of each kind
};
constexpr Budget kWithCare = {
    .pairs = 5e7, .pairs_of_many = 4e6, .steps = 4e6, .newest = 5e6, .routes = 8};
constexpr Budget kQuickly = {
    .pairs = 1e7, .pairs_of_many = 1e6, .steps = 1e6, .newest = 3e5, .routes = 5};
constexpr double kPairsOfFewLayers = 1e9;
// At most so many orders of each role are paired, the quickest; and so many nodes stepped to.
constexpr size_t kOrdersPaired = 2000;
constexpr size_t kNodesOfSteps = 16;
// What is as busy as the best, by another order of roundings, is not less busy.
constexpr double kBelow = 1 - 1e-9;
// What a range takes that must not expose too much, or not be too busy, either.
constexpr double kExposedTimes = 2;
constexpr double kBusyTimes = 4;
constexpr size_t kStepsFrom = 16;  // of the best, so many have their neighbours looked at

size_t NodesOfBoth(const std::vector<size_t>& a, const std::vector<size_t>& b) {
  size_t count = a.size();
  for (const size_t node : b) count += std::find(a.begin(), a.end(), node) == a.end() ? 1 : 0;
  return count;
}

bool Disjoint(const std::vector<size_t>& a, const std::vector<size_t>& b) {
  return NodesOfBoth(a, b) == a.size() + b.size();
}

std::vector<size_t> NodesOf(const Group& group) {
  std::vector<size_t> nodes;
  for (const GroupStage& stage : group) nodes.push_back(stage.node);
  return nodes;
}

class Search {
 public:
  explicit Search(const Judge& judge, BoundsBook& bounds)
      : judge_(judge),
        costs_(judge.costs()),
        bounds_(bounds),
        budget_(HasTimeForCare(costs_.cluster(), costs_.model()) ? kWithCare : kQuickly),
        best_(costs_) {
    const int layers = costs_.model().n_layers();
    for (size_t node = 0; node < costs_.cluster().nodes.size(); ++node) {
      double cells = layers;
      for (int first = 0; first < layers; ++first)
        cells += costs_.LastThatFits(node, first) - first;
      cells_.push_back(cells);
    }
  }

  void Weigh(const SearchSpace& space);
  std::vector<Candidate> Found() const { return best_.WithSingles(); }

 private:
  // An order with what is computed of it only when it is looked at.
  struct Prepared {
    const Order* order = nullptr;
    bool cut = false;
    std::vector<Group> prefill_cuts;
    std::vector<double> prefill_s;
    bool decode_cut = false;
    std::optional<Group> decode_cuts;
  };

  Objective objective() const { return costs_.workload().objective; }
  static bool IsFew(const std::vector<size_t>& nodes) {
    return nodes.size() <= kNodesWeighedInFull;
  }
  bool HasManyLayers() const { return costs_.model().n_layers() > kLayersMany; }
  // Layer ranges that these nodes have room for.
  double CellsOf(const NodeOrder& nodes) const {
    double cells = 0;
    for (const size_t node : nodes) cells += cells_[node];
    return cells;
  }
  bool CouldBeBetter(size_t nodes, double total_s, double busy_s) const;
  void Offer(Arrangement arrangement);
  double WeighBoth(const std::vector<Order>& orders);
  void WeighPairs(std::vector<Prepared> prefills, std::vector<Prepared> decodes);
  void PairByNodes(std::vector<Prepared>& prefills, std::vector<Prepared>& decodes);
  void PairBySeconds(std::vector<Prepared>& prefills, std::vector<Prepared>& decodes);
  // An order, and what it takes at least.
  struct Look {
    const NodeOrder& nodes;
    const OrderBounds& at_least;
  };
  static Look At(const Order& order) { return {order.nodes, order.at_least}; }
  bool WorthWeighing(const Look& prefill, const Look& decode) const;
  void WeighPair(Prepared& prefill, Prepared& decode);
  void WeighAnew(Prepared& prefill, Prepared& decode);
  void WeighDecode(const Group& prefill, double prefill_s, const Order& decode);
  double SendBound(const std::vector<size_t>& prefill, const std::vector<size_t>& decode) const;
  void Prepare(Prepared& order) const;
  bool IsFirst(const Order& order, const std::vector<size_t>& nodes) const;
  void Reroute(const Arrangement& from);
  void Climb(const std::vector<size_t>& nodes, double cells, OrderPairs begun = {});
  void WeighNewest(const std::vector<size_t>& nodes, size_t newest);
  void OfferAlone(const std::vector<size_t>& nodes);
  void GatherRoutes(OrderBook& orders);
  void Gather(const std::vector<size_t>& nodes, OrderBook& orders);
  void WeighGroup(const Group& decode, const std::optional<std::vector<size_t>>& prefill);
  void Step(const Arrangement& from, const std::vector<size_t>& nodes);
  Prepared* Stepped(const NodeOrder& nodes);
  bool MayHaveARole(const NodeOrder& nodes);
  // Where there is a newest node, only what has it is.
  bool IsAsked(const NodeOrder& prefill, const NodeOrder& decode) const {
    return !newest_ || Contains(prefill, *newest_) || Contains(decode, *newest_);
  }
  std::optional<double> PromiseOf(const Look& prefill, const Look& decode) const;
  void StepTo(const NodeOrder& prefill, const NodeOrder& decode);

  const Judge& judge_;
  const CostTable& costs_;
  BoundsBook& bounds_;
  const Budget& budget_;
  std::vector<size_t> nodes_;  // that may be chosen
  bool told_ = false;
  bool routes_only_ = false;
  bool brief_ = false;  // the budget ends what has begun, too
  double seconds_below_ = kInfinity;
  OrderPairs* weighed_ = nullptr;
  OrderBounds below_;          // of what any of the nodes have, in any order
  std::vector<double> cells_;  // by node
  double cells_left_ = 0;
  BestCandidates best_;
  std::optional<size_t> newest_;  // steps lead to what has this node
  std::deque<Order> orders_;      // that steps led to
  std::map<NodeOrder, std::optional<Prepared>> stepped_;
};

// False if nothing with these bounds beats the best so far.
bool Search::CouldBeBetter(size_t nodes, double total_s, double busy_s) const {
  if (!std::isfinite(total_s)) return false;
  const double seconds = objective() == Objective::kThroughput
                             ? std::max(busy_s, total_s / costs_.concurrency())
                             : total_s;
  if (!(seconds < seconds_below_)) return false;
  if (best_.empty()) return true;
  const Score& best = best_.best().score;
  return objective() == Objective::kFit ? Score{nodes, total_s} < best : seconds < best.seconds;
}

void Search::Offer(Arrangement arrangement) {
  // A group that hands over to itself computes its own prompts.
  if (!told_ && arrangement.prefill == arrangement.decode) arrangement.prefill.clear();
  const auto totals = judge_.TotalsOf(arrangement);
  if (!totals) return;
  const Score score = judge_.ScoreOf(arrangement, *totals);
  if (!(score.seconds < seconds_below_)) return;
  best_.Add({std::move(arrangement), *totals, score});
}

// Those that promise most first, as far as the budget goes; the layer ranges that it took.
double Search::WeighBoth(const std::vector<Order>& orders) {
  const bool throughput = objective() == Objective::kThroughput;
  const auto promise = [&](const Order* order) {
    return throughput ? order->at_least.both_busy_s : order->at_least.both_s;
  };
  std::vector<const Order*> sorted;
  for (const Order& order : orders) sorted.push_back(&order);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const Order* a, const Order* b) { return promise(a) < promise(b); });
  double cells = 0;
  for (const Order* order : sorted) {
    const OrderBounds& bounds = order->at_least;
    if (!CouldBeBetter(order->nodes.size(), bounds.both_s, bounds.both_busy_s)) continue;
    if (weighed_ && !weighed_->emplace(NodeOrder{}, order->nodes).second) continue;
    auto cuts = CutsForBoth(costs_, order->nodes);
    cells += CellsOf(order->nodes) * static_cast<double>(1 + cuts.size());
    for (Group& group : cuts) Offer({{}, std::move(group)});
    if (cells > cells_left_) break;
  }
  return cells;
}

// The KV of the whole prompt over all links from one to the other, at their full rates.
double Search::SendBound(const std::vector<size_t>& prefill,
                         const std::vector<size_t>& decode) const {
  double bytes_per_s = 0;
  for (const size_t from : prefill) {
    for (const size_t to : decode) bytes_per_s += costs_.BytesPerSecond(from, to);
  }
  const double bytes = costs_.SentTokenBytes() * costs_.SentTokens({0, costs_.model().n_layers()});
  return bytes_per_s > 0 ? bytes / bytes_per_s : kInfinity;
}

void Search::Prepare(Prepared& order) const {
  if (order.cut) return;
  order.cut = true;
  order.prefill_cuts = PrefillCuts(costs_, order.order->nodes);
  std::vector<std::pair<double, size_t>> ranks;
  for (size_t i = 0; i < order.prefill_cuts.size(); ++i)
    ranks.emplace_back(PrefillSeconds(costs_, order.prefill_cuts[i]), i);
  std::sort(ranks.begin(), ranks.end());
  std::vector<Group> sorted;
  for (const auto& [seconds, at] : ranks) {
    sorted.push_back(std::move(order.prefill_cuts[at]));
    order.prefill_s.push_back(seconds + judge_.ToEntry(order.order->nodes.back()));
  }
  order.prefill_cuts = std::move(sorted);
}

// Under one prefill group, from the quickest decode group to the one with the least exposed
// transfer. Where the objective is throughput, only those whose busiest part beats the best so far.
void Search::WeighDecode(const Group& prefill, double prefill_s, const Order& decode) {
  constexpr double kMost = std::numeric_limits<double>::max();
  const bool throughput = objective() == Objective::kThroughput;
  const double batch = BatchOf(costs_, decode.nodes.size());
  const DecodeStages stages(costs_, prefill, decode.nodes,
                            prefill_s - judge_.ToEntry(prefill.back().node));
  const auto best = [&] {
    return best_.empty() ? seconds_below_ : std::min(seconds_below_, best_.best().score.seconds);
  };
  const double part = throughput ? costs_.BatchPart(batch) : 1;
  const auto step = [&](int i, int first) {
    const CostTable::Ranges ranges = costs_.RangesFrom(decode.nodes[static_cast<size_t>(i)], first);
    return [ranges, part](int last) { return ranges.Batch(last, part); };
  };
  const auto exposed = [&](int i, LayerRange layers) {
    const auto place = static_cast<size_t>(i);
    if (throughput && !(stages.Busy(place, layers) < best() * kBelow)) return kInfinity;
    return stages.Exposed(place, layers);
  };
  const auto exposed_from = [&](int i, int first) {
    return [&exposed, i, first](int last) { return exposed(i, {first, last}); };
  };
  const auto last = [&](int i, int first) {
    return LastThatFitsBeside(costs_, decode.nodes[static_cast<size_t>(i)], first, prefill);
  };
  const int layers = costs_.model().n_layers();
  const double cells = CellsOf(decode.nodes);
  double limit = throughput ? kMost : kInfinity;
  for (int tries = 0; tries < kDecodeSteps; ++tries) {
    if (brief_ && cells_left_ < 0) return;
    cells_left_ -= cells * (throughput ? kBusyTimes : kExposedTimes);
    auto group = LeastSum<false>(layers, decode.nodes, step, exposed_from, limit, last);
    if (!group) return;
    double most = 0;
    double sum = 0;
    for (size_t i = 0; i < group->size(); ++i) {
      const LayerRange stage = (*group)[i].layers;
      most = std::max(most, exposed(static_cast<int>(i), stage));
      sum += step(static_cast<int>(i), stage.first)(stage.last);
    }
    const double before = best();
    Offer({prefill, *std::move(group)});
    // Whatever follows has a larger sum.
    if (decode.nodes.size() == 1 || !CouldBeBetter(0, prefill_s + costs_.later_tokens() * sum, 0))
      return;
    // One that is less busy may be better still, whatever it exposes.
    if (throughput && best() < before) continue;
    if (most <= stages.LeastExposed()) return;
    // Where a link is missing, next those that do without it.
    limit = std::min(most, kMost);
    if (layers > kLayersMany) limit *= kDecodeStep;
  }
}

void Search::WeighPair(Prepared& prefill, Prepared& decode) {
  if (weighed_ && weighed_->count({prefill.order->nodes, decode.order->nodes}) > 0) return;
  WeighAnew(prefill, decode);
  if (weighed_ && cells_left_ >= 0) weighed_->emplace(prefill.order->nodes, decode.order->nodes);
}

void Search::WeighAnew(Prepared& prefill, Prepared& decode) {
  Prepare(prefill);
  const OrderBounds& bounds = decode.order->at_least;
  const size_t nodes = NodesOfBoth(prefill.order->nodes, decode.order->nodes);
  const auto weigh = [&](const Group& group, double seconds) {
    if (!CouldBeBetter(nodes, seconds + bounds.decode_s,
                       std::max(prefill.order->at_least.prefill_busy_s, bounds.decode_busy_s)))
      return;
    WeighDecode(group, seconds, *decode.order);
  };
  for (size_t i = 0; i < prefill.prefill_cuts.size(); ++i)
    weigh(prefill.prefill_cuts[i], prefill.prefill_s[i]);
  if (Disjoint(prefill.order->nodes, decode.order->nodes)) return;
  // On nodes with both roles the layers of one bind those of the other.
  if (!decode.decode_cut) decode.decode_cuts = DecodeCuts(costs_, decode.order->nodes);
  decode.decode_cut = true;
  if (!decode.decode_cuts) return;
  const auto cuts = PrefillCutsBeside(costs_, prefill.order->nodes, *decode.decode_cuts);
  cells_left_ -= CellsOf(prefill.order->nodes) * static_cast<double>(1 + cuts.size());
  for (const Group& group : cuts)
    weigh(group, PrefillSeconds(costs_, group) + judge_.ToEntry(prefill.order->nodes.back()));
}

void Search::WeighPairs(std::vector<Prepared> prefills, std::vector<Prepared> decodes) {
  const bool fit = objective() == Objective::kFit;
  // What is too busy by itself is in no pair either.
  std::erase_if(prefills, [&](const Prepared& each) {
    return !CouldBeBetter(each.order->nodes.size(), each.order->at_least.prefill_s,
                          each.order->at_least.prefill_busy_s);
  });
  std::erase_if(decodes, [&](const Prepared& each) {
    return !CouldBeBetter(each.order->nodes.size(), each.order->at_least.decode_s,
                          each.order->at_least.decode_busy_s);
  });
  const auto sort_by = [&](std::vector<Prepared>& orders, auto seconds) {
    std::stable_sort(orders.begin(), orders.end(), [&](const Prepared& a, const Prepared& b) {
      if (fit && a.order->nodes.size() != b.order->nodes.size())
        return a.order->nodes.size() < b.order->nodes.size();
      return seconds(a.order->at_least) < seconds(b.order->at_least);
    });
  };
  sort_by(prefills, [](const OrderBounds& bounds) { return bounds.prefill_s; });
  sort_by(decodes, [](const OrderBounds& bounds) { return bounds.decode_s; });
  if (prefills.size() > kOrdersPaired) prefills.resize(kOrdersPaired);
  if (decodes.size() > kOrdersPaired) decodes.resize(kOrdersPaired);
  fit ? PairByNodes(prefills, decodes) : PairBySeconds(prefills, decodes);
}

// Fewest nodes first.
void Search::PairByNodes(std::vector<Prepared>& prefills, std::vector<Prepared>& decodes) {
  for (Prepared& decode : decodes) {
    const size_t stages = decode.order->nodes.size();
    if (!CouldBeBetter(stages, 0, 0)) return;
    for (Prepared& prefill : prefills) {
      // Whatever follows has more nodes, or as many and takes longer.
      if (!CouldBeBetter(std::max(stages, prefill.order->nodes.size()), 0, 0)) break;
      cells_left_ -= kCellsOfPair;
      if (WorthWeighing(At(*prefill.order), At(*decode.order))) WeighPair(prefill, decode);
      if (cells_left_ < 0) return;
    }
  }
}

// Those that take least, at least, first. Both lists begin with what takes least.
void Search::PairBySeconds(std::vector<Prepared>& prefills, std::vector<Prepared>& decodes) {
  if (prefills.empty()) return;
  struct Pair {
    double at_least_s;
    size_t decode;
    size_t prefill;
    bool operator<(const Pair& other) const {  // the last comes out first
      return std::tie(at_least_s, decode, prefill) >
             std::tie(other.at_least_s, other.decode, other.prefill);
    }
  };
  std::priority_queue<Pair> next;
  const auto push = [&](size_t decode, size_t prefill) {
    next.push(
        {prefills[prefill].order->at_least.prefill_s + decodes[decode].order->at_least.decode_s,
         decode, prefill});
  };
  for (size_t decode = 0; decode < decodes.size(); ++decode) push(decode, 0);
  while (!next.empty() && cells_left_ >= 0) {
    const auto [at_least_s, decode, prefill] = next.top();
    next.pop();
    if (!CouldBeBetter(0, at_least_s, 0)) return;
    cells_left_ -= kCellsOfPair;
    if (WorthWeighing(At(*prefills[prefill].order), At(*decodes[decode].order)))
      WeighPair(prefills[prefill], decodes[decode]);
    if (prefill + 1 < prefills.size()) push(decode, prefill + 1);
  }
}

// --- From the best to its neighbours, while that makes it better ---

// An order as it is looked at; nothing if it cannot be.
Search::Prepared* Search::Stepped(const NodeOrder& nodes) {
  auto [known, is_new] = stepped_.try_emplace(nodes);
  if (is_new) {
    cells_left_ -= kCellsOfBounds * CellsOf(nodes);
    OrderBook book(bounds_);
    book.Add(nodes);
    if (!book.orders().empty()) {
      orders_.push_back(book.orders().front());
      known->second = Prepared{.order = &orders_.back()};
    }
  }
  return known->second ? &*known->second : nullptr;
}

// With whatever else has the other role, as far as can be told without a look at layers.
bool Search::MayHaveARole(const NodeOrder& nodes) {
  const OrderBounds here = bounds_.rough().Of(nodes);
  return CouldBeBetter(nodes.size(), here.both_s, here.both_busy_s) ||
         CouldBeBetter(nodes.size(), here.prefill_s + below_.decode_s,
                       std::max(here.prefill_busy_s, below_.decode_busy_s)) ||
         CouldBeBetter(nodes.size(), below_.prefill_s + here.decode_s,
                       std::max(below_.prefill_busy_s, here.decode_busy_s));
}

// What a step to these orders promises, as far as can be told without a look at their layers;
// nothing if it is not worth it.
std::optional<double> Search::PromiseOf(const Look& prefill, const Look& decode) const {
  const OrderBounds& p = prefill.at_least;
  const OrderBounds& d = decode.at_least;
  const bool both =
      prefill.nodes == decode.nodes && CouldBeBetter(decode.nodes.size(), d.both_s, d.both_busy_s);
  if (!both && !WorthWeighing(prefill, decode)) return std::nullopt;
  const double seconds = p.prefill_s + d.decode_s;
  if (objective() != Objective::kThroughput) return seconds;
  return std::max({p.prefill_busy_s, d.decode_busy_s, seconds / costs_.concurrency()});
}

void Search::StepTo(const NodeOrder& prefill, const NodeOrder& decode) {
  if (cells_left_ < 0 || !IsAsked(prefill, decode)) return;
  const OrderBounds prefill_s = bounds_.rough().Of(prefill);
  const OrderBounds decode_s = bounds_.rough().Of(decode);
  if (!PromiseOf({prefill, prefill_s}, {decode, decode_s})) return;
  Prepared* const computing = Stepped(prefill);
  Prepared* const answering = Stepped(decode);
  if (computing == nullptr || answering == nullptr) return;
  if (prefill == decode) cells_left_ -= WeighBoth({*answering->order});
  if (!WorthWeighing(At(*computing->order), At(*answering->order))) return;
  if (!computing->cut) {
    Prepare(*computing);
    cells_left_ -= CellsOf(prefill) * static_cast<double>(1 + computing->prefill_cuts.size());
  }
  WeighPair(*computing, *answering);
}

// To all neighbours, those that promise most first.
void Search::Step(const Arrangement& from, const std::vector<size_t>& nodes) {
  struct Way {
    double promise;
    NodeOrder prefill, decode;
  };
  std::vector<Way> ways;
  const auto add = [&](const Look& prefill, const Look& decode) {
    cells_left_ -= kCellsOfWay;
    if (const auto promise = PromiseOf(prefill, decode))
      ways.push_back({*promise, prefill.nodes, decode.nodes});
  };
  const auto rough = [&](const NodeOrder& order) { return bounds_.rough().Of(order); };
  const auto add_both = [&](const NodeOrder& order) {
    if (!IsAsked(order, order)) return;
    const OrderBounds seconds = rough(order);
    add({order, seconds}, {order, seconds});
  };
  const auto add_pair = [&](const NodeOrder& prefill, const NodeOrder& decode) {
    if (IsAsked(prefill, decode)) add({prefill, rough(prefill)}, {decode, rough(decode)});
  };
  const NodeOrder decode = NodesOf(from.decode);
  const OrderBounds decode_s = rough(decode);
  if (from.prefill.empty()) {
    for (const NodeOrder& other : Neighbours(decode, nodes)) {
      if (!IsAsked(other, decode)) continue;
      const OrderBounds other_s = rough(other);
      if (IsAsked(other, other)) add({other, other_s}, {other, other_s});
      add({other, other_s}, {decode, decode_s});
      add({decode, decode_s}, {other, other_s});
    }
    add_both({decode.rbegin(), decode.rend()});
  } else {
    const NodeOrder prefill = NodesOf(from.prefill);
    const OrderBounds prefill_s = rough(prefill);
    for (const NodeOrder& other : Neighbours(prefill, nodes)) {
      if (IsAsked(other, decode)) add({other, rough(other)}, {decode, decode_s});
    }
    for (const NodeOrder& other : Neighbours(decode, nodes)) {
      if (IsAsked(prefill, other)) add({prefill, prefill_s}, {other, rough(other)});
    }
    for (const auto& [first, second] : Exchanges(prefill, decode)) add_pair(first, second);
    add_both(decode);
    add_both(prefill);
    // Where nodes have both roles, an order cannot be turned round without the other.
    add_pair({prefill.rbegin(), prefill.rend()}, {decode.rbegin(), decode.rend()});
  }
  std::stable_sort(ways.begin(), ways.end(),
                   [](const Way& a, const Way& b) { return a.promise < b.promise; });
  for (const Way& way : ways) StepTo(way.prefill, way.decode);
}

// Each role through any of the nodes that are left to it by the other.
void Search::Reroute(const Arrangement& from) {
  const double layers = costs_.model().n_layers();
  const auto count = static_cast<double>(nodes_.size());
  cells_left_ -= 2 * budget_.routes * layers * count * (count + layers / 2);
  const Group& computing = from.prefill.empty() ? from.decode : from.prefill;
  for (Group& group : RoutesToCompute(judge_, nodes_, from.decode, budget_.routes)) {
    const NodeOrder order = NodesOf(group);
    Offer({std::move(group), from.decode});
    StepTo(order, NodesOf(from.decode));
  }
  for (Group& group : RoutesToGenerate(judge_, nodes_, computing, budget_.routes)) {
    const NodeOrder order = NodesOf(group);
    Offer({computing, std::move(group)});
    StepTo(NodesOf(computing), order);
  }
}

// From the best few, the best first.
void Search::Climb(const std::vector<size_t>& nodes, double cells, OrderPairs begun) {
  cells_left_ = cells;
  brief_ = true;
  const auto next = [&]() -> std::optional<Arrangement> {
    for (size_t i = 0; i < best_.kept().size() && i < kStepsFrom; ++i) {
      const Arrangement& arrangement = best_.kept()[i].arrangement;
      if (begun.emplace(NodesOf(arrangement.prefill), NodesOf(arrangement.decode)).second)
        return arrangement;
    }
    return std::nullopt;
  };
  while (cells_left_ >= 0) {
    const auto from = next();
    if (!from) return;
    if (!newest_) Reroute(*from);
    Step(*from, nodes);
  }
}

// A few that promise most: those of the best candidates so far.
std::vector<size_t> Promising(const std::vector<size_t>& nodes, const std::vector<Candidate>& found,
                              size_t most) {
  std::vector<size_t> chosen;
  const auto take = [&](size_t node) {
    if (chosen.size() < most && std::find(chosen.begin(), chosen.end(), node) == chosen.end())
      chosen.push_back(node);
  };
  for (const Candidate& candidate : found) {
    for (const Group* group : {&candidate.arrangement.decode, &candidate.arrangement.prefill}) {
      for (const GroupStage& stage : *group) take(stage.node);
    }
  }
  for (const size_t node : nodes) take(node);
  return chosen;
}

void Search::OfferAlone(const std::vector<size_t>& nodes) {
  const LayerRange all{0, costs_.model().n_layers()};
  for (const size_t node : nodes) {
    if (costs_.Fits(node, all)) Offer({{}, {{node, all}}});
  }
}

// What one node more brings: alone, in pairs of roles with each other node, and in one step from
// the best without it; then whatever steps lead to from there.
void Search::WeighNewest(const std::vector<size_t>& nodes, size_t newest) {
  newest_ = newest;
  cells_left_ = budget_.newest;
  brief_ = true;
  OrderPairs begun;
  std::vector<Arrangement> best;
  for (const Candidate& candidate : best_.kept()) {
    begun.emplace(NodesOf(candidate.arrangement.prefill), NodesOf(candidate.arrangement.decode));
    if (best.size() < kStepsFrom) best.push_back(candidate.arrangement);
  }
  OfferAlone({newest});
  for (const Arrangement& from : best) {
    const NodeOrder decode = NodesOf(from.decode);
    StepTo({newest}, decode);
    StepTo(from.prefill.empty() ? decode : NodesOf(from.prefill), {newest});
    Step(from, {newest});
  }
  for (const size_t node : nodes) {
    if (node == newest) continue;
    StepTo({newest}, {node});
    StepTo({node}, {newest});
  }
  Climb(Promising(nodes, best_.kept(), kNodesOfSteps), cells_left_, std::move(begun));
}

bool Search::WorthWeighing(const Look& prefill, const Look& decode) const {
  const OrderBounds& p = prefill.at_least;
  const OrderBounds& d = decode.at_least;
  const double busy_s = std::max(p.prefill_busy_s, d.decode_busy_s);
  if (!CouldBeBetter(0, p.prefill_s + d.decode_s, busy_s)) return false;
  const size_t nodes = NodesOfBoth(prefill.nodes, decode.nodes);
  if (!CouldBeBetter(nodes, p.prefill_s + d.decode_s, busy_s)) return false;
  if (!judge_.CanHandOver(prefill.nodes.back(), decode.nodes.front(), decode.nodes.back()))
    return false;
  if (nodes < prefill.nodes.size() + decode.nodes.size()) return true;
  const double send_s = SendBound(prefill.nodes, decode.nodes);
  return CouldBeBetter(nodes, d.decode_s + std::max(p.prefill_s, send_s), std::max(busy_s, send_s));
}

// The most stages for which all orders of so many nodes cost no more than is allowed.
size_t StagesAllowed(size_t nodes, int layers) {
  const size_t stages_most = std::min(nodes, static_cast<size_t>(layers));
  const double each = std::max(kCellsOfOrder, layers * (layers + 1.0) / 2);
  double orders = 1;
  double cells = 0;
  for (size_t stages = 1; stages <= stages_most; ++stages) {
    orders *= static_cast<double>(nodes - stages + 1);
    cells += orders * each;
    if (cells > kCellsAllowed) return std::max<size_t>(1, stages - 1);
  }
  return stages_most;
}

// Among orders of the same kinds of nodes: does it take those of a kind in the order of `nodes`?
bool Search::IsFirst(const Order& order, const std::vector<size_t>& nodes) const {
  for (size_t i = 0; i < order.nodes.size(); ++i) {
    const auto begun = order.nodes.begin();
    const auto reached = begun + static_cast<std::ptrdiff_t>(i);
    for (const size_t node : nodes) {
      if (node == *reached) break;
      const bool before = bounds_.KindOf(node) == bounds_.KindOf(*reached);
      if (before && std::find(begun, reached, node) == reached) return false;
    }
  }
  return true;
}

void Search::GatherRoutes(OrderBook& orders) {
  for (Arrangement& routes : BestRoutes(judge_, nodes_, budget_.routes)) {
    if (!routes.prefill.empty()) orders.Add(NodesOf(routes.prefill));
    orders.Add(NodesOf(routes.decode));
    if (!told_) Offer(std::move(routes));
  }
}

// The orders that are looked at where the search may choose.
void Search::Gather(const std::vector<size_t>& nodes, OrderBook& orders) {
  const auto may = [&](const NodeOrder& order) { return told_ || MayHaveARole(order); };
  const int layers = costs_.model().n_layers();
  below_ = bounds_.rough().OfAny(nodes);
  if (routes_only_) return GatherRoutes(orders);
  if (IsFew(nodes)) return orders.AddAll(nodes, static_cast<size_t>(layers), may);
  orders.AddAll(nodes, StagesAllowed(nodes.size(), layers), may);
  GatherRoutes(orders);
  orders.AddAll(Promising(nodes, best_.kept(), kNodesWeighedInFull),
                StagesAllowed(kNodesWeighedInFull, layers), may);
}

// One group is given, and perhaps the order of those that compute its prompts.
void Search::WeighGroup(const Group& decode, const std::optional<std::vector<size_t>>& prefill) {
  if (!prefill) return Offer({{}, decode});
  for (Group& group : PrefillCuts(costs_, *prefill)) Offer({std::move(group), decode});
}

void Search::Weigh(const SearchSpace& space) {
  told_ = space.prefill || space.decode || space.decode_group;
  seconds_below_ = space.seconds_below;
  weighed_ = space.weighed;
  if (space.decode_group) return WeighGroup(*space.decode_group, space.prefill);
  routes_only_ = space.routes_only;
  nodes_ = ById(costs_.cluster(), space.nodes);
  std::erase_if(nodes_, [&](size_t node) { return !judge_.IsInReach(node); });
  const std::vector<size_t>& nodes = nodes_;
  for (const Arrangement& arrangement : space.known) Offer(arrangement);
  if (space.newest && !best_.empty()) return WeighNewest(nodes, *space.newest);
  if (!told_) OfferAlone(nodes);

  const bool few = IsFew(nodes) && !routes_only_;
  const double usual = !few              ? budget_.pairs_of_many
                       : HasManyLayers() ? budget_.pairs
                                         : kPairsOfFewLayers;
  cells_left_ = space.cells > 0 ? space.cells : usual;
  brief_ = space.cells > 0 || !few || HasManyLayers();
  OrderBook free(bounds_), as_prefill(bounds_), as_decode(bounds_);
  if (!space.prefill || !space.decode) Gather(nodes, free);
  if (space.prefill) as_prefill.Add(*space.prefill);
  if (space.decode) as_decode.Add(*space.decode);
  const auto prepared = [](const OrderBook& book) {
    std::vector<Prepared> list;
    for (const Order& order : book.orders()) list.push_back({.order = &order});
    return list;
  };
  auto prefills = prepared(space.prefill ? as_prefill : free);
  // Where all orders are there, those that generate can be told apart by these.
  if (few && !told_)
    std::erase_if(prefills, [&](const Prepared& each) { return !IsFirst(*each.order, nodes); });
  const OrderBook& decodes = space.decode ? as_decode : free;
  if (!space.prefill) WeighBoth(decodes.orders());
  WeighPairs(std::move(prefills), prepared(decodes));
  if (!few && !told_ && space.cells == 0)
    Climb(Promising(nodes, best_.kept(), kNodesOfSteps), budget_.steps);
}

}  // namespace

std::vector<size_t> ById(const ClusterProfile& cluster, std::vector<size_t> nodes) {
  std::sort(nodes.begin(), nodes.end(),
            [&](size_t a, size_t b) { return cluster.nodes[a].id < cluster.nodes[b].id; });
  return nodes;
}

bool HasTimeForCare(const ClusterProfile& cluster, const ModelCost& model) {
  return cluster.nodes.size() <= kNodesWithCare || model.n_layers() <= kLayersWithCare;
}

std::vector<Candidate> Find(const Judge& judge, const SearchSpace& space, BoundsBook& bounds) {
  Search search(judge, bounds);
  search.Weigh(space);
  return search.Found();
}

}  // namespace baton::plan
