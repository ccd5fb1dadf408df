// The verbs about the mesh: nodes, ps, plan, place, stop, invite, join.
#include <algorithm>
#include <cstdio>

#include "apps/baton/answers.h"
#include "apps/baton/client.h"
#include "apps/baton/models.h"
#include "apps/baton/store.h"
#include "apps/baton/verbs.h"
#include "apps/baton/what_if.h"
#include "base/log.h"
#include "net/mesh.h"
#include "os/file.h"
#include "os/system.h"

namespace baton::app {
namespace {

namespace json = boost::json;

// --- nodes ---

struct NodesOptions {
  bool json = false;
  std::string revoke;
};

std::string BestRate(const json::value& node, const char* key, double unit, const char* suffix) {
  double best = 0;
  const json::value* device = node.get_object().if_contains("device");
  if (device == nullptr) return "-";
  for (const json::value& rate : List(*device, "rates")) best = std::max(best, Number(rate, key));
  return best == 0 ? "-" : fmt::format("{:.1f} {}", best / unit, suffix);
}

std::string StateOf(const json::value& node) {
  if (!Flag(node, "live")) return "lost";
  return Flag(node.get_object().at("device"), "measured") ? "live" : "measuring";
}

// What nodes' sensors say, where they have some.
void ShowSensors(const json::value& cluster) {
  std::vector<std::vector<std::string>> rows = {{"NODE", "SENSORS OF", "NOW"}};
  for (const json::value& node : List(cluster, "nodes")) {
    for (const json::value& sensor : List(node, "sensors"))
      rows.push_back({Text(node, "name"), Text(sensor, "device"), Text(sensor, "text")});
  }
  if (rows.size() == 1) return;
  fmt::print("\n");
  PrintTable(rows);
}

int ShowNodes(const json::value& cluster) {
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "ID", "STATE", "PREFILL", "READ", "MEMORY", "MODELS", "DEVICE"}};
  for (const json::value& node : List(cluster, "nodes")) {
    const json::value& device = node.get_object().at("device");
    rows.push_back({Text(node, "name") + (Flag(node, "self") ? " *" : ""),
                    Text(node, "id").substr(0, 8), StateOf(node),
                    BestRate(node, "matmul_flops_per_s", 1e9, "Gop/s"),
                    BestRate(node, "read_bytes_per_s", 1e9, "GB/s"),
                    HumanBytes(static_cast<uint64_t>(Number(device, "memory_bytes"))),
                    std::to_string(List(node, "models").size()), Text(device, "name")});
  }
  PrintTable(rows);
  ShowSensors(cluster);
  if (List(cluster, "links").empty()) return 0;
  fmt::print("\n");
  rows = {{"FROM", "TO", "RTT", "BANDWIDTH"}};
  for (const json::value& link : List(cluster, "links"))
    rows.push_back({Text(link, "from"), Text(link, "to"),
                    fmt::format("{:.0f} us", Number(link, "rtt_us")),
                    fmt::format("{:.1f} MB/s", Number(link, "bytes_per_s") / 1e6)});
  PrintTable(rows);
  return 0;
}

int Nodes(const ApiAddress& address, const NodesOptions& options) {
  const auto client = RunningNode(address);
  if (!client.ok()) return Fail(client.error());
  if (!options.revoke.empty()) {
    const auto revoked = client->Post("/api/revoke", {{"node", options.revoke}});
    if (!revoked.ok()) return Fail(revoked.error());
    fmt::print(stderr, "revoked '{}'\n", options.revoke);
    return 0;
  }
  const auto cluster = client->Get("/api/cluster");
  if (!cluster.ok()) return Fail(cluster.error());
  return options.json ? PrintJson(*cluster) : ShowNodes(*cluster);
}

// --- ps ---

std::string PlacementOf(const json::value& instance) {
  std::string text;
  const json::value* plan = instance.get_object().if_contains("plan");
  if (plan == nullptr) return text;
  for (const json::value& stage : List(*plan, "stages")) {
    text += fmt::format("{}{} {} [{}-{}]", text.empty() ? "" : ", ", Text(stage, "role"),
                        Text(stage, "node"), static_cast<int>(Number(stage, "first_layer")),
                        static_cast<int>(Number(stage, "last_layer")));
  }
  return text;
}

// "2 of 3" of those that were placed together.
std::string PartOf(const json::array& instances, const json::value& instance) {
  size_t count = 0;
  size_t number = 0;
  for (const json::value& other : instances) {
    if (Text(other, "placement") != Text(instance, "placement")) continue;
    ++count;
    if (Text(other, "id") == Text(instance, "id")) number = count;
  }
  return fmt::format("{} of {}", number, count);
}

