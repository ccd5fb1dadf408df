#include "serve/metrics.h"

#include <algorithm>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/text_serializer.h>

namespace baton::serve {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;

prometheus::Histogram* MakeHistogram(prometheus::Registry& registry, const char* name,
                                     const char* help, const Buckets& buckets) {
  return &prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, buckets);
}

}  // namespace

Metrics::Metrics()
    : ttft_(MakeHistogram(registry_, "vllm:time_to_first_token_seconds",
                          "From the request to its first token.",
                          {0.001, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5,
                           10, 20, 40, 80, 160, 640, 2560})),
      total_(MakeHistogram(registry_, "vllm:e2e_request_latency_seconds",
                           "From the request to its last token.",
                           {0.01, 0.1, 0.3, 0.5, 1, 2, 5, 10, 20, 40, 80, 160, 640, 2560})),
      per_token_(MakeHistogram(registry_, "vllm:time_per_output_token_seconds",
                               "Between tokens behind the first.",
                               {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5})) {
}

void Metrics::Count(const char* name, const char* help, double total) {
  auto& counter = prometheus::BuildCounter().Name(name).Help(help).Register(registry_).Add({});
  counter.Increment(std::max(0.0, total - counter.Value()));
}

void Metrics::Gauge(const char* name, const char* help, double value,
                    const prometheus::Labels& labels) {
  prometheus::BuildGauge().Name(name).Help(help).Register(registry_).Add(labels).Set(value);
}

// Of this node: every node tells its own.
void Metrics::ShowSensors(const cluster::ClusterView& view) {
  for (const cluster::NodeView& node : view.nodes) {
    if (!node.self) continue;
    for (const os::SensorReading& reading : node.sensors) {
      const prometheus::Labels labels = {{"device", reading.device}};
      if (reading.temperature_c)
        Gauge("baton_temperature_celsius", "Where the device is hottest.", *reading.temperature_c,
              labels);
      if (reading.power_w)
        Gauge("baton_power_watts", "What the device takes.", *reading.power_w, labels);
      if (reading.clock_mhz)
        Gauge("baton_clock_hertz", "Clock of the device's fastest core.", *reading.clock_mhz * 1e6,
              labels);
      if (reading.throttled)
        Gauge("baton_throttled", "1 while heat or power slow the device down.", *reading.throttled,
              labels);
      if (reading.memory_used_bytes)
        Gauge("baton_device_memory_used_bytes", "Memory of the device's own that is in use.",
              static_cast<double>(*reading.memory_used_bytes), labels);
    }
  }
}

std::string Metrics::Render(const cluster::ClusterCounters& counters,
                            const cluster::ClusterView& view,
                            const OpenAi::Observations& observed) {
  const auto live = std::count_if(view.nodes.begin(), view.nodes.end(),
                                  [](const cluster::NodeView& node) { return node.linked; });
  const auto as_double = [](auto value) { return static_cast<double>(value); };
  Count("baton_requests_total", "Requests of clients of this node.", as_double(counters.requests));
  Count("baton_requests_failed_total", "Requests that ended in an error.",
        as_double(counters.requests_failed));
  Count("baton_requests_cancelled_total", "Requests whose client went away.",
        as_double(counters.requests_cancelled));
  Count("baton_remote_prefills_total", "Requests whose prompt another node computed.",
        as_double(counters.remote_prefills));
  Count("baton_request_migrations_total", "Attempts after a node was lost.",
        as_double(counters.migrations));
  Count("baton_kv_sent_bytes_total", "KV cache handed over for requests of this node.",
        as_double(counters.kv_sent_bytes));
  Count("baton_kv_sent_early_bytes_total", "Of these, sent before the prefill ended.",
        as_double(counters.kv_sent_early_bytes));
  Count("baton_engine_busy_seconds_total", "Time that this node's engine computed.",
        counters.engine_busy_s);
  Count("vllm:prompt_tokens_total", "Tokens of prompts.", as_double(counters.prompt_tokens));
  Count("vllm:generation_tokens_total", "Tokens generated.", as_double(counters.generated_tokens));
  Count("vllm:prefix_cache_hits_total", "Prompt tokens found in the prefix cache.",
        as_double(counters.cached_tokens));
  Count("vllm:prefix_cache_queries_total", "Prompt tokens looked up in the prefix cache.",
        as_double(counters.prompt_tokens));
  Gauge("vllm:num_requests_running", "Requests under way.", counters.requests_running);
  Gauge("baton_nodes_live", "Nodes with a live link, this one included.", as_double(live));
  Gauge("baton_instances", "Instances known.", as_double(view.instances.size()));
  ShowSensors(view);
  for (const double seconds : observed.ttft_s) ttft_->Observe(seconds);
  for (const double seconds : observed.total_s) total_->Observe(seconds);
  for (const double seconds : observed.per_token_s) per_token_->Observe(seconds);
  return prometheus::TextSerializer().Serialize(registry_.Collect());
}

}  // namespace baton::serve
