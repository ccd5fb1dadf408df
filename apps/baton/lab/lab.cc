// `baton lab SCENARIO`: a cluster that one does not own, replayed with this program.
#include <signal.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "apps/baton/answers.h"
#include "apps/baton/lab/host.h"
#include "apps/baton/lab/report.h"
#include "apps/baton/lab/simulation.h"
#include "apps/baton/verbs.h"
#include "base/log.h"
#include "hub/synthetic_model.h"
#include "os/file.h"
#include "os/process.h"
#include "plan/model_cost.h"

namespace baton::app {
namespace {

namespace json = boost::json;

constexpr size_t kScenarioBytesMax = 1 << 20;
// Below this share of what a link should carry, or above this share of a run, the machine shows.
constexpr double kCarriedMin = 0.9;
constexpr double kOverrunMost = 0.02;
// What a stage's token takes of this program: messages, threads, HTTP.
constexpr double kOwnTokenSeconds = 300e-6;

struct LabVerbOptions {
  std::string path;
  std::string svg;
  std::string only;
  std::optional<double> speed;
  std::optional<std::string> link;
  bool predict = false;
  bool simulate = false;
  plan::SimulationOptions simulation;
  bool loopback = false;
  bool json = false;
};

// Turns an interrupt into a flag. Signals are blocked in all threads that begin later.
class InterruptWatch {
 public:
  InterruptWatch() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    thread_ = std::thread([this] {
      while (!stopping_) {
        const timespec some{.tv_sec = 0, .tv_nsec = 50'000'000};
        if (sigtimedwait(&signals_, nullptr, &some) > 0) InterruptLab();
      }
    });
  }
  ~InterruptWatch() {
    stopping_ = true;
    thread_.join();
  }

 private:
  sigset_t signals_{};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

Result<plan::Scenario> ReadScenario(const std::string& path) {
  BATON_ASSIGN_OR_RETURN(const std::string text, os::ReadFile(path, kScenarioBytesMax));
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  auto scenario = plan::ParseScenario(text, plan::Catalogue::Shipped(), [&](const auto& named) {
    return os::ReadFile((folder / named).string(), kScenarioBytesMax);
  });
  if (!scenario.ok()) return scenario.error().Within(path);
  return scenario;
}

Result<plan::ModelCost> CostOfShape(const std::string& model) {
  BATON_ASSIGN_OR_RETURN(const hub::SyntheticOptions shape, hub::ParseShapeAndType(model));
  BATON_ASSIGN_OR_RETURN(const hub::SyntheticOutline outline, hub::OutlineOf(shape));
  return plan::CostOfModel(outline.spec, outline.tensors, model);
}

// The scenario once for each of its links.
struct Variant {
  std::string prefix;  // of its rows' names
  plan::ClusterProfile cluster;
};
std::vector<Variant> VariantsOf(const plan::Scenario& scenario) {
  if (scenario.links.empty()) return {{"", scenario.cluster.cluster}};
  std::vector<Variant> variants;
  for (const plan::CatalogueLink& link : scenario.links)
    variants.push_back({link.id + ": ", plan::WithLinks(scenario.cluster.cluster, link)});
  return variants;
}

class Lab {
 public:
  // `carried_bytes_per_s` is what this machine carries; 0: not known.
  Lab(const plan::Scenario& scenario, const plan::ModelCost& model, const LabVerbOptions& options,
      LabOptions lab, double carried_bytes_per_s)
      : scenario_(scenario),
        model_(model),
        options_(options),
        lab_(std::move(lab)),
        carried_bytes_per_s_(carried_bytes_per_s) {
    for (const plan::ScenarioRow& row : scenario.rows) {
      if (options.only.empty() || row.name == options.only) rows_.push_back(&row);
    }
  }

  Status Run() {
    for (const Variant& variant : VariantsOf(scenario_)) BATON_RETURN_IF_ERROR(Run(variant));
    return OkStatus();
  }
  const std::vector<LabResult>& results() const { return results_; }