int Ps(const ApiAddress& address, bool as_json) {
  const auto client = RunningNode(address);
  if (!client.ok()) return Fail(client.error());
  const auto cluster = client->Get("/api/cluster");
  if (!cluster.ok()) return Fail(cluster.error());
  if (as_json) return PrintJson(json::object{{"instances", List(*cluster, "instances")}});
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "ID", "STATE", "PROCESSOR", "CONTEXT", "REQUESTS", "INSTANCE", "NODES"}};
  for (const json::value& instance : List(*cluster, "instances"))
    rows.push_back({Text(instance, "model"), Text(instance, "id"), Text(instance, "state"),
                    "100% CPU", fmt::format("{}", Number(instance, "context_tokens")),
                    fmt::format("{}", Number(instance, "requests_running")),
                    PartOf(List(*cluster, "instances"), instance), PlacementOf(instance)});
  PrintTable(rows);
  return 0;
}

// --- plan and place ---

struct PlacementOptions {
  std::string model;
  int prompt_tokens = 0;
  int answer_tokens = 0;
  int context_tokens = 0;
  int concurrency = 0;
  std::string objective;
  std::optional<KvType> kv_type;
  std::vector<std::string> nodes;
  std::vector<std::string> prefill_on;
  std::vector<std::string> decode_on;
  std::vector<int> split;
  bool one_instance = false;
  bool json = false;
};

void AddPlacementOptions(CLI::App& verb, PlacementOptions& options) {
  verb.add_option("MODEL", options.model, "a model's name, or its file");
  const auto positive = CLI::Range(1, 1 << 24);
  verb.add_option("--prompt", options.prompt_tokens, "tokens of a typical prompt")->check(positive);
  verb.add_option("--answer", options.answer_tokens, "tokens of a typical answer")->check(positive);
  verb.add_option("--context", options.context_tokens, "room per request")->check(positive);
  verb.add_option("--concurrency", options.concurrency, "requests at once")->check(positive);
  verb.add_option("--objective", options.objective,
                  "latency of one request, throughput of many, or fit: the fewest nodes")
      ->check(CLI::IsMember({"latency", "throughput", "fit"}));
  AddKvType(verb, "--kv-type", options.kv_type,
            "KV cache: f16, q8_0 (half the memory, lossy), or f32 (exact, slow)");
  verb.add_option("--nodes", options.nodes, "only these nodes")->delimiter(',');
  verb.add_option("--prefill-on", options.prefill_on, "these compute prompts")->delimiter(',');
  verb.add_option("--decode-on", options.decode_on, "these generate")->delimiter(',');
  verb.add_option("--split", options.split, "layers per node, in their order")->delimiter(',');
  verb.add_flag("--one-instance", options.one_instance,
                "for all requests at once, however many there might be side by side");
  verb.add_flag("--json", options.json, "one JSON object");
}

json::object BodyOf(const PlacementOptions& options) {
  json::object body = {{"model", options.model}};
  const auto set_number = [&](const char* key, int value) {
    if (value > 0) body[key] = value;
  };
  set_number("prompt_tokens", options.prompt_tokens);
  set_number("answer_tokens", options.answer_tokens);
  set_number("context_tokens", options.context_tokens);
  set_number("concurrency", options.concurrency);
  if (!options.objective.empty()) body["objective"] = options.objective;
  if (options.kv_type) body["kv_type"] = NameOf(*options.kv_type);
  const auto set_list = [&](const char* key, const auto& values) {
    if (!values.empty()) body[key] = json::value_from(values);
  };
  set_list("nodes", options.nodes);
  set_list("prefill_on", options.prefill_on);
  set_list("decode_on", options.decode_on);
  set_list("split", options.split);
  if (options.one_instance) body["one_instance"] = true;
  return body;
}

int Plan(const Environment& environment, const ApiAddress& address, PlacementOptions options) {
  options.model = WithPath(environment, options.model);
  const auto access = ReachNode(environment, address, TakeFile(options.model));
  if (!access.ok()) return Fail(access.error());
  const auto result = access->client.Post("/api/plan", BodyOf(options));
  if (!result.ok()) return Fail(result.error());
  return options.json ? PrintJson(*result) : ShowPlans(*result, environment.boxes);
}

// Of the running cluster: what nodes have measured counts.
int PlanAdditions(const ApiAddress& address, PlacementOptions options,
                  const std::vector<std::string>& additions) {
  TakeFile(options.model);
  const auto client = RunningNode(address);
  if (!client.ok()) return Fail(client.error());
  json::object body = BodyOf(options);
  body["add"] = json::value_from(additions);
  const auto answer = client->Post("/api/plan", body);
  return answer.ok() ? ShowAdditions(answer->get_object(), options.json) : Fail(answer.error());
}

// What is asked without a node.
struct WhatIf {
  std::string cluster_path;
  std::vector<std::string> additions;
  int chunk_tokens = 0;
  bool choose_types = false;
  bool sharded = false;
  bool balance = false;
  bool catalogue = false;
};

