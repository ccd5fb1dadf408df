#include "serve/api_server.h"

#include <algorithm>
#include <map>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "net/identity.h"
#include "plan/cluster_file.h"
#include "serve/cluster_json.h"
#include "serve/metrics.h"

namespace baton::serve {
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::string_view kJson = "application/json";
constexpr size_t kNodesMax = 1024;
constexpr size_t kAdditionsMax = 16;  // each is planned for

std::string_view HeaderOf(const HttpRequest& request, http::field field) {
  const auto value = request[field];
  return {value.data(), value.size()};
}

// "host" of "host:port" or "[v6]:port".
std::string_view HostOf(std::string_view authority) {
  if (!authority.empty() && authority.front() == '[') {
    const size_t close = authority.find(']');
    return close == std::string_view::npos ? "" : authority.substr(1, close - 1);
  }
  return authority.substr(0, authority.rfind(':'));
}

bool IsAddress(std::string_view host) {
  boost::system::error_code failed;
  asio::ip::make_address(std::string(host), failed);
  return !failed;
}

// Waits, inside a coroutine, for a callback that may come at once or much later.
template <typename T>
class Arrival {
 public:
  explicit Arrival(asio::io_context& io) : timer_(io, asio::steady_timer::time_point::max()) {}
  void Set(T value) {
    value_ = std::move(value);
    timer_.cancel();
  }
  asio::awaitable<T> Wait() {
    while (!value_) co_await timer_.async_wait(kAwait);
    co_return *std::move(value_);
  }

 private:
  asio::steady_timer timer_;
  std::optional<T> value_;
};

struct PlacementRequest {
  std::string model;
  plan::Workload workload;
  plan::Constraints constraints;
  struct Added {
    std::string text;
    plan::Addition what;
  };
  std::vector<Added> additions;  // each alone
};

std::vector<PlacementRequest::Added> ReadAdditions(Fields& fields) {
  std::vector<PlacementRequest::Added> additions;
  const json::array* list = fields.List("add", kAdditionsMax);
  for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const json::string* text = (*list)[i].if_string();
    auto what = plan::ParseAddition(text == nullptr ? "" : std::string_view(*text),
                                    plan::Catalogue::Shipped());
    if (!what.ok()) {
      fields.Fail("add", what.error().message());
      break;
    }
    additions.push_back({std::string(*text), *std::move(what)});
  }
  return additions;
}

std::vector<NodeId> ReadNodes(Fields& fields, const char* name, const cluster::ClusterView& view) {
  std::vector<NodeId> nodes;
  const json::array* list = fields.List(name, kNodesMax);
  if (list == nullptr) return nodes;
  for (const json::value& item : *list) {
    const json::string* text = item.if_string();
    const auto id =
        text != nullptr
            ? FindNode(view, std::string_view(*text))
            : Result<NodeId>(MakeError(Code::kInvalidArgument, "'{}' must list node names", name));
    if (!id.ok()) {
      fields.Fail(name, id.error().message());
      return {};
    }
    nodes.push_back(*id);
  }
  return nodes;
}