 private:
  // A node computes prompts for one group and answers for the other.
  static bool HasTwoSeats(const plan::Plan& instance) {
    return plan::NodesUsed(instance).size() < instance.prefill.size() + instance.decode.size();
  }
  double KvBytesOf(const plan::ScenarioRow& row) const {
    return model_.SeenTokens({0, model_.n_layers()}, row.prompt_tokens) *
           static_cast<double>(model_.KvBytesPerTokenPerLayer(KvType::kF16));
  }

  // What the rows ask of the machine, as the planner expects them to run.
  LabNeed NeedOf(const plan::ClusterProfile& cluster,
                 const std::vector<plan::Prediction>& predicted) const {
    LabNeed need;
    for (size_t i = 0; i < rows_.size(); ++i) {
      const plan::Plan& plan = predicted[i].plan;
      const std::vector<NodeId> nodes = plan::NodesUsed(plan);
      for (const plan::LinkProfile& link : cluster.links) {
        const auto used = [&](const NodeId& id) {
          return std::find(nodes.begin(), nodes.end(), id) != nodes.end();
        };
        if (used(link.from) && used(link.to))
          need.link_bytes_per_s = std::max(need.link_bytes_per_s, link.bytes_per_s);
      }
      for (const plan::Plan* instance : plan::InstancesOf(plan)) {
        if (HasTwoSeats(*instance))
          need.local_bytes_per_s =
              std::max(need.local_bytes_per_s, KvBytesOf(*rows_[i]) / instance->prefill_s);
        const auto hops = static_cast<double>(instance->decode.size());
        need.own_share =
            std::max(need.own_share, hops * kOwnTokenSeconds / instance->decode_step_s);
      }
      need.seconds += (rows_[i]->repeat + 1) * predicted[i].times.total_s;
    }
    need.seconds *= static_cast<double>(std::max<size_t>(1, scenario_.links.size()));
    return need;
  }

  double SpeedFor(const plan::ClusterProfile& cluster,
                  const std::vector<plan::Prediction>& predicted) const {
    if (scenario_.speed) return *scenario_.speed;
    if (carried_bytes_per_s_ == 0) return 1;
    const LabNeed need = NeedOf(cluster, predicted);
    const ChosenSpeed chosen = ChooseSpeed(carried_bytes_per_s_, need);
    fmt::print(stderr, "{}\n", Describe(chosen, carried_bytes_per_s_, need));
    return chosen.speed;
  }

  Status Run(const Variant& variant) {
    std::vector<plan::Prediction> predicted;
    for (const plan::ScenarioRow* row : rows_) {
      auto prediction = plan::Predict(variant.cluster, model_, scenario_, *row);
      if (!prediction.ok()) return prediction.error().Within(fmt::format("row '{}'", row->name));
      predicted.push_back(*std::move(prediction));
    }
    std::unique_ptr<LabCluster> cluster;
    std::string note;
    LabOptions lab = lab_;
    if (!options_.predict) {
      fmt::print(stderr, "{}{} nodes start\n", variant.prefix, variant.cluster.nodes.size());
      lab.speed = SpeedFor(variant.cluster, predicted);
      BATON_ASSIGN_OR_RETURN(cluster, LabCluster::Start(scenario_, variant.cluster, lab));
      note = NoteOfLinks(*cluster);
    }
    for (size_t i = 0; i < rows_.size(); ++i) {
      const plan::ScenarioRow& row = *rows_[i];
      LabResult result{.prefix = variant.prefix, .row = &row, .predicted = predicted[i].times};
      if (cluster != nullptr) {
        fmt::print(stderr, "{}{}\n", variant.prefix, row.name);
        BATON_ASSIGN_OR_RETURN(result.run, RunRow(*cluster, scenario_, row, lab.speed));
        result.note = note + NoteOfRun(*result.run);
        if (result.run->stages != StagesOf(predicted[i].plan, variant.cluster))
          PredictAgain(variant.cluster, result);
      }
      results_.push_back(std::move(result));
    }
    return OkStatus();
  }

