#include "plan/simulator.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <queue>
#include <set>
#include <unordered_map>

#include "base/check.h"
#include "base/random.h"
#include "plan/step_cost.h"

namespace baton::plan {
namespace {

constexpr int kBatchMax = 32;              // as the engine's
constexpr double kTokenMessageBytes = 64;  // a token on its way
constexpr int64_t kEventsPerRequestMax = 1'000'000;
constexpr uint64_t kLengthStream = 1, kArrivalStream = 2, kFailureStream = 3;

// A stage of the plan, in whichever role.
struct StageModel {
  size_t node = 0;  // index into the cluster's nodes
  LayerRange layers;
  double hop_chunk_s_per_token = 0;  // to the next stage of its group
  double hop_s = 0;
  StepCosts costs;
  std::unordered_map<uint64_t, double> known;  // seconds, by what the step is

  double ChunkSeconds(int first, int count, bool logits) {
    const uint64_t key = static_cast<uint64_t>(first) << 32 | static_cast<uint64_t>(count) << 1 |
                         static_cast<uint64_t>(logits);
    const auto [at, fresh] = known.try_emplace(key, 0);
    if (fresh) at->second = costs.OfChunk(layers, first, count, logits).back();
    return at->second;
  }
  double TokenSeconds(int64_t tokens_before, int requests, bool logits) {
    const int mean = static_cast<int>(tokens_before / requests);
    const uint64_t key = uint64_t{1} << 63 | static_cast<uint64_t>(requests) << 33 |
                         static_cast<uint64_t>(mean) << 1 | static_cast<uint64_t>(logits);
    const auto [at, fresh] = known.try_emplace(key, 0);
    if (fresh) {
      const std::vector<int> contexts(static_cast<size_t>(requests), mean);
      at->second = costs.OfTokens(layers, contexts, logits).back();
    }
    return at->second;
  }
};

using GroupModel = std::vector<StageModel>;

struct Request {
  double arrived_s = 0;
  double started_s = -1;  // when a slot was free at first
  double first_token_s = -1;
  int prompt = 0;  // with what was generated before it was lost
  int answer = 0;  // still to come, of this attempt
  int generated = 0;
  int replica = -1;
  uint32_t attempt = 0;
  double prompt_began_s = -1;  // of this attempt
};

enum class What : uint8_t { kArrival, kReady, kTurn, kStepDone, kFailure, kRepair };

// Something that an engine has to do.
struct Task {
  int64_t request = 0;
  uint32_t attempt = 0;
  bool decode = false;
  size_t stage = 0;
  int first = 0;  // of a chunk
  int count = 0;
};

struct Event {
  double at_s = 0;
  uint64_t number = 0;  // of two at one time, the earlier made comes first
  What what = What::kArrival;
  int replica = 0;
  size_t node = 0;
  uint32_t epoch = 0;  // of the replica
  Task task;           // kReady

  bool operator>(const Event& other) const {
    return at_s != other.at_s ? at_s > other.at_s : number > other.number;
  }
};

// As engine/engine.h has it: every prompt and all answers together have a turn in turn; those of
// prompts go to the one that is due first, that of answers to the one that has waited longest, with
// all others of its stage.
struct Engine {
  std::deque<Task> ready;
  std::vector<Task> running;
  double busy_s = 0;
  struct Prompt {
    int64_t due = 0;  // by tokens_run
    int tokens_left = 0;
  };
  std::map<int64_t, Prompt> prompts;  // by their requests
  int64_t tokens_run = 0;             // of prompts
  size_t prompt_turns = 0;            // since answers had one
  bool turn_comes = false;

  void Clear() {
    turn_comes = false;
    ready.clear();
    running.clear();
    prompts.clear();
  }
  void Add(const Task& task, int prompt_tokens) {
    ready.push_back(task);
    if (!task.decode)
      prompts.try_emplace(task.request, Prompt{tokens_run + prompt_tokens, prompt_tokens});
  }
  // Takes the next out of `ready`, where there is one.
  Task Next() {
    auto prompt = ready.end(), answer = ready.end();
    std::set<int64_t> waiting;  // prompts
    for (auto at = ready.begin(); at != ready.end(); ++at) {
      if (at->decode && answer == ready.end()) answer = at;
      if (at->decode) continue;
      waiting.insert(at->request);
      if (prompt == ready.end() || DueOf(*at) < DueOf(*prompt)) prompt = at;
    }
    const bool prompts_turn = answer == ready.end() || prompt_turns < waiting.size();
    const auto next = prompt != ready.end() && prompts_turn ? prompt : answer;
    const Task task = *next;
    ready.erase(next);
    prompt_turns = task.decode ? 0 : prompt_turns + 1;
    if (!task.decode) Count(task);
    return task;
  }

