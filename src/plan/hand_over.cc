#include "plan/hand_over.h"

#include <algorithm>

namespace baton::plan {
namespace {

bool Contains(const std::vector<size_t>& nodes, size_t node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

LayerRange Overlap(LayerRange a, LayerRange b) {
  return {std::max(a.first, b.first), std::min(a.last, b.last)};
}

void Traffic::Add(size_t from, size_t to, double bytes, double begin_s) {
  Add(costs_.OutPort(from, to), bytes, begin_s);
  Add(costs_.InPort(from, to), bytes, begin_s);
}

void Traffic::Add(CostTable::PortOf port, double bytes, double begin_s) {
  for (Port& known : ports_) {
    if (known.id != port.id) continue;
    known.bytes += bytes;
    known.begin_s = std::min(known.begin_s, begin_s);
    return;
  }
  ports_.push_back({port.id, port.bytes_per_s, bytes, begin_s});
}

double Traffic::End() const {
  double end = 0;
  for (const Port& port : ports_) end = std::max(end, port.begin_s + port.bytes / port.bytes_per_s);
  return end;
}

double Traffic::BusiestSeconds() const {
  double most = 0;
  for (const Port& port : ports_) most = std::max(most, port.bytes / port.bytes_per_s);
  return most;
}

double Traffic::RateOf(size_t from, size_t to, double bytes) const {
  double rate = costs_.BytesPerSecond(from, to);
  for (const CostTable::PortOf& port : {costs_.OutPort(from, to), costs_.InPort(from, to)}) {
    for (const Port& known : ports_) {
      if (known.id == port.id) rate = std::min(rate, port.bytes_per_s * bytes / known.bytes);
    }
  }
  return rate;
}

HandOver::HandOver(const CostTable& costs, const Group& prefill, double prefill_s, int tokens)
    : costs_(costs),
      prefill_(prefill),
      prefill_s_(prefill_s),
      tokens_(tokens),
      rows_bytes_(tokens * costs.model().ActivationBytesPerToken(costs.workload())) {
  const size_t stages = prefill.size();
  const double chunk_tokens = stages > 1 ? costs.chunk_tokens() : costs.workload().chunk_tokens;
  unit_bytes_ = costs.SentTokenBytes() * std::min<double>(tokens, chunk_tokens);
  double before_s = 0;
  for (size_t place = 0; place < stages; ++place) {
    const auto& [node, layers] = prefill[place];
    chunk_s_.push_back(stages > 1 ? costs.PrefillChunk(node, layers)
                                  : costs.PrefillWhole(node, layers) / costs.ChunksOf(1));
    begin_s_.push_back(before_s);
    before_s += chunk_s_.back();
    if (place + 1 < stages) before_s += costs.ChunkHop(node, prefill[place + 1].node);
  }
  for (size_t place = 0; place < stages; ++place)
    after_s_.push_back(before_s - begin_s_[place] - chunk_s_[place]);
}

// Of the prompt's last so many.
double HandOver::SentTokensOf(LayerRange layers) const {
  return tokens_ == costs_.workload().prompt_tokens ? costs_.SentTokens(layers)
                                                    : costs_.model().SeenTokens(layers, tokens_);
}

HandOver::Flow HandOver::FlowOf(size_t place, const GroupStage& to) const {
  const GroupStage& from = prefill_[place];
  const LayerRange layers = Overlap(from.layers, to.layers);
  if (layers.size() <= 0 || from.node == to.node) return {};
  const double layer_s = chunk_s_[place] / from.layers.size();
  const double bytes_per_s = costs_.BytesPerSecond(from.node, to.node);
  const bool has_rows = place + 1 < prefill_.size() && prefill_[place + 1].node == to.node;
  Flow flow;
  flow.bytes = costs_.SentTokenBytes() * SentTokensOf(layers);
  flow.begin_s = begin_s_[place] + layer_s * (layers.first - from.layers.first + 1);
  flow.end_s = flow.begin_s + (flow.bytes + (has_rows ? rows_bytes_ : 0)) / bytes_per_s +
               costs_.HalfRtt(from.node, to.node);
  flow.left_s = unit_bytes_ / bytes_per_s + costs_.HalfRtt(from.node, to.node) - after_s_[place] -
                layer_s * (from.layers.last - layers.last);
  return flow;
}

void HandOver::AddRows(Traffic& traffic) const {
  for (size_t place = 0; place + 1 < prefill_.size(); ++place) {
    traffic.Add(prefill_[place].node, prefill_[place + 1].node, rows_bytes_,
                begin_s_[place] + chunk_s_[place]);
  }
}

Exposure HandOver::To(const Group& decode) const {
  double end_s = 0;
  double left_s = 0;
  Traffic traffic(costs_);
  for (size_t place = 0; place < prefill_.size(); ++place) {
    for (const GroupStage& to : decode) {
      const Flow flow = FlowOf(place, to);
      if (flow.bytes <= 0) continue;
      end_s = std::max(end_s, flow.end_s);
      left_s = std::max(left_s, flow.left_s);
      traffic.Add(prefill_[place].node, to.node, flow.bytes, flow.begin_s);
    }
  }
  AddRows(traffic);
  const double behind_s = std::max(end_s, traffic.End()) - prefill_s_;
  return {std::max({0.0, left_s, behind_s}), behind_s <= std::max(0.0, left_s)};
}

std::vector<KvStream> HandOver::StreamsTo(const Group& decode) const {
  Traffic traffic(costs_);
  AddRows(traffic);
  const auto for_each = [&](const auto& visit) {
    for (size_t place = 0; place < prefill_.size(); ++place) {
      for (const GroupStage& to : decode) {
        const Flow flow = FlowOf(place, to);
        if (flow.bytes > 0) visit(prefill_[place], to, flow);
      }
    }
  };
  for_each([&](const GroupStage& from, const GroupStage& to, const Flow& flow) {
    traffic.Add(from.node, to.node, flow.bytes, flow.begin_s);
  });
  std::vector<KvStream> streams;
  for_each([&](const GroupStage& from, const GroupStage& to, const Flow& flow) {
    streams.push_back({.layers = Overlap(from.layers, to.layers),
                       .bytes_per_s = traffic.RateOf(from.node, to.node, flow.bytes),
                       .one_way_s = costs_.HalfRtt(from.node, to.node),
                       .begin_part = flow.begin_s / prefill_s_});
  });
  return streams;
}

double HandOver::SendingFrom(size_t place, LayerRange kept) const {
  const GroupStage& from = prefill_[place];
  const LayerRange here = Overlap(from.layers, kept);
  const double tokens = SentTokensOf(from.layers) - (here.size() > 0 ? SentTokensOf(here) : 0);
  const double rate = costs_.OnlyOutRate(from.node);
  if (tokens <= 0 || rate <= 0) return 0;
  const double rows = place + 1 < prefill_.size() ? rows_bytes_ : 0;
  return (costs_.SentTokenBytes() * tokens + rows) / rate;
}

double HandOver::ExposedFrom(size_t place, LayerRange kept) const {
  const double sending_s = SendingFrom(place, kept);
  if (sending_s <= 0) return 0;
  const LayerRange layers = prefill_[place].layers;
  const LayerRange here = Overlap(layers, kept);
  // The first layer that is not kept.
  const int before = here.size() > 0 && here.first == layers.first ? here.size() : 0;
  const double first_s = chunk_s_[place] / layers.size() * (before + 1);
  return begin_s_[place] + first_s + sending_s - prefill_s_;
}

double HandOver::SendingAt(const GroupStage& to) const {
  double most = 0;
  double bytes = 0;
  for (size_t place = 0; place < prefill_.size(); ++place) {
    const GroupStage& from = prefill_[place];
    if (from.node == to.node) {
      most = std::max(most, SendingFrom(place, to.layers));
      if (place > 0) bytes += rows_bytes_;
      continue;
    }
    const LayerRange layers = Overlap(from.layers, to.layers);
    if (layers.size() <= 0) continue;
    const double sent = costs_.SentTokenBytes() * SentTokensOf(layers);
    most = std::max(most, sent / costs_.BytesPerSecond(from.node, to.node));
    bytes += sent;
  }
  const double rate = costs_.OnlyInRate(to.node);
  return rate > 0 ? std::max(most, bytes / rate) : most;
}

double HandOver::ExposedAt(const GroupStage& to) const {
  double exposed_s = 0;
  double begin_s = prefill_s_;
  double bytes = 0;
  double rows = 0;
  for (size_t place = 0; place < prefill_.size(); ++place) {
    if (prefill_[place].node == to.node) {
      exposed_s = std::max(exposed_s, ExposedFrom(place, to.layers));
      if (place == 0) continue;
      rows = rows_bytes_;
      begin_s = std::min(begin_s, begin_s_[place - 1] + chunk_s_[place - 1]);
      continue;
    }
    const Flow flow = FlowOf(place, to);
    if (flow.bytes <= 0) continue;
    exposed_s = std::max({exposed_s, flow.left_s, flow.end_s - prefill_s_});
    begin_s = std::min(begin_s, flow.begin_s);
    bytes += flow.bytes;
  }
  const double rate = costs_.OnlyInRate(to.node);
  if (rate > 0 && bytes > 0)
    exposed_s = std::max(exposed_s, begin_s + (bytes + rows) / rate - prefill_s_);
  return exposed_s;
}

double HandOver::LeastExposed(const std::vector<size_t>& decode) const {
  double exposed_s = 0;
  for (size_t place = 0; place < prefill_.size(); ++place) {
    if (!Contains(decode, prefill_[place].node))
      exposed_s = std::max(exposed_s, ExposedFrom(place, {}));
  }
  return exposed_s;
}

std::vector<double> HopTimes(const CostTable& costs, const Group& prefill, const Group& decode,
                             int tokens) {
  const double rows = tokens * costs.model().ActivationBytesPerToken(costs.workload());
  std::vector<double> times;
  for (size_t place = 1; place + 1 < prefill.size(); ++place) {
    const size_t from = prefill[place].node;
    const size_t to = prefill[place + 1].node;
    const auto twin = std::find_if(decode.begin(), decode.end(),
                                   [&](const GroupStage& stage) { return stage.node == to; });
    if (twin == decode.end()) continue;
    const CostTable::PortOf port = costs.InPort(from, to);
    double sent = 0;
    double rate = costs.BytesPerSecond(from, to);
    for (size_t other = 0; other < place; ++other) {
      const LayerRange layers = Overlap(prefill[other].layers, twin->layers);
      if (layers.size() <= 0 || costs.InPort(prefill[other].node, to).id != port.id) continue;
      sent += costs.SentTokenBytes() * costs.model().SeenTokens(layers, tokens);
      rate += costs.BytesPerSecond(prefill[other].node, to);
    }
    if (sent <= 0 || rate <= port.bytes_per_s) continue;
    times.resize(prefill.size() - 1, 1);
    times[place] = 1 + std::min(1.0, sent / rows);
  }
  return times;
}

double BusiestSending(const CostTable& costs, const Group& prefill, const Group& decode) {
  const double rows =
      costs.workload().prompt_tokens * costs.model().ActivationBytesPerToken(costs.workload());
  Traffic traffic(costs);
  double busiest = 0;
  for (size_t place = 0; place < prefill.size(); ++place) {
    const GroupStage& from = prefill[place];
    if (place + 1 < prefill.size()) {
      const size_t next = prefill[place + 1].node;
      busiest = std::max(busiest, costs.chunks() * costs.ChunkHop(from.node, next));
      traffic.Add(from.node, next, rows);
    }
    for (const GroupStage& to : decode) {
      const LayerRange layers = Overlap(from.layers, to.layers);
      if (layers.size() <= 0 || from.node == to.node) continue;
      const double bytes = costs.SentTokenBytes() * costs.SentTokens(layers);
      busiest = std::max(busiest, bytes / costs.BytesPerSecond(from.node, to.node));
      traffic.Add(from.node, to.node, bytes);
    }
  }
  return std::max(busiest, traffic.BusiestSeconds());
}

}  // namespace baton::plan