  // What this machine could not do.
  std::string NoteOfLinks(const LabCluster& cluster) const {
    const LabCluster::Carried carried = cluster.MeasureLinks();
    if (carried.least >= kCarriedMin) return "";
    return fmt::format("links carry {:.0f} to {:.0f} % of what they should here; ",
                       carried.least * 100, carried.most * 100);
  }
  static std::string NoteOfRun(const LabRun& run) {
    const double share =
        run.overrun_s / (run.times.total_s * static_cast<double>(run.texts.size()));
    return share < kOverrunMost
               ? ""
               : fmt::format("this machine lags {:.0f} % behind its phantoms; ", share * 100);
  }

  // As RunRow() has them.
  static std::string StagesOf(const plan::Plan& plan, const plan::ClusterProfile& cluster) {
    std::string text;
    const auto add = [&](const std::vector<plan::StagePlan>& stages, const char* role) {
      for (const plan::StagePlan& stage : stages)
        text += fmt::format("{}{}{} {}-{}", text.empty() ? "" : ", ", role,
                            cluster.FindNode(stage.node)->name, stage.layers.first,
                            stage.layers.last - 1);
    };
    for (const plan::Plan* instance : plan::InstancesOf(plan)) {
      add(instance->prefill, "prefill on ");
      add(instance->decode, instance->disaggregated() ? "decode on " : "");
    }
    return text;
  }
  // The nodes plan with what they measured: what is expected of that.
  void PredictAgain(const plan::ClusterProfile& cluster, LabResult& result) const {
    plan::ScenarioRow row = *result.row;
    row.prefill_on = result.run->prefill_on;
    row.decode_on = result.run->decode_on;
    row.split = result.run->split;
    if (result.run->instances == 1) {  // several cannot be asked for by name
      const auto predicted = plan::Predict(cluster, model_, scenario_, row);
      if (predicted.ok()) result.predicted = predicted->times;
    }
    result.note +=
        fmt::format("the nodes chose {}, not quite what the planner would by the catalogue",
                    result.run->stages);
  }