int PlanElsewhere(const Environment& environment, const WhatIf& what_if,
                  const PlacementOptions& placement) {
  if (what_if.catalogue) return ShowCatalogue(placement.json);
  plan::Workload workload;
  const auto set = [](int& into, int value) {
    if (value > 0) into = value;
  };
  set(workload.prompt_tokens, placement.prompt_tokens);
  set(workload.answer_tokens, placement.answer_tokens);
  workload.context_tokens = std::max(8192, workload.prompt_tokens + workload.answer_tokens);
  set(workload.context_tokens, placement.context_tokens);
  set(workload.slots, placement.concurrency);
  set(workload.concurrency, placement.concurrency);
  set(workload.chunk_tokens, what_if.chunk_tokens);
  workload.kv_type = placement.kv_type.value_or(workload.kv_type);
  workload.objective = plan::FindObjective(placement.objective).value_or(plan::Objective::kLatency);
  workload.choose_kv_type = what_if.choose_types && !placement.kv_type;
  workload.choose_kv_wire_type = what_if.choose_types;
  const WhatIfOptions options{.model = placement.model,
                              .cluster_path = what_if.cluster_path,
                              .additions = what_if.additions,
                              .workload = workload,
                              .chunk_said = what_if.chunk_tokens > 0,
                              .nodes = placement.nodes,
                              .prefill_on = placement.prefill_on,
                              .decode_on = placement.decode_on,
                              .split = placement.split,
                              .one_instance = placement.one_instance,
                              .sharded = what_if.sharded,
                              .json = placement.json};
  return what_if.balance ? ShowBalance(environment, options) : PlanWhatIf(environment, options);
}

int Place(const ApiAddress& address, PlacementOptions options) {
  TakeFile(options.model);
  const auto client = RunningNode(address);
  if (!client.ok()) return Fail(client.error());
  const auto placed = client->Post("/api/place", BodyOf(options));
  if (!placed.ok()) return Fail(placed.error());
  if (options.json) return PrintJson(*placed);
  fmt::print("{} is {}\n", Text(*placed, "model"), Text(*placed, "state"));
  ShowPlan(placed->get_object().at("plan"));
  return 0;
}

int Stop(const ApiAddress& address, std::string model) {
  TakeFile(model);
  const auto client = RunningNode(address);
  if (!client.ok()) return Fail(client.error());
  const auto stopped = client->Post("/api/stop", {{"model", model}});
  if (!stopped.ok()) return Fail(stopped.error());
  fmt::print(stderr, "stopped '{}'\n", model);
  return 0;
}

// --- Pairing ---

int Invite(const ApiAddress& address) {
  const auto client = RunningNode(address);
  if (!client.ok()) return Fail(client.error());
  const auto answer = client->Post("/api/invite", {});
  if (!answer.ok()) return Fail(answer.error());
  fmt::print("{}\n", Text(*answer, "code"));
  fmt::print(stderr,
             "On the new device, within 10 minutes:  baton join {}\n"
             "The code works once.\n",
             Text(*answer, "code"));
  return 0;
}

struct JoinOptions {
  std::string code;
  std::vector<std::string> peers;
};

// Where no node runs: takes the roster to disk, for the next `baton serve`.
Status JoinOffline(const Environment& environment, const JoinOptions& options) {
  BATON_RETURN_IF_ERROR(os::MakeDirectories(environment.home, 0700));
  BATON_ASSIGN_OR_RETURN(const net::Identity identity,
                         net::Identity::LoadOrCreate(environment.home + "/identity.pem"));
  const std::string path = environment.home + "/roster.json";
  if (os::Exists(path)) {
    BATON_ASSIGN_OR_RETURN(const net::Roster present, net::LoadRoster(path));
    if (present.member_count() > 1 && present.IsMember(identity.id()))
      return MakeError(Code::kFailedPrecondition,
                       "this node is already in a cluster of {}: revoke it there first",
                       present.member_count());
  }
  BATON_ASSIGN_OR_RETURN(const net::Roster roster,
                         net::JoinOnce(identity, options.code, options.peers, os::HostName()));
  return net::SaveRoster(path, roster);
}

int Join(const Environment& environment, const ApiAddress& address, const JoinOptions& options) {
  const Client client(address);
  if (!client.Alive()) {
    const Status joined = JoinOffline(environment, options);
    if (!joined.ok()) return Fail(joined.error());
    fmt::print(stderr, "joined; `baton serve --listen 0.0.0.0:7412` brings this node in\n");
    return 0;
  }
  const auto joined = client.Post(
      "/api/join", {{"code", options.code}, {"peers", json::value_from(options.peers)}});
  if (!joined.ok()) return Fail(joined.error());
  fmt::print(stderr, "joined; `baton nodes` shows who is there\n");
  return 0;
}

}  // namespace

