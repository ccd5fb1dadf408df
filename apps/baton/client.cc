#include "apps/baton/client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "apps/baton/store.h"
#include "net/mesh.h"
#include "os/file.h"

namespace baton::app {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace json = boost::json;

// A connection with its request sent.
struct Call {
  asio::io_context io;
  beast::tcp_stream stream{io};
  beast::flat_buffer buffer;

  Status Send(const ApiAddress& address, http::verb verb, const std::string& path,
              const std::string& body) {
    asio::ip::tcp::resolver resolver(io);
    boost::system::error_code failed;
    const auto endpoints = resolver.resolve(address.host, std::to_string(address.port), failed);
    if (!failed) stream.connect(endpoints, failed);
    if (failed)
      return MakeError(Code::kUnavailable, "no baton answers at {}:{} ({})", address.host,
                       address.port, failed.message());
    http::request<http::string_body> request(verb, path, 11);
    request.set(http::field::host, fmt::format("{}:{}", address.host, address.port));
    if (!address.key.empty()) request.set(http::field::authorization, "Bearer " + address.key);
    if (verb == http::verb::post) request.set(http::field::content_type, "application/json");
    request.body() = body;
    request.prepare_payload();
    http::write(stream, request, failed);
    if (failed) return MakeError(Code::kUnavailable, "the node closed: {}", failed.message());
    return OkStatus();
  }
};

// What an error answer says.
Error ErrorIn(http::status status, const std::string& body) {
  boost::system::error_code failed;
  const json::value parsed = json::parse(body, failed);
  const json::object* object = failed ? nullptr : parsed.if_object();
  const json::value* error = object == nullptr ? nullptr : object->if_contains("error");
  const json::value* message =
      error != nullptr && error->is_object() ? error->get_object().if_contains("message") : nullptr;
  const Code code = status == http::status::not_found ? Code::kNotFound : Code::kInternal;
  if (message != nullptr && message->is_string())
    return Error(code, std::string(message->get_string()));
  return MakeError(code, "the node answered with status {}", static_cast<int>(status));
}

Result<json::value> Ask(const ApiAddress& address, http::verb verb, const std::string& path,
                        const std::string& body) {
  Call call;
  BATON_RETURN_IF_ERROR(call.Send(address, verb, path, body));
  http::response_parser<http::string_body> parser;
  parser.body_limit(64 << 20);
  boost::system::error_code failed;
  http::read(call.stream, call.buffer, parser, failed);
  if (failed) return MakeError(Code::kUnavailable, "the node closed: {}", failed.message());
  const auto& response = parser.get();
  if (response.result() != http::status::ok) return ErrorIn(response.result(), response.body());
  json::value parsed = json::parse(response.body(), failed);
  if (failed) return MakeError(Code::kInternal, "the node did not answer in JSON");
  return parsed;
}

}  // namespace

std::shared_ptr<ApiAddress> AddApiOptions(CLI::App& verb, const Environment& environment) {
  auto address = std::make_shared<ApiAddress>();
  address->key = environment.api_key;
  const auto set = [address](const std::string& text) {
    const auto parsed = net::ParseHostPort(text, 7411);
    if (!parsed.ok()) throw CLI::ValidationError("--api", parsed.error().message());
    address->host = parsed->host;
    address->port = parsed->port;
  };
  if (!environment.api.empty()) {
    const auto parsed = net::ParseHostPort(environment.api, 7411);
    if (parsed.ok()) {
      address->host = parsed->host;
      address->port = parsed->port;
    }
  }
  verb.add_option_function<std::string>("--api", set,
                                        "HOST:PORT of a node's API (BATON_API; 127.0.0.1:7411)");
  verb.add_option("--api-key", address->key, "the node's API key (BATON_API_KEY)");
  return address;
}

bool Client::Alive() const {
  return Get("/health").ok();
}

Result<json::value> Client::Get(const std::string& path) const {
  return Ask(address_, http::verb::get, path, {});
}

Result<json::value> Client::Post(const std::string& path, const json::object& body) const {
  return Ask(address_, http::verb::post, path, json::serialize(body));
}

Status Client::Stream(const std::string& path, const json::object& body,
                      const std::function<bool(std::string_view data)>& on_data) const {
  Call call;
  BATON_RETURN_IF_ERROR(call.Send(address_, http::verb::post, path, json::serialize(body)));
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(boost::none);
  boost::system::error_code failed;
  http::read_header(call.stream, call.buffer, parser, failed);
  if (failed) return MakeError(Code::kUnavailable, "the node closed: {}", failed.message());
  std::string pending;
  while (!parser.is_done()) {
    char chunk[16384];
    parser.get().body().data = chunk;
    parser.get().body().size = sizeof chunk;
    http::read_some(call.stream, call.buffer, parser, failed);
    if (failed && failed != http::error::need_buffer)
      return MakeError(Code::kUnavailable, "the stream broke off: {}", failed.message());
    pending.append(chunk, sizeof chunk - parser.get().body().size);
    if (parser.get().result() != http::status::ok) continue;
    for (size_t end; (end = pending.find("\n\n")) != std::string::npos; pending.erase(0, end + 2)) {
      const std::string_view event = std::string_view(pending).substr(0, end);
      constexpr std::string_view kData = "data: ";
      if (event.substr(0, kData.size()) != kData) continue;
      const std::string_view data = event.substr(kData.size());
      if (data == "[DONE]") return OkStatus();
      if (!on_data(data)) return OkStatus();
    }
  }
  if (parser.get().result() != http::status::ok) return ErrorIn(parser.get().result(), pending);
  return MakeError(Code::kDataLoss, "the stream ended without its end mark");
}

node::NodeOptions NodeOptionsFrom(const Environment& environment) {
  node::NodeOptions options;
  options.home = environment.home;
  options.store = StoreOptionsFrom(environment);
  options.kernels = environment.kernels;
  options.api.api_key = environment.api_key;
  return options;
}

std::vector<std::string> TakeFile(std::string& model) {
  const bool looks_like_a_path =
      model.find('/') != std::string::npos ||
      (model.size() > 5 && model.compare(model.size() - 5, 5, ".gguf") == 0);
  if (!looks_like_a_path || !os::Exists(model)) return {};
  const std::string path = std::exchange(model, node::ModelNameOf(model));
  return {path};
}

Result<NodeAccess> ReachNode(const Environment& environment, const ApiAddress& address,
                             std::vector<std::string> files) {
  Client client(address);
  if (client.Alive()) return NodeAccess{nullptr, client};
  node::NodeOptions options = NodeOptionsFrom(environment);
  options.api.port = 0;
  options.api.api_key.clear();
  options.model_files = std::move(files);
  BATON_ASSIGN_OR_RETURN(auto own, node::Node::Start(std::move(options)));
  ApiAddress here;
  here.port = own->api_port();
  return NodeAccess{std::move(own), Client(here)};
}

Result<Client> RunningNode(const ApiAddress& address) {
  Client client(address);
  const auto health = client.Get("/health");
  if (health.ok()) return client;
  if (health.error().code() != Code::kUnavailable) return health.error();
  return MakeError(Code::kUnavailable, "{}: start one with `baton serve`",
                   health.error().message());
}

}  // namespace baton::app