 private:
  std::pair<int64_t, int64_t> DueOf(const Task& task) const {
    return {prompts.at(task.request).due, task.request};
  }
  void Count(const Task& chunk) {
    tokens_run += chunk.count;
    const auto prompt = prompts.find(chunk.request);
    prompt->second.tokens_left -= chunk.count;
    if (prompt->second.tokens_left == 0) prompts.erase(prompt);
  }
};

// An instance of the plan.
struct InstanceModel {
  GroupModel prefill, decode;
  std::vector<KvStream> streams;
  int slots = 1;
  int planned = 1;  // requests at once

  GroupModel& Prompting() { return prefill.empty() ? decode : prefill; }
  GroupModel& GroupOf(const Task& task) { return task.decode ? decode : Prompting(); }
};

// An instance in one copy of the cluster.
struct Replica {
  InstanceModel* model = nullptr;
  std::vector<Engine> engines;  // of each node
  std::vector<double> stream_free_s;
  std::set<int64_t> requests;
  uint32_t epoch = 0;  // raised by a failure: what was under way is lost
  int nodes_down = 0;
};

Spread SpreadOf(std::vector<double> values) {
  Spread spread;
  if (values.empty()) return spread;
  std::sort(values.begin(), values.end());
  double sum = 0;
  for (const double value : values) sum += value;
  const auto at = [&](double share) {
    return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1))];
  };
  return {sum / static_cast<double>(values.size()), at(0.5), at(0.9), at(0.99)};
}

class Simulator {
 public:
  Simulator(const ClusterProfile& cluster, const ModelCost& model, const Workload& workload,
            const Plan& plan, const NodeId& entry, const SimulationOptions& options)
      : cluster_(cluster),
        model_(model),
        workload_(workload),
        entry_(entry),
        options_(options),
        lengths_(options.seed * 4 + kLengthStream),
        arrivals_(options.seed * 4 + kArrivalStream),
        failures_(options.seed * 4 + kFailureStream),
        owner_(cluster.nodes.size(), 0) {
    for (const Plan* instance : InstancesOf(plan)) {
      for (const NodeId& id : NodesUsed(*instance)) owner_[IndexOf(id)] = models_.size();
      models_.push_back(
          {ModelOf(instance->prefill), ModelOf(instance->decode), StreamsBetween(*instance),
           plan.instances.empty() ? workload.slots : instance->slots, instance->concurrency});
    }
    replicas_.resize(static_cast<size_t>(options.replicas) * models_.size());
    for (size_t i = 0; i < replicas_.size(); ++i) {
      replicas_[i].model = &models_[i % models_.size()];
      replicas_[i].engines.resize(cluster.nodes.size());
      replicas_[i].stream_free_s.resize(replicas_[i].model->streams.size(), 0);
      Offer(static_cast<int>(i));
    }
  }

  Result<SimulationResult> Run() {
    Push({.at_s = NextArrival(), .what = What::kArrival});
    PlanFailures();
    const int64_t events_max = kEventsPerRequestMax * options_.requests;
    for (int64_t i = 0; result_.completed < options_.requests; ++i) {
      if (i > events_max)
        return MakeError(Code::kResourceExhausted,
                         "after {:.0f} s {} of {} requests are done: nodes fail faster than they "
                         "finish",
                         now_s_, result_.completed, options_.requests);
      const Event event = events_.top();
      events_.pop();
      inside_s_ += static_cast<double>(inside_) * (event.at_s - now_s_);
      now_s_ = event.at_s;
      Handle(event);
    }
    return Finish();
  }

 private:
  // --- The plan ---

  size_t IndexOf(const NodeId& id) const {
    for (size_t i = 0; i < cluster_.nodes.size(); ++i) {
      if (cluster_.nodes[i].id == id) return i;
    }
    CHECK(false, "a plan of another cluster");
    return 0;
  }