void AddNodes(CLI::App& root, const Environment& environment, Work& chosen) {
  auto options = std::make_shared<NodesOptions>();
  CLI::App* verb = root.add_subcommand("nodes", "who is here, and the links between them");
  const auto address = AddApiOptions(*verb, environment);
  verb->add_flag("--json", options->json, "one JSON object");
  verb->add_option("--revoke", options->revoke, "put a node out: its name or id");
  verb->callback([=, &chosen] { chosen = [=] { return Nodes(*address, *options); }; });
}

void AddPs(CLI::App& root, const Environment& environment, Work& chosen) {
  auto as_json = std::make_shared<bool>(false);
  CLI::App* verb = root.add_subcommand("ps", "what runs where");
  const auto address = AddApiOptions(*verb, environment);
  verb->add_flag("--json", *as_json, "one JSON object");
  verb->callback([=, &chosen] { chosen = [=] { return Ps(*address, *as_json); }; });
}

void AddPlan(CLI::App& root, const Environment& environment, Work& chosen) {
  auto options = std::make_shared<PlacementOptions>();
  CLI::App* verb = root.add_subcommand("plan", "where a model would run, and why");
  const auto address = AddApiOptions(*verb, environment);
  AddPlacementOptions(*verb, *options);
  auto what_if = std::make_shared<WhatIf>();
  CLI::Option* file = verb->add_option("--what-if", what_if->cluster_path,
                                       "a cluster that a file describes, instead of this one");
  CLI::Option* add = verb->add_option(
      "--add", what_if->additions,
      "what DEVICE[:LINK] of the catalogue would change, in this cluster or the file's");
  add->delimiter(',');
  verb->add_option("--chunk", what_if->chunk_tokens, "tokens of a prefill step in that cluster")
      ->check(CLI::Range(1, 1 << 20));
  verb->add_flag("--choose-types", what_if->choose_types,
                 "the planner may keep and send KV as q8_0 where that is quicker")
      ->needs(file);
  verb->add_flag("--sharded", what_if->sharded,
                 "weigh also groups that split each layer, which baton cannot run yet")
      ->needs(file);
  verb->add_flag("--balance", what_if->balance, "each device of the catalogue alone")
      ->excludes(file)
      ->excludes(add);
  verb->add_flag("--catalogue", what_if->catalogue, "the devices and links that have a name")
      ->excludes(file)
      ->excludes(add);
  verb->callback([=, &chosen] {
    const bool elsewhere = what_if->balance || what_if->catalogue || !what_if->cluster_path.empty();
    if (!what_if->catalogue && options->model.empty()) throw CLI::RequiredError("MODEL");
    chosen = [=] {
      if (elsewhere) return PlanElsewhere(environment, *what_if, *options);
      if (what_if->additions.empty()) return Plan(environment, *address, *options);
      return PlanAdditions(*address, *options, what_if->additions);
    };
  });
}

void AddPlace(CLI::App& root, const Environment& environment, Work& chosen) {
  auto options = std::make_shared<PlacementOptions>();
  CLI::App* verb = root.add_subcommand("place", "start an instance of a model");
  const auto address = AddApiOptions(*verb, environment);
  AddPlacementOptions(*verb, *options);
  verb->get_option("MODEL")->required();
  verb->callback([=, &chosen] { chosen = [=] { return Place(*address, *options); }; });
}

void AddStop(CLI::App& root, const Environment& environment, Work& chosen) {
  auto model = std::make_shared<std::string>();
  CLI::App* verb = root.add_subcommand("stop", "end every instance of a model");
  const auto address = AddApiOptions(*verb, environment);
  verb->add_option("MODEL", *model, "its name, or an instance's id")->required();
  verb->callback([=, &chosen] { chosen = [=] { return Stop(*address, *model); }; });
}

void AddInvite(CLI::App& root, const Environment& environment, Work& chosen) {
  CLI::App* verb = root.add_subcommand("invite", "open the mesh and print a one-time code");
  const auto address = AddApiOptions(*verb, environment);
  verb->callback([=, &chosen] { chosen = [=] { return Invite(*address); }; });
}

void AddJoin(CLI::App& root, const Environment& environment, Work& chosen) {
  auto options = std::make_shared<JoinOptions>();
  CLI::App* verb = root.add_subcommand("join", "join the cluster of whoever printed the code");
  const auto address = AddApiOptions(*verb, environment);
  verb->add_option("CODE", options->code, "from `baton invite`")->required();
  verb->add_option("--peer", options->peers, "HOST:PORT where the inviting node listens");
  verb->callback([=, &chosen] { chosen = [=] { return Join(environment, *address, *options); }; });
}

}  // namespace baton::app