Result<PlacementRequest> ReadPlacement(std::string_view body, const cluster::ClusterView& view,
                                       const plan::Workload& usual) {
  BATON_ASSIGN_OR_RETURN(const json::value parsed, ParseJson(body));
  const json::object* object = parsed.if_object();
  if (object == nullptr) return MakeError(Code::kInvalidArgument, "the body must be an object");
  Fields fields(*object);
  PlacementRequest request;
  request.model = fields.Text("model").value_or("");
  if (request.model.empty()) fields.Fail("model", "'model' is missing");
  constexpr int64_t kTokensMax = 1 << 24;
  const auto integer = [&](const char* name, int otherwise, int64_t most) {
    return static_cast<int>(fields.Integer(name, 1, most).value_or(otherwise));
  };
  request.workload = usual;
  request.workload.prompt_tokens = integer("prompt_tokens", usual.prompt_tokens, kTokensMax);
  request.workload.answer_tokens = integer("answer_tokens", usual.answer_tokens, kTokensMax);
  request.workload.context_tokens = integer("context_tokens", usual.context_tokens, kTokensMax);
  request.workload.slots = integer("concurrency", usual.slots, 4096);
  request.workload.concurrency = integer("concurrency", usual.concurrency, 4096);
  if (const auto name = fields.Text("objective")) {
    const auto objective = plan::FindObjective(*name);
    if (!objective)
      fields.Fail("objective",
                  fmt::format("'objective' is latency, throughput or fit, not '{}'", *name));
    request.workload.objective = objective.value_or(usual.objective);
  }
  if (const auto name = fields.Text("kv_type")) {
    const auto type = FindKvTypeByName(*name);
    if (!type)
      fields.Fail("kv_type", fmt::format("'kv_type' is f32, f16 or q8_0, not '{}'", *name));
    request.workload.kv_type = type.value_or(usual.kv_type);
  }
  request.constraints.nodes = ReadNodes(fields, "nodes", view);
  request.constraints.prefill_on = ReadNodes(fields, "prefill_on", view);
  request.constraints.decode_on = ReadNodes(fields, "decode_on", view);
  request.constraints.one_instance = fields.Flag("one_instance").value_or(false);
  request.additions = ReadAdditions(fields);
  if (const json::array* split = fields.List("split", kNodesMax)) {
    for (const json::value& item : *split) {
      const int64_t* layers = item.if_int64();
      if (layers == nullptr || *layers <= 0 || *layers > kTokensMax)
        return MakeError(Code::kInvalidArgument, "'split' lists layers per node, not {}",
                         json::serialize(item));
      request.constraints.split.push_back(static_cast<int>(*layers));
    }
  }
  fields.RefuseOthers();
  if (fields.error()) return MakeError(Code::kInvalidArgument, "{}", fields.error()->message);
  return request;
}

Result<std::string> ReadText(std::string_view body, const char* name) {
  BATON_ASSIGN_OR_RETURN(const json::value parsed, ParseJson(body));
  const json::object* object = parsed.if_object();
  if (object == nullptr) return MakeError(Code::kInvalidArgument, "the body must be an object");
  Fields fields(*object);
  auto text = fields.Text(name);
  if (fields.error()) return MakeError(Code::kInvalidArgument, "{}", fields.error()->message);
  if (!text || text->empty()) return MakeError(Code::kInvalidArgument, "'{}' is missing", name);
  return *std::move(text);
}

std::vector<std::string> ReadPeers(std::string_view body) {
  std::vector<std::string> peers;
  const auto parsed = ParseJson(body);
  const json::object* object = parsed.ok() ? parsed->if_object() : nullptr;
  if (object == nullptr) return peers;
  Fields fields(*object);
  if (const json::array* list = fields.List("peers", kNodesMax)) {
    for (const json::value& item : *list) {
      if (const json::string* text = item.if_string()) peers.emplace_back(*text);
    }
  }
  return peers;
}

}  // namespace

class ApiServer::Impl {
 public:
  Impl(asio::io_context& io, cluster::Cluster& cluster, const os::Clock& clock,
       NodeControls controls, ApiOptions options)
      : io_(io),
        cluster_(cluster),
        controls_(std::move(controls)),
        options_(std::move(options)),
        openai_(io, cluster, clock),
        server_(
            io, [this](Exchange& exchange) { return Handle(exchange); },
            [](http::status status, const std::string& message) {
              return OpenAiError(status, "the request cannot be read: " + message);
            }) {}

  Status Listen() { return server_.Listen(options_.address, options_.port); }
  uint16_t port() const { return server_.port(); }
  void Stop() { server_.Stop(); }

 private:
  using Route = asio::awaitable<void> (Impl::*)(Exchange&);

  // --- Who may ---

