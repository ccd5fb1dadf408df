// /metrics in Prometheus' text format: totals of the cluster under our own prefix, and the names
// that vLLM's boards already plot. No label ever holds text of a request. I/O thread only.
#pragma once

#include <memory>
#include <string>

#include <prometheus/registry.h>

#include "cluster/cluster.h"
#include "serve/openai.h"

namespace baton::serve {

class Metrics {
 public:
  Metrics();
  std::string Render(const cluster::ClusterCounters& counters, const cluster::ClusterView& view,
                     const OpenAi::Observations& observed);

 private:
  void Count(const char* name, const char* help, double total);
  void Gauge(const char* name, const char* help, double value,
             const prometheus::Labels& labels = {});
  void ShowSensors(const cluster::ClusterView& view);

  prometheus::Registry registry_;
  prometheus::Histogram* ttft_;
  prometheus::Histogram* total_;
  prometheus::Histogram* per_token_;
};

}  // namespace baton::serve
