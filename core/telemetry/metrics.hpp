// What a Prometheus server is told (docs/observing.md).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "plugins/observer.hpp"

namespace berth::telemetry {

// A value that is read when it is asked for.
struct Reading {
  std::string name;  // "berth_pods"
  std::string help;
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;
  bool counter = false;  // it never falls while the daemon runs
};

// Thread-safe.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // A call of a gRPC service has ended; `path` is "/package.Service/Method". Streams are counted
  // only: they last as long as their clients want.
  void countCall(std::string_view path, std::string_view code, std::chrono::nanoseconds took,
                 bool stream);
  void countPluginCall(std::string_view kind, std::string_view instance, bool failed,
                       std::chrono::nanoseconds took);
  void countStages(const plugins::Timeline& timeline);

  // `read` gives its readings each time when somebody asks; before serve().
  void addSource(std::function<std::vector<Reading>()> read);

  // Answers GET /metrics over HTTP on "address:port"; once. UNAVAILABLE with the address when it
  // cannot listen there.
  absl::Status serve(const std::string& address);
  // No source is read any more when it returns. Idempotent.
  void stop();

 private:
  struct Parts;
  const std::unique_ptr<Parts> parts_;
};

// The daemon's own process: memory, descriptors, CPU time, threads, under the names that all
// exporters use.
std::vector<Reading> readProcess();

}  // namespace berth::telemetry