  const plan::Scenario& scenario_;
  const plan::ModelCost& model_;
  const LabVerbOptions& options_;
  const LabOptions lab_;
  const double carried_bytes_per_s_;
  std::vector<const plan::ScenarioRow*> rows_;  // that are wanted
  std::vector<LabResult> results_;
};

// True in a network of our own.
bool Isolate(const LabVerbOptions& options) {
  if (options.predict || options.loopback) return false;
  const Status entered = os::EnterOwnNetwork();
  if (!entered.ok())
    fmt::print(stderr, "{}: links go through relays in this program\n", entered.error().message());
  return entered.ok();
}

Result<plan::Scenario> ScenarioOf(const LabVerbOptions& options) {
  BATON_ASSIGN_OR_RETURN(plan::Scenario scenario, ReadScenario(options.path));
  if (options.link) {
    BATON_ASSIGN_OR_RETURN(const plan::CatalogueLink link,
                           plan::Catalogue::Shipped().Link(*options.link));
    scenario.links = {link};
  }
  if (options.speed) scenario.speed = *options.speed;
  const auto named = [&](const plan::ScenarioRow& row) { return row.name == options.only; };
  if (!options.only.empty() && std::none_of(scenario.rows.begin(), scenario.rows.end(), named))
    return MakeError(Code::kInvalidArgument, "no row of '{}' is called '{}'", options.path,
                     options.only);
  return scenario;
}

// What this machine carries, where the speed is still to be chosen.
double CarriedFor(const plan::Scenario& scenario, const LabVerbOptions& options) {
  if (options.predict || scenario.speed) return 0;
  const auto carried = MeasureCarried();
  if (carried.ok()) return *carried;
  fmt::print(stderr, "{}: time runs as in life\n", carried.error().message());
  return 0;
}

int RunLab(const Environment& environment, const LabVerbOptions& options) {
  const auto scenario = ScenarioOf(options);
  if (!scenario.ok()) return Fail(scenario.error());
  const auto model = CostOfShape(scenario->model);
  if (!model.ok()) return Fail(model.error());
  if (options.simulate)
    return SimulateRows(*scenario, *model, options.simulation, options.only, options.json);
  const double carried = CarriedFor(*scenario, options);
  const bool isolated = Isolate(options);  // while there is one thread
  const InterruptWatch watch;
  Lab lab(*scenario, *model, options,
          {.program = environment.executable_dir + "/baton", .isolated = isolated}, carried);
  const Status ran = lab.Run();
  if (LabInterrupted()) return 130;
  if (!ran.ok()) return Fail(ran.error());
  const std::vector<LabLine> lines = LinesOf(*scenario, lab.results());
  if (!options.svg.empty()) {
    const std::string svg = DrawTimelines(*scenario, lab.results());
    const Status written = os::WriteFileAtomically(options.svg, AsBytes(svg));
    if (!written.ok()) return Fail(written.error());
  }
  if (options.json) return PrintJson(ToJson(*scenario, lines, lab.results()));
  fmt::print("{} ({})\n\n", scenario->title, scenario->model);
  ShowLines(lines);
  if (!options.predict)
    fmt::print("\nEqual prompts had equal answers: {}.\n",
               TokensAgree(lab.results()) ? "yes" : "NO");
  return 0;
}

void AddSimulation(CLI::App& verb, LabVerbOptions& options) {
  plan::SimulationOptions& simulation = options.simulation;
  CLI::Option* simulate = verb.add_flag("--simulate", options.simulate,
                                        "start nothing: a fleet with queues, by discrete events");
  verb.add_option("--replicas", simulation.replicas, "so many copies of the cluster")
      ->check(CLI::Range(1, 1'000'000))
      ->needs(simulate);
  verb.add_option("--rate", simulation.requests_per_s, "requests a second that come, on average")
      ->check(CLI::Range(1e-9, 1e9))
      ->needs(simulate);
  verb.add_option("--requests", simulation.requests, "so many until the end")
      ->check(CLI::Range(1, 100'000'000))
      ->needs(simulate);
  verb.add_option("--spread", simulation.spread, "lengths vary by this share to both sides")
      ->check(CLI::Range(0.0, 0.99))
      ->needs(simulate);
  verb.add_option("--failures", simulation.failures_per_node_hour, "of a node, an hour")
      ->check(CLI::Range(0.0, 1e6))
      ->needs(simulate);
  verb.add_option("--repair", simulation.repair_s, "seconds until a node is back")
      ->check(CLI::Range(0.0, 1e9))
      ->needs(simulate);
  verb.add_option("--seed", simulation.seed, "equal seeds, equal results")->needs(simulate);
}

}  // namespace

void AddLab(CLI::App& root, const Environment& environment, Work& chosen) {
  auto options = std::make_shared<LabVerbOptions>();
  CLI::App* verb = root.add_subcommand(
      "lab", "replay a cluster on phantom devices: predicted, measured and published");
  verb->add_option("SCENARIO", options->path, "a file as in lab/scenarios/")->required();
  verb->add_option("--row", options->only, "this row alone");
  verb->add_option("--link", options->link, "all links as this one of the catalogue");
  verb->add_option(
          "--speed", options->speed,
          "of the lab's clock: devices and links run so many times as fast; if not said, as "
          "fast as this machine can carry")
      ->check(CLI::Range(1e-3, 1e3));
  verb->add_option("--svg", options->svg, "a file for a picture of who did what when");
  verb->add_flag("--predict", options->predict, "start nothing");
  verb->add_flag("--loopback", options->loopback,
                 "without networks of their own: links go through relays in this program");
  AddSimulation(*verb, *options);
  verb->add_flag("--json", options->json, "for machines");
  verb->callback([=, &chosen] { chosen = [=] { return RunLab(environment, *options); }; });
}

}  // namespace baton::app