  GroupModel ModelOf(const std::vector<StagePlan>& stages) const {
    GroupModel group;
    for (size_t i = 0; i < stages.size(); ++i) {
      const size_t node = IndexOf(stages[i].node);
      StageModel stage{.node = node,
                       .layers = stages[i].layers,
                       .costs = StepCosts(cluster_.nodes[node].device, model_, workload_.kv_type)};
      if (i + 1 < stages.size()) {
        const double row_bytes = 4.0 * model_.hidden_width;
        const NodeId& to = stages[i + 1].node;
        stage.hop_s = TransferSeconds(cluster_, stages[i].node, to, 0);
        stage.hop_chunk_s_per_token =
            TransferSeconds(cluster_, stages[i].node, to, row_bytes) - stage.hop_s;
      }
      group.push_back(std::move(stage));
    }
    return group;
  }

  std::vector<KvStream> StreamsBetween(const Plan& plan) const {
    if (plan.prefill.empty()) return {};
    std::vector<LayerRange> ranges;
    const auto group_of = [&](const std::vector<StagePlan>& stages) {
      Group group;
      for (const StagePlan& stage : stages) {
        group.push_back({IndexOf(stage.node), stage.layers});
        ranges.push_back(stage.layers);
      }
      return group;
    };
    const Group prefill = group_of(plan.prefill);
    const Group decode = group_of(plan.decode);
    const CostTable costs(cluster_, model_, workload_, ranges);
    return HandOver(costs, prefill, PrefillSeconds(costs, prefill), workload_.prompt_tokens)
        .StreamsTo(decode);
  }

  InstanceModel& InstanceOf(int64_t request) {
    return *replicas_[requests_[static_cast<size_t>(request)].replica].model;
  }
  GroupModel& GroupOf(const Task& task) { return InstanceOf(task.request).GroupOf(task); }
  double MessageSeconds(size_t from, size_t to) const {
    return TransferSeconds(cluster_, cluster_.nodes[from].id, cluster_.nodes[to].id,
                           kTokenMessageBytes);
  }
  double ToEntry(size_t from) const {
    return TransferSeconds(cluster_, cluster_.nodes[from].id, entry_, kTokenMessageBytes);
  }

  // --- Events ---

  void Push(Event event) {
    event.number = next_number_++;
    events_.push(std::move(event));
  }
  void PushReady(double at_s, const Task& task) {
    const int replica = requests_[static_cast<size_t>(task.request)].replica;
    Push({.at_s = at_s,
          .what = What::kReady,
          .replica = replica,
          .node = GroupOf(task)[task.stage].node,
          .epoch = replicas_[replica].epoch,
          .task = task});
  }

  // Once all is ready that gets ready now: tokens of one batch go on in one.
  void PushTurn(int replica, size_t node) {
    Engine& engine = replicas_[replica].engines[node];
    if (!engine.running.empty() || std::exchange(engine.turn_comes, true)) return;
    Push({.at_s = now_s_,
          .what = What::kTurn,
          .replica = replica,
          .node = node,
          .epoch = replicas_[replica].epoch});
  }

  void Handle(const Event& event) {
    Replica& replica = replicas_[event.replica];
    switch (event.what) {
      case What::kArrival:
        return OnArrival();
      case What::kReady:
        if (event.epoch != replica.epoch) return;
        replica.engines[event.node].Add(event.task,
                                        requests_[static_cast<size_t>(event.task.request)].prompt);
        return PushTurn(event.replica, event.node);
      case What::kTurn:
        if (event.epoch != replica.epoch) return;
        return StartStep(event.replica, event.node);
      case What::kStepDone:
        if (event.epoch != replica.epoch) return;
        return OnStepDone(event.replica, event.node);
      case What::kFailure:
        return OnFailure(event.replica, event.node);
      case What::kRepair:
        return OnRepair(event.replica, event.node);
    }
  }

  double Exponential(Rng& rng, double per_s) { return -std::log(1 - rng.Uniform()) / per_s; }
  double NextArrival() { return now_s_ + Exponential(arrivals_, options_.requests_per_s); }
  int LengthNear(int mean, int least) {
    const double factor = 1 + options_.spread * (2 * lengths_.Uniform() - 1);
    return std::max(least, static_cast<int>(std::lround(mean * factor)));
  }

