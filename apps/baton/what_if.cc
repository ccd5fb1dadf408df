#include "apps/baton/what_if.h"

#include <algorithm>

#include "apps/baton/answers.h"
#include "apps/baton/models.h"
#include "apps/baton/store.h"
#include "hub/synthetic_model.h"
#include "model/model.h"
#include "os/file.h"
#include "plan/balance.h"
#include "plan/cluster_file.h"
#include "plan/explain.h"
#include "plan/model_cost.h"
#include "serve/cluster_json.h"

namespace baton::app {
namespace {

namespace json = boost::json;

constexpr size_t kClusterFileBytesMax = 1 << 20;
// Of a device of the catalogue, where nobody says another.
constexpr int kUsualChunkTokens = 2048;

bool IsKnownShape(const std::string& name) {
  const auto shapes = hub::KnownShapes();
  return std::any_of(shapes.begin(), shapes.end(),
                     [&](const hub::SyntheticShape& shape) { return shape.name == name; });
}

// A shape of real models, as NAME[:TYPE]; nothing if it is none.
std::optional<Result<plan::ModelCost>> CostOfShape(const std::string& text) {
  const size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  if (!IsKnownShape(name)) return std::nullopt;
  auto options = hub::ParseShapeAndType(text);
  if (!options.ok()) return options.error();
  auto outline = hub::OutlineOf(*options);
  if (!outline.ok()) return outline.error();
  return plan::CostOfModel(outline->spec, outline->tensors,
                           fmt::format("{} in {}", name, options->type));
}

Result<plan::ModelCost> CostOfNamed(const Environment& environment, const std::string& name) {
  const auto path = FindModel(environment, name);
  if (!path.ok()) {
    if (auto cost = CostOfShape(name)) return *std::move(cost);
    return MakeError(path.error().code(), "{}; nor is it a shape of `baton synth`",
                     path.error().message());
  }
  BATON_ASSIGN_OR_RETURN(const auto model, Model::Open(*path));
  return plan::CostOfModel(model->spec(), model->tensors(), name);
}

// Each of these names is one node's.
Result<std::vector<NodeId>> IdsOf(const plan::ClusterProfile& cluster,
                                  const std::vector<std::string>& names) {
  std::vector<NodeId> ids;
  for (const std::string& name : names) {
    std::string known;
    const size_t before = ids.size();
    for (const plan::NodeProfile& node : cluster.nodes) {
      if (node.name == name) ids.push_back(node.id);
      known += (known.empty() ? "" : ", ") + node.name;
    }
    if (ids.size() == before)
      return MakeError(Code::kInvalidArgument, "no device is called '{}'; there are: {}", name,
                       known);
  }
  return ids;
}

Result<plan::Constraints> ConstraintsOf(const plan::ClusterProfile& cluster,
                                        const WhatIfOptions& options) {
  plan::Constraints constraints;
  BATON_ASSIGN_OR_RETURN(constraints.nodes, IdsOf(cluster, options.nodes));
  BATON_ASSIGN_OR_RETURN(constraints.prefill_on, IdsOf(cluster, options.prefill_on));
  BATON_ASSIGN_OR_RETURN(constraints.decode_on, IdsOf(cluster, options.decode_on));
  constraints.split = options.split;
  constraints.one_instance = options.one_instance;
  return constraints;
}

struct Question {
  plan::ClusterProfile cluster;
  plan::ModelCost model;
  plan::Workload workload;
};

Result<Question> Ask(const Environment& environment, const WhatIfOptions& options) {
  Question question{.workload = options.workload};
  BATON_ASSIGN_OR_RETURN(const std::string text,
                         os::ReadFile(options.cluster_path, kClusterFileBytesMax));
  auto file = plan::ParseClusterFile(text, plan::Catalogue::Shipped());
  if (!file.ok()) return file.error().Within(options.cluster_path);
  question.cluster = std::move(file->cluster);
  if (!options.chunk_said)
    question.workload.chunk_tokens =
        file->chunk_tokens > 0 ? file->chunk_tokens : kUsualChunkTokens;
  BATON_ASSIGN_OR_RETURN(question.model, CostOfNamed(environment, options.model));
  return question;
}

Result<json::object> Answer(const Question& question, const WhatIfOptions& options) {
  BATON_ASSIGN_OR_RETURN(const plan::Constraints constraints,
                         ConstraintsOf(question.cluster, options));
  const NodeId& entry = question.cluster.nodes.front().id;
  BATON_ASSIGN_OR_RETURN(
      plan::PlanResult result,
      plan::Make(question.cluster, question.model, question.workload, entry, constraints));
  result.explanation = plan::Explain(question.cluster, question.model, question.workload, entry,
                                     constraints, result.chosen, {.sharded = options.sharded});
  return serve::ToJson(result,
                       [&](const NodeId& id) { return question.cluster.FindNode(id)->name; });
}

bool Uses(const json::value& plan, const std::string& node) {
  const json::array& stages = List(plan, "stages");
  return std::any_of(stages.begin(), stages.end(), [&](const json::value& stage) {
    return Text(stage, "node").substr(0, node.size()) == node;
  });
}

void ShowChange(const json::value& then, const json::value& with) {
  const std::string added = Text(with, "added");
  const json::value& now = with.at("chosen");
  if (then.is_null()) {
    fmt::print("with {}: what did not fit does: {:.1f} ms in all\n", added,
               Number(now, "total_ms"));
    return;
  }
  fmt::print(
      "with {}: {:.2f} times as fast ({:.1f} ms, not {:.1f}); TTFT {:.1f} ms, not {:.1f}; "
      "decode {:.1f} tokens/s, not {:.1f}; throughput {:.1f} tokens/s, not {:.1f}{}\n",
      added, Number(then, "total_ms") / Number(now, "total_ms"), Number(now, "total_ms"),
      Number(then, "total_ms"), Number(now, "ttft_ms"), Number(then, "ttft_ms"),
      Number(now, "decode_tokens_per_s"), Number(then, "decode_tokens_per_s"),
      Number(now, "throughput_tokens_per_s"), Number(then, "throughput_tokens_per_s"),
      Uses(now, added.substr(0, added.find(':'))) ? "" : "; the plan leaves it out");
}

Result<json::object> AnswerWith(const Question& question, const WhatIfOptions& options,
                                const std::string& added) {
  BATON_ASSIGN_OR_RETURN(const plan::Addition addition,
                         plan::ParseAddition(added, plan::Catalogue::Shipped()));
  Question changed = question;
  changed.cluster = plan::With(std::move(changed.cluster), addition);
  return Answer(changed, options);
}

std::string Rate(double tokens_per_s) {
  return tokens_per_s >= 100 ? fmt::format("{:.0f}", tokens_per_s)
                             : fmt::format("{:.1f}", tokens_per_s);
}

json::object ToJson(const plan::Balance& balance, double needed) {
  return {{"device", balance.device->id},
          {"name", balance.device->name},
          {"fits", balance.fits},
          {"memory_bytes", balance.memory_bytes},
          {"prefill_tokens_per_s", balance.prefill_tokens_per_s},
          {"decode_tokens_per_s", balance.decode_tokens_per_s},
          {"flops_per_byte", balance.flops_per_byte},
          {"needed_flops_per_byte", needed},
          {"prefill_share", balance.prefill_share},
          {"kv_bytes_per_s", balance.kv_bytes_per_s}};
}

}  // namespace

int PlanWhatIf(const Environment& environment, const WhatIfOptions& options) {
  const auto question = Ask(environment, options);
  if (!question.ok()) return Fail(question.error());
  auto answer = Answer(*question, options);
  if (options.additions.empty()) {
    if (!answer.ok()) return Fail(answer.error());
    return options.json ? PrintJson(*answer) : ShowPlans(*answer, environment.boxes);
  }
  json::array changes;
  for (const std::string& added : options.additions) {
    auto changed = AnswerWith(*question, options, added);
    if (!changed.ok()) return Fail(changed.error());
    changed->insert_or_assign("added", added);
    changes.push_back(*std::move(changed));
  }
  json::object all = answer.ok() ? *std::move(answer) : json::object{{"chosen", nullptr}};
  all["with"] = std::move(changes);
  return ShowAdditions(all, options.json);
}

int ShowAdditions(const json::object& answer, bool as_json) {
  if (as_json) return PrintJson(answer);
  for (const json::value& with : answer.at("with").get_array()) {
    ShowChange(answer.at("chosen"), with);
    ShowPlan(with.at("chosen"));
  }
  return 0;
}

int ShowBalance(const Environment& environment, const WhatIfOptions& options) {
  const auto model = CostOfNamed(environment, options.model);
  if (!model.ok()) return Fail(model.error());
  plan::Workload workload = options.workload;
  if (!options.chunk_said) workload.chunk_tokens = kUsualChunkTokens;
  const double needed = plan::NeededFlopsPerByte(*model, workload);
  const auto balances = plan::BalanceOf(plan::Catalogue::Shipped(), *model, workload);
  if (options.json) {
    json::array list;
    for (const plan::Balance& balance : balances) list.push_back(ToJson(balance, needed));
    return PrintJson(list);
  }
  fmt::print(
      "{}, {} tokens in and {} out: {:.0f} operations of the prompt per byte that the answer "
      "reads\n\n",
      model->name, workload.prompt_tokens, workload.answer_tokens, needed);
  std::vector<std::vector<std::string>> rows = {
      {"DEVICE", "FITS", "PREFILL/S", "DECODE/S", "OPS/BYTE", "BOUND BY", "HIDES KV OVER"}};
  for (const plan::Balance& balance : balances) {
    rows.push_back(
        {balance.device->id, balance.fits ? "yes" : "no", Rate(balance.prefill_tokens_per_s),
         Rate(balance.decode_tokens_per_s), fmt::format("{:.0f}", balance.flops_per_byte),
         fmt::format("{} ({:.0f} %)", balance.prefill_share > 0.5 ? "arithmetic" : "memory",
                     100 * std::max(balance.prefill_share, 1 - balance.prefill_share)),
         fmt::format("{:.1f} Gb/s", balance.kv_bytes_per_s * 8 / 1e9)});
  }
  PrintTable(rows);
  return 0;
}

int ShowCatalogue(bool as_json) {
  const plan::Catalogue& catalogue = plan::Catalogue::Shipped();
  std::vector<std::vector<std::string>> rows = {
      {"DEVICE", "MEMORY", "READ", "FP16", "DERATED AS", "NAME"}};
  json::array devices;
  for (const plan::CatalogueDevice& device : catalogue.devices()) {
    std::vector<std::string> programs;
    for (const plan::Derating& derating : device.deratings) programs.push_back(derating.of);
    rows.push_back({device.id, HumanBytes(static_cast<uint64_t>(device.memory_bytes)),
                    fmt::format("{:.0f} GB/s", device.read_bytes_per_s / 1e9),
                    fmt::format("{:.1f} TFLOPS", device.fp16_flops_per_s / 1e12),
                    fmt::format("{}", fmt::join(programs, ", ")), device.name});
    devices.push_back({{"id", device.id},
                       {"name", device.name},
                       {"memory_bytes", device.memory_bytes},
                       {"read_bytes_per_s", device.read_bytes_per_s},
                       {"fp16_flops_per_s", device.fp16_flops_per_s},
                       {"source", device.source}});
  }
  if (as_json) return PrintJson(devices);
  PrintTable(rows);
  rows = {{"LINK", "BANDWIDTH", "RTT", "NAME"}};
  for (const plan::CatalogueLink& link : catalogue.links())
    rows.push_back({link.id, fmt::format("{:.0f} MB/s", link.bytes_per_s / 1e6),
                    fmt::format("{:.0f} us", link.rtt_us), link.name});
  fmt::print("\n");
  PrintTable(rows);
  return 0;
}

}  // namespace baton::app
