#include "apps/baton/lab/workload.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "apps/baton/answers.h"
#include "base/random.h"

namespace baton::app {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

double SecondsBetween(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

json::array Names(const std::vector<std::string>& names) {
  json::array list;
  for (const std::string& name : names) list.emplace_back(name);
  return list;
}

// The n-th prompt of that length: the same in every row, and like no other from its first token on.
// Behind the vocabulary's bytes.
json::array PromptOf(int tokens, int n) {
  json::array prompt;
  Rng random(static_cast<uint64_t>(n) + 1);
  for (int i = 0; i < tokens; ++i) prompt.push_back(300 + random.Below(200));
  return prompt;
}

struct Answered {
  Clock::time_point sent, first, last;
  std::string text;
  double kv_bytes = 0;
};

Result<Answered> Ask(const Client& client, const plan::Scenario& scenario,
                     const plan::ScenarioRow& row, int prompt) {
  const json::object body = {{"model", scenario.model},
                             {"prompt", PromptOf(row.prompt_tokens, prompt)},
                             {"max_tokens", row.answer_tokens},
                             {"temperature", 0},
                             {"ignore_eos", true},
                             {"stream", true}};
  Answered answered{.sent = Clock::now()};
  std::string failure;
  BATON_RETURN_IF_ERROR(client.Stream("/v1/completions", body, [&](std::string_view data) {
    const Clock::time_point now = Clock::now();
    boost::system::error_code bad;
    const json::value event = json::parse({data.data(), data.size()}, bad);
    if (bad) return true;
    if (event.is_object() && event.get_object().contains("error"))
      failure = Text(event.at("error"), "message");
    const json::array& choices = List(event, "choices");
    if (choices.empty()) return true;
    if (event.get_object().contains("timings"))
      answered.kv_bytes = Number(event.at("timings"), "kv_bytes");
    const std::string text = Text(choices.front(), "text");
    if (text.empty()) return true;
    if (answered.text.empty()) answered.first = now;
    answered.last = now;
    answered.text += text;
    return true;
  }));
  if (!failure.empty()) return MakeError(Code::kInternal, "row '{}': {}", row.name, failure);
  if (answered.text.empty())
    return MakeError(Code::kInternal, "row '{}': the answer is empty", row.name);
  return answered;
}

// Ends the cluster when the lab is interrupted.
class InterruptGuard {
 public:
  explicit InterruptGuard(const LabCluster& cluster)
      : thread_([this, &cluster] {
          std::unique_lock lock(mutex_);
          while (!done_ && !LabInterrupted()) ended_.wait_for(lock, std::chrono::milliseconds(100));
          if (!done_) cluster.Interrupt();
        }) {}
  ~InterruptGuard() {
    {
      const std::scoped_lock lock(mutex_);
      done_ = true;
    }
    ended_.notify_all();
    thread_.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  bool done_ = false;
  std::thread thread_;
};

// So many requests at once.
Result<std::vector<Answered>> AskTogether(const LabCluster& cluster, const plan::Scenario& scenario,
                                          const plan::ScenarioRow& row, int first_prompt) {
  const Client& client = cluster.EntryClient();
  const InterruptGuard guard(cluster);
  std::vector<std::optional<Result<Answered>>> results(static_cast<size_t>(row.concurrency));
  std::vector<std::thread> threads;
  for (int i = 0; i < row.concurrency; ++i) {
    threads.emplace_back(
        [&, i] { results[static_cast<size_t>(i)] = Ask(client, scenario, row, first_prompt + i); });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<Answered> answers;
  for (auto& result : results) {
    if (!result->ok()) return result->error();
    answers.push_back(*std::move(*result));
  }
  return answers;
}

// Has the model placed, and notes where in `run`.
Status Place(const Client& client, const plan::Scenario& scenario, const plan::ScenarioRow& row,
             LabRun& run) {
  const plan::Workload workload = plan::WorkloadOf(row, scenario);
  json::object body = {{"model", scenario.model},
                       {"prompt_tokens", row.prompt_tokens},
                       {"answer_tokens", row.answer_tokens},
                       {"context_tokens", workload.context_tokens},
                       {"concurrency", row.concurrency}};
  if (!row.nodes.empty()) body["nodes"] = Names(row.nodes);
  if (!row.prefill_on.empty()) body["prefill_on"] = Names(row.prefill_on);
  if (!row.decode_on.empty()) body["decode_on"] = Names(row.decode_on);
  json::array split;
  for (const int layers : row.split) split.push_back(layers);
  if (!split.empty()) body["split"] = std::move(split);
  const auto placed = client.Post("/api/place", body);
  if (!placed.ok()) return placed.error().Within(fmt::format("row '{}'", row.name));
  const json::value& plan = placed->at("plan");
  run.instances = static_cast<int>(std::max<size_t>(1, List(plan, "instances").size()));
  for (const json::value& stage : List(plan, "stages")) {
    const std::string role = Text(stage, "role"), node = Text(stage, "node");
    const double first = Number(stage, "first_layer"), last = Number(stage, "last_layer");
    run.stages += fmt::format("{}{}{} {:.0f}-{:.0f}", run.stages.empty() ? "" : ", ",
                              role == "both" ? "" : role + " on ", node, first, last);
    (role == "prefill" ? run.prefill_on : run.decode_on).push_back(node);
    if (role != "prefill") run.split.push_back(static_cast<int>(last - first + 1));
  }
  return OkStatus();
}

int64_t Micros(Clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

// What all nodes did between two times.
Result<std::vector<LabEvent>> EventsOf(const LabCluster& cluster, Clock::time_point from,
                                       Clock::time_point until, double speed, double& overrun_s) {
  std::vector<LabEvent> events;
  for (size_t i = 0; i < cluster.size(); ++i) {
    BATON_ASSIGN_OR_RETURN(const json::value timeline, cluster.ClientOf(i).Get("/api/timeline"));
    overrun_s += Number(timeline, "overrun_ms") * 1e-3 * speed;
    for (const json::value& each : List(timeline, "events")) {
      const double begin = Number(each, "begin_us"), end = Number(each, "end_us");
      if (end < static_cast<double>(Micros(from)) || begin > static_cast<double>(Micros(until)))
        continue;
      const auto scaled = [&](double us) {
        return (us - static_cast<double>(Micros(from))) * 1e-6 * speed;
      };
      events.push_back({.node = cluster.NameOf(i),
                        .what = Text(each, "what"),
                        .to = Text(each, "to"),
                        .begin_s = std::max(0.0, scaled(begin)),
                        .end_s = scaled(end),
                        .first_layer = static_cast<int>(Number(each, "first_layer")),
                        .last_layer = static_cast<int>(Number(each, "last_layer")),
                        .first_token = static_cast<int>(Number(each, "first_token")),
                        .tokens = static_cast<int>(Number(each, "tokens")),
                        .bytes = Number(each, "bytes")});
    }
  }
  return events;
}

// Of all requests, on the scenario's clock.
plan::RequestTimes TimesOf(const std::vector<std::vector<Answered>>& rounds,
                           const plan::ScenarioRow& row, double speed) {
  std::vector<double> ttft, decode, total;
  for (const std::vector<Answered>& round : rounds) {
    for (const Answered& each : round) {
      ttft.push_back(SecondsBetween(each.sent, each.first) * speed);
      decode.push_back(SecondsBetween(each.first, each.last) * speed);
      total.push_back(SecondsBetween(each.sent, each.last) * speed);
    }
  }
  plan::RequestTimes times{
      .ttft_s = Median(ttft), .decode_s = Median(decode), .total_s = Median(total)};
  times.tokens_per_s = row.concurrency * (row.answer_tokens - 1) / times.decode_s;
  return times;
}

double OverrunOf(const LabCluster& cluster) {
  double overrun_s = 0;
  const Clock::time_point never{};
  (void)EventsOf(cluster, never, never, 1, overrun_s);
  return overrun_s;
}

}  // namespace

Result<LabRun> RunRow(LabCluster& cluster, const plan::Scenario& scenario,
                      const plan::ScenarioRow& row, double speed) {
  const Client& client = cluster.EntryClient();
  LabRun run;
  BATON_RETURN_IF_ERROR(Place(client, scenario, row, run));
  // Whoever is asked first takes memory from the system, which takes time that no device takes; a
  // node with two seats still does the second time, as each of them writes some layers alone.
  constexpr int kWarmUp = 1000;
  const bool two_seats =
      std::any_of(run.prefill_on.begin(), run.prefill_on.end(), [&](const std::string& node) {
        return std::find(run.decode_on.begin(), run.decode_on.end(), node) != run.decode_on.end();
      });
  for (int i = 0; i < (two_seats ? 2 : 1); ++i)
    BATON_RETURN_IF_ERROR(
        AskTogether(cluster, scenario, row, kWarmUp + i * row.concurrency).status());
  const double before_s = OverrunOf(cluster);
  std::vector<std::vector<Answered>> rounds;
  for (int i = 0; i < row.repeat; ++i) {
    BATON_RETURN_IF_ERROR(CheckInterrupted());
    BATON_ASSIGN_OR_RETURN(auto answers, AskTogether(cluster, scenario, row, i * row.concurrency));
    for (const Answered& answer : answers) run.texts.push_back(answer.text);
    rounds.push_back(std::move(answers));
  }
  run.speed = speed;
  run.times = TimesOf(rounds, row, speed);
  run.kv_bytes = rounds.back().back().kv_bytes;
  Clock::time_point until = rounds.back().front().last;
  for (const Answered& answer : rounds.back()) until = std::max(until, answer.last);
  double overrun_s = 0;
  BATON_ASSIGN_OR_RETURN(run.events,
                         EventsOf(cluster, rounds.back().front().sent, until, speed, overrun_s));
  run.overrun_s = overrun_s - before_s * speed;
  BATON_RETURN_IF_ERROR(cluster.StopModel());
  return run;
}

}  // namespace baton::app
