// The command line's side of a node's HTTP API. Blocking; one request per connection.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "apps/baton/command.h"
#include "base/result.h"
#include "node/node.h"

namespace baton::app {

// Where a node's API is: `--api HOST:PORT` and `--api-key`, or $BATON_API and $BATON_API_KEY.
struct ApiAddress {
  std::string host = "127.0.0.1";
  uint16_t port = 7411;
  std::string key;
};

// Adds the options above to a verb.
std::shared_ptr<ApiAddress> AddApiOptions(CLI::App& verb, const Environment& environment);

class Client {
 public:
  explicit Client(ApiAddress address) : address_(std::move(address)) {}

  // Is a baton answering there?
  bool Alive() const;
  Result<boost::json::value> Get(const std::string& path) const;
  Result<boost::json::value> Post(const std::string& path, const boost::json::object& body) const;
  // Server-sent events: `on_data` for each "data:" line but [DONE]; it returns false to stop. Fails
  // if the stream breaks off before [DONE].
  Status Stream(const std::string& path, const boost::json::object& body,
                const std::function<bool(std::string_view data)>& on_data) const;

 private:
  ApiAddress address_;
};

// A verb that needs a node: the one that runs, or one of its own for as long as it lasts.
struct NodeAccess {
  std::unique_ptr<node::Node> own;  // null if one was running
  Client client;
};
// `files` are models for a node of our own, beside those of the store.
Result<NodeAccess> ReachNode(const Environment& environment, const ApiAddress& address,
                             std::vector<std::string> files);
// Makes `model` the name that requests use if the owner gave the path of a file; the path, else
// nothing. A node that runs already must have been started with that file.
std::vector<std::string> TakeFile(std::string& model);
// The running node; kUnavailable says how to start one.
Result<Client> RunningNode(const ApiAddress& address);

// The options of a node as this machine's environment has them.
node::NodeOptions NodeOptionsFrom(const Environment& environment);

}  // namespace baton::app