  // Why the request is refused, if it is.
  std::optional<std::pair<http::status, std::string>> Refusal(const Exchange& exchange) const {
    const HttpRequest& request = exchange.request();
    const std::string_view authority = HeaderOf(request, http::field::host);
    if (!HostAllowed(HostOf(authority)))
      return {{http::status::forbidden,
               fmt::format("host '{}' is not one of this node's", authority.substr(0, 100))}};
    const std::string_view origin = HeaderOf(request, http::field::origin);
    const size_t scheme = origin.find("://");
    const bool foreign = !origin.empty() && (scheme == std::string_view::npos ||
                                             origin.substr(scheme + 3) != authority);
    if (foreign)
      return {
          {http::status::forbidden, fmt::format("origin '{}' is foreign", origin.substr(0, 100))}};
    if (!KeyAccepted(request) && exchange.path() != "/health")
      return {{http::status::unauthorized, "the API key is missing or wrong"}};
    const bool posts_json =
        HeaderOf(request, http::field::content_type).substr(0, kJson.size()) == kJson;
    if (request.method() == http::verb::post && !posts_json)
      return {{http::status::unsupported_media_type, "the content type must be application/json"}};
    return std::nullopt;
  }

  bool HostAllowed(std::string_view host) const {
    return host == "localhost" || IsAddress(host) ||
           std::find(options_.hosts.begin(), options_.hosts.end(), host) != options_.hosts.end();
  }

  bool KeyAccepted(const HttpRequest& request) const {
    if (options_.api_key.empty()) return true;
    constexpr std::string_view kBearer = "Bearer ";
    const std::string_view authorization = HeaderOf(request, http::field::authorization);
    const auto other = request["x-api-key"];
    const std::string_view key = authorization.substr(0, kBearer.size()) == kBearer
                                     ? authorization.substr(kBearer.size())
                                     : std::string_view(other.data(), other.size());
    return net::EqualInConstantTime(AsBytes(key), AsBytes(options_.api_key));
  }

  // --- Routes ---

  asio::awaitable<void> Handle(Exchange& exchange) {
    if (const auto refusal = Refusal(exchange))
      co_return co_await exchange.Respond(refusal->first, kJson,
                                          OpenAiError(refusal->first, refusal->second));
    static const std::map<std::string_view, std::pair<http::verb, Route>> kRoutes = {
        {"/", {http::verb::get, &Impl::Welcome}},
        {"/health", {http::verb::get, &Impl::Health}},
        {"/metrics", {http::verb::get, &Impl::ShowMetrics}},
        {"/v1/models", {http::verb::get, &Impl::ListModels}},
        {"/v1/chat/completions", {http::verb::post, &Impl::Chat}},
        {"/v1/completions", {http::verb::post, &Impl::Complete}},
        {"/api/cluster", {http::verb::get, &Impl::ShowCluster}},
        {"/api/timeline", {http::verb::get, &Impl::ShowTimeline}},
        {"/api/plan", {http::verb::post, &Impl::Plan}},
        {"/api/place", {http::verb::post, &Impl::Place}},
        {"/api/stop", {http::verb::post, &Impl::StopModel}},
        {"/api/invite", {http::verb::post, &Impl::Invite}},
        {"/api/join", {http::verb::post, &Impl::Join}},
        {"/api/revoke", {http::verb::post, &Impl::Revoke}},
    };
    const std::string_view path = exchange.path();
    constexpr std::string_view kModel = "/v1/models/";
    if (path.substr(0, kModel.size()) == kModel)
      co_return co_await openai_.ShowModel(exchange, path.substr(kModel.size()));
    const auto route = kRoutes.find(path);
    if (route == kRoutes.end())
      co_return co_await Refuse(exchange, http::status::not_found,
                                fmt::format("no route '{}'", path.substr(0, 200)));
    const http::verb verb = exchange.request().method();
    const auto& [wanted, handler] = route->second;
    const bool as_head = verb == http::verb::head && wanted == http::verb::get;
    if (verb != wanted && !as_head) {
      exchange.SetHeader("Allow", wanted == http::verb::get ? "GET, HEAD" : "POST");
      co_return co_await Refuse(exchange, http::status::method_not_allowed,
                                fmt::format("'{}' is not for this method", path));
    }
    co_await (this->*handler)(exchange);
  }

  static asio::awaitable<void> Refuse(Exchange& exchange, http::status status, std::string why) {
    const std::string body = OpenAiError(status, why);
    co_await exchange.Respond(status, kJson, body);
  }
  static asio::awaitable<void> Refuse(Exchange& exchange, const Error& error) {
    const http::status status = HttpStatusOf(error.code());
    const std::string body = OpenAiError(status, error.message(), {}, InfoOf(error.code()).name);
    co_await exchange.Respond(status, kJson, body);
  }
  static asio::awaitable<void> Answer(Exchange& exchange, const json::value& body) {
    const std::string text = json::serialize(body);
    co_await exchange.Respond(http::status::ok, kJson, text);
  }
  static json::object Done() { return {{"done", true}}; }

