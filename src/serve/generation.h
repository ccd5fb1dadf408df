// Generation: tokens of the cluster become text for a client: whole characters only, stop strings
// looked for across token borders, log probabilities kept with the text they belong to. I/O thread
// only.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "cluster/cluster.h"
#include "model/tokenizer/tokenizer.h"

namespace baton::serve {

namespace asio = boost::asio;

// Looks for the first stop string in a stream of text, giving out only what cannot be part of one.
class StopFilter {
 public:
  explicit StopFilter(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // Text that may go out now. After a stop was found nothing goes out any more.
  std::string Push(std::string_view text);
  // What was held back, at the end of the stream.
  std::string Finish();
  bool found() const { return found_; }

 private:
  const std::vector<std::string> stops_;
  std::string held_;
  bool found_ = false;
};

struct Delta {
  std::string text;
  std::vector<cluster::TokenEvent> tokens;  // whose text is complete with this one
};
struct Done {
  cluster::FinishReason reason = cluster::FinishReason::kStop;
  cluster::RequestStats stats;
};
using GenerationEvent = std::variant<Delta, Done, Error>;

class Generation : public std::enable_shared_from_this<Generation> {
 public:
  static std::shared_ptr<Generation> Start(asio::io_context& io, cluster::Cluster& cluster,
                                           std::shared_ptr<const Model> model,
                                           cluster::GenerateRequest request,
                                           std::vector<std::string> stops);
  ~Generation();

  // The next event; after Done or Error there is none, and calling it again is a mistake.
  asio::awaitable<GenerationEvent> Next();
  // The client is gone: Next() ends with kCancelled.
  void Cancel();
  int completion_tokens() const { return completion_tokens_; }

 private:
  // A client that reads nothing for so long is cut off.
  static constexpr size_t kEventsMax = 8192;

  Generation(asio::io_context& io, cluster::Cluster& cluster, std::shared_ptr<const Model> model,
             std::vector<std::string> stops);
  void OnToken(const cluster::TokenEvent& token);
  void OnDone(cluster::FinishReason reason, const cluster::RequestStats& stats);
  void Push(GenerationEvent event);

  cluster::Cluster& cluster_;
  const std::shared_ptr<const Model> model_;
  StreamDecoder decoder_;
  StopFilter filter_;
  asio::steady_timer ready_;  // cancelled when an event is there
  std::deque<GenerationEvent> events_;
  std::vector<cluster::TokenEvent> pending_;  // their text is still held back
  std::optional<RequestId> request_;
  int completion_tokens_ = 0;
  bool ended_ = false;
};

}  // namespace baton::serve