  void OnArrival() {
    const auto id = static_cast<int64_t>(requests_.size());
    Request request{.arrived_s = now_s_};
    request.prompt = LengthNear(workload_.prompt_tokens, 1);
    request.answer = LengthNear(workload_.answer_tokens, 1);
    requests_.push_back(request);
    ++inside_;
    waiting_.push_back(id);
    if (id + 1 < options_.requests) Push({.at_s = NextArrival(), .what = What::kArrival});
    Dispatch();
  }

  // Whoever waits longest goes where fewest run, in proportion to what each is planned for.
  void Dispatch() {
    while (!waiting_.empty() && !free_.empty()) {
      const int replica = free_.begin()->second;
      const int64_t id = waiting_.front();
      waiting_.pop_front();
      Occupy(replica, id);
      Request& request = requests_[static_cast<size_t>(id)];
      request.replica = replica;
      if (request.started_s < 0) request.started_s = now_s_;
      request.prompt_began_s = -1;
      SubmitChunk(id, 0);
    }
  }

  void Occupy(int replica, int64_t request) {
    free_.erase({LoadOf(replica), replica});
    replicas_[replica].requests.insert(request);
    Offer(replica);
  }
  // Has it a slot to give?
  void Offer(int replica) {
    const auto running = static_cast<int>(replicas_[replica].requests.size());
    if (replicas_[replica].nodes_down == 0 &&
        running < std::max(1, replicas_[replica].model->slots))
      free_.insert({LoadOf(replica), replica});
  }
  double LoadOf(int replica) const {
    return (1.0 + static_cast<double>(replicas_[replica].requests.size())) /
           replicas_[replica].model->planned;
  }

  void SubmitChunk(int64_t id, int first) {
    const Request& request = requests_[static_cast<size_t>(id)];
    const int chunk = workload_.ChunkOf(request.prompt, InstanceOf(id).Prompting().size());
    const int count = std::min(chunk, request.prompt - first);
    PushReady(now_s_, {.request = id, .attempt = request.attempt, .first = first, .count = count});
  }

  void StartStep(int index, size_t node) {
    Engine& engine = replicas_[index].engines[node];
    engine.turn_comes = false;
    if (engine.ready.empty()) return;
    const Task task = engine.Next();
    engine.running = {task};
    StageModel& stage = GroupOf(task)[task.stage];
    const bool draws = task.stage + 1 == GroupOf(task).size();
    double seconds = 0;
    if (task.decode) {
      int64_t before = Context(task);
      for (auto at = engine.ready.begin(); at != engine.ready.end();) {
        const bool joins = at->decode && at->stage == task.stage &&
                           engine.running.size() < static_cast<size_t>(kBatchMax);
        if (joins) before += Context(*at);
        if (joins) engine.running.push_back(*at);
        at = joins ? engine.ready.erase(at) : std::next(at);
      }
      seconds = stage.TokenSeconds(before, static_cast<int>(engine.running.size()), draws);
    } else {
      Request& request = requests_[static_cast<size_t>(task.request)];
      if (request.prompt_began_s < 0) request.prompt_began_s = now_s_;
      const bool last = task.first + task.count == request.prompt;
      seconds = stage.ChunkSeconds(task.first, task.count, draws && last);
    }
    engine.busy_s += seconds;
    Push({.at_s = now_s_ + seconds,
          .what = What::kStepDone,
          .replica = index,
          .node = node,
          .epoch = replicas_[index].epoch});
  }

  int Context(const Task& task) const {
    const Request& request = requests_[static_cast<size_t>(task.request)];
    return request.prompt + request.generated - 1;
  }

  void OnStepDone(int index, size_t node) {
    const std::vector<Task> done = std::exchange(replicas_[index].engines[node].running, {});
    for (const Task& task : done) {
      if (task.decode) {
        OnTokenDone(task);
      } else {
        OnChunkDone(task);
      }
    }
    PushTurn(index, node);
  }