  asio::awaitable<void> Welcome(Exchange& exchange) {
    co_await exchange.Respond(
        http::status::ok, "text/plain; charset=utf-8",
        "baton is running. The API is at /v1, the cluster at /api/cluster.\n");
  }
  asio::awaitable<void> Health(Exchange& exchange) {
    co_await exchange.Respond(http::status::ok, kJson, R"({"status":"ok"})");
  }
  asio::awaitable<void> ShowMetrics(Exchange& exchange) {
    const std::string body =
        metrics_.Render(cluster_.Counters(), cluster_.View(), openai_.TakeObservations());
    co_await exchange.Respond(http::status::ok, "text/plain; version=0.0.4; charset=utf-8", body);
  }
  asio::awaitable<void> ListModels(Exchange& exchange) {
    controls_.rescan();
    co_await openai_.ListModels(exchange);
  }
  asio::awaitable<void> Chat(Exchange& exchange) { co_await openai_.Complete(exchange, true); }
  asio::awaitable<void> Complete(Exchange& exchange) { co_await openai_.Complete(exchange, false); }
  asio::awaitable<void> ShowCluster(Exchange& exchange) {
    co_await Answer(exchange, ToJson(cluster_.View()));
  }

  asio::awaitable<void> ShowTimeline(Exchange& exchange) {
    std::map<NodeId, std::string> names;
    for (const cluster::NodeView& node : cluster_.View().nodes) names[node.id] = node.name;
    const json::object body = {
        {"overrun_ms", cluster_.Counters().phantom_overrun_s * 1e3},
        {"events", ToJson(cluster_.Events(), [&](const NodeId& id) { return names[id]; })}};
    co_await Answer(exchange, body);
  }

  std::optional<std::string> KnownName(const NodeId& id) const {
    for (const cluster::NodeView& node : cluster_.View().nodes) {
      if (node.id == id) return node.name;
    }
    return std::nullopt;
  }
  std::string NameOfNode(const NodeId& id) const { return KnownName(id).value_or(id.Short()); }

  // Nodes that have just started take part as soon as they know what they can do.
  asio::awaitable<void> EveryoneMeasured() {
    asio::steady_timer timer(io_);
    while (cluster_.Measuring()) {
      timer.expires_after(std::chrono::milliseconds(50));
      co_await timer.async_wait(asio::use_awaitable);
    }
  }

  asio::awaitable<void> Plan(Exchange& exchange) {
    controls_.rescan();
    co_await EveryoneMeasured();
    const auto request =
        ReadPlacement(exchange.request().body(), cluster_.View(), cluster_.default_workload());
    if (!request.ok()) co_return co_await Refuse(exchange, request.error());
    const auto answer = co_await PlanOf(*request);
    if (!answer.ok()) co_return co_await Refuse(exchange, answer.error());
    co_await Answer(exchange, *answer);
  }

  // With devices to add: the plan without, which is null where nothing fits, and one for each.
  asio::awaitable<Result<json::object>> PlanOf(const PlacementRequest& request) {
    auto now = co_await PlanWith(request, nullptr);
    if (request.additions.empty()) co_return now;
    if (!now.ok() && now.error().code() != Code::kFailedPrecondition) co_return now;
    json::object answer = now.ok()
                              ? *std::move(now)
                              : json::object{{"chosen", nullptr}, {"why", now.error().message()}};
    json::array with;
    for (const PlacementRequest::Added& added : request.additions) {
      auto changed = co_await PlanWith(request, &added);
      if (!changed.ok()) co_return changed;
      (*changed)["added"] = added.text;
      with.push_back(*std::move(changed));
    }
    answer["with"] = std::move(with);
    co_return answer;
  }

