#include "serve/generation.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace baton::serve {
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// How many last characters of `text` could be the start of `stop`.
size_t PartialMatch(std::string_view text, std::string_view stop) {
  for (size_t length = std::min(text.size(), stop.size() - 1); length > 0; --length) {
    if (text.substr(text.size() - length) == stop.substr(0, length)) return length;
  }
  return 0;
}

}  // namespace

std::string StopFilter::Push(std::string_view text) {
  if (found_) return {};
  held_ += text;
  size_t first = std::string::npos;
  size_t keep = 0;
  for (const std::string& stop : stops_) {
    first = std::min(first, held_.find(stop));
    keep = std::max(keep, PartialMatch(held_, stop));
  }
  found_ = first != std::string::npos;
  const size_t out = found_ ? first : held_.size() - keep;
  std::string ready = held_.substr(0, out);
  held_.erase(0, found_ ? held_.size() : out);
  return ready;
}

std::string StopFilter::Finish() {
  return std::exchange(held_, {});
}

std::shared_ptr<Generation> Generation::Start(asio::io_context& io, cluster::Cluster& cluster,
                                              std::shared_ptr<const Model> model,
                                              cluster::GenerateRequest request,
                                              std::vector<std::string> stops) {
  std::shared_ptr<Generation> generation(
      new Generation(io, cluster, std::move(model), std::move(stops)));
  const std::weak_ptr<Generation> weak = generation;
  generation->request_ =
      cluster.Submit(std::move(request),
                     {.on_token =
                          [weak](const cluster::TokenEvent& token) {
                            if (const auto self = weak.lock()) self->OnToken(token);
                          },
                      .on_done =
                          [weak](cluster::FinishReason reason, const cluster::RequestStats& stats) {
                            if (const auto self = weak.lock()) self->OnDone(reason, stats);
                          },
                      .on_error =
                          [weak](const Error& error) {
                            if (const auto self = weak.lock()) self->Push(error);
                          }});
  return generation;
}

Generation::Generation(asio::io_context& io, cluster::Cluster& cluster,
                       std::shared_ptr<const Model> model, std::vector<std::string> stops)
    : cluster_(cluster),
      model_(std::move(model)),
      decoder_(model_->tokenizer()),
      filter_(std::move(stops)),
      ready_(io, asio::steady_timer::time_point::max()) {}

Generation::~Generation() {
  if (!ended_ && request_) cluster_.Cancel(*request_);
}

void Generation::OnToken(const cluster::TokenEvent& token) {
  if (ended_ || filter_.found()) return;
  ++completion_tokens_;
  pending_.push_back(token);
  std::string text = filter_.Push(decoder_.Push(token.token));
  if (!text.empty()) Push(Delta{std::move(text), std::exchange(pending_, {})});
  if (filter_.found()) cluster_.EndEarly(*request_);
  if (events_.size() > kEventsMax) {
    cluster_.Cancel(*request_);
    Push(Error(Code::kResourceExhausted, "the client reads too slowly"));
  }
}

void Generation::OnDone(cluster::FinishReason reason, const cluster::RequestStats& stats) {
  if (!filter_.found()) {
    std::string rest = filter_.Push(decoder_.Finish());
    rest += filter_.Finish();
    if (!rest.empty() || !pending_.empty())
      Push(Delta{std::move(rest), std::exchange(pending_, {})});
  }
  Push(Done{filter_.found() ? cluster::FinishReason::kStop : reason, stats});
}

void Generation::Push(GenerationEvent event) {
  if (ended_) return;
  ended_ = !std::holds_alternative<Delta>(event);
  events_.push_back(std::move(event));
  ready_.cancel();
}

asio::awaitable<GenerationEvent> Generation::Next() {
  const auto self = shared_from_this();
  while (events_.empty()) {
    ready_.expires_at(asio::steady_timer::time_point::max());
    co_await ready_.async_wait(kAwait);
  }
  GenerationEvent event = std::move(events_.front());
  events_.pop_front();
  co_return event;
}

void Generation::Cancel() {
  if (ended_) return;
  cluster_.Cancel(*request_);
  Push(Error(Code::kCancelled, "the client went away"));
}

}  // namespace baton::serve