  void OnChunkDone(const Task& task) {
    const Request& request = requests_[static_cast<size_t>(task.request)];
    const GroupModel& group = GroupOf(task);
    const int end = task.first + task.count;
    if (task.stage == 0 && end < request.prompt) SubmitChunk(task.request, end);
    if (task.stage + 1 < group.size()) {
      const StageModel& stage = group[task.stage];
      Task next = task;
      ++next.stage;
      PushReady(now_s_ + stage.hop_s + stage.hop_chunk_s_per_token * task.count, next);
    } else if (end == request.prompt) {
      OnPromptDone(task);
    }
  }

  void OnPromptDone(const Task& task) {
    InstanceModel& instance = InstanceOf(task.request);
    const size_t sampler = instance.Prompting().back().node;
    const double seen_s = now_s_ + ToEntry(sampler);
    const double there_s = std::max(now_s_ + MessageSeconds(sampler, instance.decode.front().node),
                                    KvArrival(requests_[static_cast<size_t>(task.request)]));
    OnToken(task, seen_s, there_s);
  }

  // When all of a prompt's KV is where it is needed, given that it is computed now
  // (plan/hand_over.h, where a stream may have had to wait for another prompt's).
  double KvArrival(const Request& request) {
    double all_s = 0;
    std::vector<double>& free_s = replicas_[request.replica].stream_free_s;
    const auto token_bytes =
        static_cast<double>(model_.KvBytesPerTokenPerLayer(workload_.TravelType()));
    const std::vector<KvStream>& streams = replicas_[request.replica].model->streams;
    for (size_t i = 0; i < streams.size(); ++i) {
      const KvStream& stream = streams[i];
      const double bytes = token_bytes * model_.SeenTokens(stream.layers, request.prompt);
      const double unit = token_bytes * std::min(request.prompt, workload_.chunk_tokens);
      const double prefill_s = now_s_ - request.prompt_began_s;
      const double begins_s =
          std::max(request.prompt_began_s + prefill_s * stream.begin_part, free_s[i]);
      free_s[i] =
          std::max(now_s_ + unit / stream.bytes_per_s, begins_s + bytes / stream.bytes_per_s);
      all_s = std::max(all_s, free_s[i] + stream.one_way_s);
    }
    return all_s;
  }

  void OnTokenDone(const Task& task) {
    const GroupModel& decode = InstanceOf(task.request).decode;
    if (task.stage + 1 < decode.size()) {
      const StageModel& stage = decode[task.stage];
      Task next = task;
      ++next.stage;
      return PushReady(now_s_ + stage.hop_s + stage.hop_chunk_s_per_token, next);
    }
    const size_t sampler = decode.back().node;
    OnToken(task, now_s_ + ToEntry(sampler), now_s_ + MessageSeconds(sampler, decode.front().node));
  }

  // A token was drawn: the client sees it at one time, the first stage has it at another.
  void OnToken(const Task& task, double seen_s, double there_s) {
    Request& request = requests_[static_cast<size_t>(task.request)];
    ++request.generated;
    ++result_.generated_tokens;
    if (request.first_token_s < 0) request.first_token_s = seen_s;
    if (request.generated < request.answer)
      return PushReady(
          there_s,
          {.request = task.request, .attempt = request.attempt, .decode = true, .stage = 0});
    Complete(task.request, seen_s);
  }

  void Complete(int64_t id, double at_s) {
    Request& request = requests_[static_cast<size_t>(id)];
    ++result_.completed;
    // The last token is still on its way to the client, the slot is free.
    inside_s_ += at_s - now_s_;
    --inside_;
    result_.end_s = std::max(result_.end_s, at_s);
    const int tokens = request.generated + tokens_before_[id];
    waits_.push_back(request.started_s - request.arrived_s);
    ttfts_.push_back(request.first_token_s - request.arrived_s);
    decodes_.push_back(at_s - request.first_token_s);
    totals_.push_back(at_s - request.arrived_s);
    if (tokens > 1) gaps_.push_back((at_s - request.first_token_s) / (tokens - 1));
    Leave(request.replica, id);
    Dispatch();
  }

  void Leave(int replica, int64_t id) {
    free_.erase({LoadOf(replica), replica});
    replicas_[replica].requests.erase(id);
    Offer(replica);
  }

  // --- Failures ---