  asio::awaitable<Result<json::object>> PlanWith(const PlacementRequest& request,
                                                 const PlacementRequest::Added* added) {
    using Planned = Result<plan::PlanResult>;
    const auto arrival = std::make_shared<Arrival<Planned>>(io_);
    cluster_.Plan(request.model, request.workload, request.constraints,
                  added == nullptr ? nullptr : &added->what,
                  [arrival](Planned planned) { arrival->Set(std::move(planned)); });
    const Planned planned = co_await arrival->Wait();
    if (!planned.ok()) co_return planned.error();
    co_return ToJson(*planned, [&](const NodeId& id) {
      return KnownName(id).value_or(added == nullptr ? id.Short()
                                                     : added->what.device.id + " (added)");
    });
  }

  asio::awaitable<void> Place(Exchange& exchange) {
    controls_.rescan();
    co_await EveryoneMeasured();
    const auto request =
        ReadPlacement(exchange.request().body(), cluster_.View(), cluster_.default_workload());
    if (!request.ok()) co_return co_await Refuse(exchange, request.error());
    if (!request->additions.empty())
      co_return co_await Refuse(
          exchange, Error(Code::kInvalidArgument, "'add' is for plans: it cannot be placed on"));
    using Placed = Result<cluster::InstanceView>;
    const auto arrival = std::make_shared<Arrival<Placed>>(io_);
    cluster_.Place(request->model, request->workload, request->constraints,
                   [arrival](Placed placed) { arrival->Set(std::move(placed)); });
    const Placed placed = co_await arrival->Wait();
    if (!placed.ok()) co_return co_await Refuse(exchange, placed.error());
    co_await Answer(exchange, ToJson(*placed, [this](const NodeId& id) { return NameOfNode(id); }));
  }

  asio::awaitable<void> StopModel(Exchange& exchange) {
    const auto model = ReadText(exchange.request().body(), "model");
    const Status stopped = model.ok() ? cluster_.StopModel(*model) : model.status();
    if (!stopped.ok()) co_return co_await Refuse(exchange, stopped.error());
    co_await Answer(exchange, Done());
  }

  asio::awaitable<void> Invite(Exchange& exchange) {
    const auto code = controls_.invite();
    if (!code.ok()) co_return co_await Refuse(exchange, code.error());
    json::object body;
    body["code"] = *code;
    co_await Answer(exchange, body);
  }

  asio::awaitable<void> Join(Exchange& exchange) {
    const auto code = ReadText(exchange.request().body(), "code");
    if (!code.ok()) co_return co_await Refuse(exchange, code.error());
    const auto arrival = std::make_shared<Arrival<Status>>(io_);
    controls_.join(*code, ReadPeers(exchange.request().body()),
                   [arrival](Status status) { arrival->Set(std::move(status)); });
    const Status joined = co_await arrival->Wait();
    if (!joined.ok()) co_return co_await Refuse(exchange, joined.error());
    co_await Answer(exchange, Done());
  }

  asio::awaitable<void> Revoke(Exchange& exchange) {
    const auto text = ReadText(exchange.request().body(), "node");
    if (!text.ok()) co_return co_await Refuse(exchange, text.error());
    // Also nodes that are not here any more, by their whole id.
    const auto whole = NodeId::Parse(*text);
    const auto node = whole ? Result<NodeId>(*whole) : FindNode(cluster_.View(), *text);
    const Status revoked = node.ok() ? controls_.revoke(*node) : node.status();
    if (!revoked.ok()) co_return co_await Refuse(exchange, revoked.error());
    co_await Answer(exchange, Done());
  }

  asio::io_context& io_;
  cluster::Cluster& cluster_;
  const NodeControls controls_;
  const ApiOptions options_;
  OpenAi openai_;
  Metrics metrics_;
  HttpServer server_;
};

ApiServer::ApiServer(asio::io_context& io, cluster::Cluster& cluster, const os::Clock& clock,
                     NodeControls controls, ApiOptions options)
    : impl_(std::make_shared<Impl>(io, cluster, clock, std::move(controls), std::move(options))) {}
ApiServer::~ApiServer() = default;
Status ApiServer::Listen() {
  return impl_->Listen();
}
uint16_t ApiServer::port() const {
  return impl_->port();
}
void ApiServer::Stop() {
  impl_->Stop();
}

}  // namespace baton::serve