  void PlanFailures() {
    if (options_.failures_per_node_hour <= 0) return;
    for (int copy = 0; copy < options_.replicas; ++copy) {
      for (size_t node = 0; node < cluster_.nodes.size(); ++node)
        PlanFailure(copy * static_cast<int>(models_.size()) + static_cast<int>(owner_[node]), node);
    }
  }
  void PlanFailure(int replica, size_t node) {
    const double wait_s = Exponential(failures_, options_.failures_per_node_hour / 3600);
    Push({.at_s = now_s_ + wait_s, .what = What::kFailure, .replica = replica, .node = node});
  }

  // Its requests go on elsewhere: what they have is their prompt.
  void OnFailure(int index, size_t node) {
    Replica& replica = replicas_[index];
    ++result_.failures;
    ++replica.epoch;
    ++replica.nodes_down;
    Push({.at_s = now_s_ + options_.repair_s,
          .what = What::kRepair,
          .replica = index,
          .node = node});
    free_.erase({LoadOf(index), index});
    for (Engine& engine : replica.engines) engine.Clear();
    for (double& free_s : replica.stream_free_s) free_s = now_s_;
    // The oldest first.
    for (auto id = replica.requests.rbegin(); id != replica.requests.rend(); ++id) {
      Request& request = requests_[static_cast<size_t>(*id)];
      ++request.attempt;
      ++result_.restarts;
      request.prompt += request.generated;
      request.answer -= request.generated;
      tokens_before_[*id] += std::exchange(request.generated, 0);
      waiting_.push_front(*id);
    }
    replica.requests.clear();
    Dispatch();
  }

  void OnRepair(int index, size_t node) {
    if (--replicas_[index].nodes_down == 0) Offer(index);
    PlanFailure(index, node);
    Dispatch();
  }

  Result<SimulationResult> Finish() {
    result_.wait_s = SpreadOf(std::move(waits_));
    result_.ttft_s = SpreadOf(std::move(ttfts_));
    result_.decode_s = SpreadOf(std::move(decodes_));
    result_.total_s = SpreadOf(std::move(totals_));
    result_.token_s = SpreadOf(std::move(gaps_));
    result_.requests_inside = inside_s_ / result_.end_s;
    double busy_s = 0;
    for (const Replica& replica : replicas_) {
      for (const Engine& engine : replica.engines) busy_s += engine.busy_s;
    }
    const auto nodes =
        static_cast<double>(static_cast<size_t>(options_.replicas) * cluster_.nodes.size());
    result_.busy_share = busy_s / nodes / result_.end_s;
    return result_;
  }

  const ClusterProfile& cluster_;
  const ModelCost& model_;
  const Workload& workload_;
  const NodeId entry_;
  const SimulationOptions& options_;
  Rng lengths_, arrivals_, failures_;
  std::vector<InstanceModel> models_;
  std::vector<size_t> owner_;      // of each node: the instance that its failure ends
  std::vector<Replica> replicas_;  // of each copy of the cluster all instances

  double now_s_ = 0;
  uint64_t next_number_ = 0;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::vector<Request> requests_;
  std::deque<int64_t> waiting_;
  std::set<std::pair<double, int>> free_;  // (load, replica) of those with a slot to give
  std::map<int64_t, int> tokens_before_;   // of requests that were lost on the way
  int64_t inside_ = 0;
  double inside_s_ = 0;  // requests times seconds
  std::vector<double> waits_, ttfts_, decodes_, totals_, gaps_;
  SimulationResult result_;
};

}  // namespace

Result<SimulationResult> Simulate(const ClusterProfile& cluster, const ModelCost& model,
                                  const Workload& workload, const Plan& plan, const NodeId& entry,
                                  const SimulationOptions& options) {
  const bool sane = options.replicas > 0 && options.requests > 0 && options.requests_per_s > 0 &&
                    options.spread >= 0 && options.spread < 1 &&
                    options.failures_per_node_hour >= 0 && options.repair_s >= 0;
  if (!sane)
    return MakeError(Code::kInvalidArgument,
                     "{} requests at {} a second on {} replicas, lengths within {}, {} failures an "
                     "hour, repaired in {} s",
                     options.requests, options.requests_per_s, options.replicas, options.spread,
                     options.failures_per_node_hour, options.repair_s);
  return Simulator(cluster, model, workload, plan, entry, options).Run();
}

}  // namespace baton::plan
