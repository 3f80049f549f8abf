#include "telemetry/metrics.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <set>

#include "berth/support/status.hpp"
#include "plugins/operation.hpp"

namespace berth::telemetry {

namespace {

using prometheus::Histogram;
using support::strCat;

// Stages come from plugins as well, which may put anything into them.
constexpr size_t kMostStages = 256;
constexpr const char* kOther = "other";
// So that connections on which nothing comes do not hold up scrapes: each takes a thread, until it
// has been silent for so long.
constexpr const char* kThreads = "4";
constexpr const char* kSilenceMilliseconds = "5000";

// From a call that reads memory to one that pulls an image.
const Histogram::BucketBoundaries& buckets() {
  static const Histogram::BucketBoundaries seconds{
      0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120};
  return seconds;
}

double seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

// "resolve a.example/app:1 from …" → "resolve": up to the first word that is no mere word, and to a
// colon. Who reads metrics need not learn what runs here, and series stay few.
std::string wordsOf(std::string_view stage) {
  const auto isWord = [](std::string_view word) {
    return std::all_of(word.begin(), word.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '\'';
    });
  };
  stage = stage.substr(0, stage.find(':'));
  size_t end = 0;
  for (size_t begin = 0; begin < stage.size();) {
    const size_t space = std::min(stage.find(' ', begin), stage.size());
    if (!isWord(stage.substr(begin, space - begin))) break;
    end = space;
    begin = space + 1;
  }
  return end == 0 ? kOther : std::string(stage.substr(0, end));
}

// Families of the sources' readings, in the order of their names.
class Live final : public prometheus::Collectable {
 public:
  void add(std::function<std::vector<Reading>()> read) { sources_.push_back(std::move(read)); }

  std::vector<prometheus::MetricFamily> Collect() const override {
    std::map<std::string, prometheus::MetricFamily> families;
    for (const auto& read : sources_)
      for (const Reading& reading : read()) put(families[reading.name], reading);
    std::vector<prometheus::MetricFamily> result;
    result.reserve(families.size());
    for (auto& [name, family] : families) result.push_back(std::move(family));
    return result;
  }

 private:
  static void put(prometheus::MetricFamily& family, const Reading& reading) {
    family.name = reading.name;
    family.help = reading.help;
    family.type = reading.counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
    prometheus::ClientMetric metric;
    for (const auto& [name, value] : reading.labels) metric.label.push_back({name, value});
    (reading.counter ? metric.counter.value : metric.gauge.value) = reading.value;
    family.metric.push_back(std::move(metric));
  }

  std::vector<std::function<std::vector<Reading>()>> sources_;
};

}  // namespace

struct Metrics::Parts {
  const std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();
  const std::shared_ptr<Live> live = std::make_shared<Live>();
  prometheus::Family<prometheus::Counter>& calls =
      prometheus::BuildCounter()
          .Name("berth_calls_total")
          .Help("Calls of gRPC services that have ended, by their status.")
          .Register(*registry);
  prometheus::Family<Histogram>& callSeconds =
      prometheus::BuildHistogram()
          .Name("berth_call_seconds")
          .Help("What calls of gRPC services took, but for streams.")
          .Register(*registry);
  prometheus::Family<Histogram>& stageSeconds = prometheus::BuildHistogram()
                                                    .Name("berth_stage_seconds")
                                                    .Help("What the stages of operations took.")
                                                    .Register(*registry);
  prometheus::Family<prometheus::Counter>& pluginCalls =
      prometheus::BuildCounter()
          .Name("berth_plugin_calls_total")
          .Help("Calls into plugins that have ended.")
          .Register(*registry);
  prometheus::Family<Histogram>& pluginSeconds = prometheus::BuildHistogram()
                                                     .Name("berth_plugin_call_seconds")
                                                     .Help("What calls into plugins took.")
                                                     .Register(*registry);
  std::mutex mutex;
  std::set<std::pair<std::string, std::string>> stages;  // under the mutex
  std::unique_ptr<prometheus::Exposer> exposer;          // goes first: it reads the rest

  // The name that the stage goes by.
  std::string known(const std::string& operation, const std::string& stage) {
    const std::lock_guard lock(mutex);
    if (stages.contains({operation, stage})) return stage;
    if (stages.size() >= kMostStages) return kOther;
    stages.emplace(operation, stage);
    return stage;
  }
};

Metrics::Metrics() : parts_(std::make_unique<Parts>()) {}
Metrics::~Metrics() = default;

void Metrics::countCall(std::string_view path, std::string_view code, std::chrono::nanoseconds took,
                        bool stream) {
  const size_t slash = path.rfind('/');
  const std::string method(path.substr(slash + 1));
  const std::string_view whole = path.substr(0, slash);
  const std::string service(whole.substr(whole.rfind('.') + 1));
  const prometheus::Labels labels{{"service", service}, {"method", method}};
  prometheus::Labels counted = labels;
  counted.emplace("code", std::string(code));
  parts_->calls.Add(counted).Increment();
  if (!stream) parts_->callSeconds.Add(labels, buckets()).Observe(seconds(took));
}

void Metrics::countPluginCall(std::string_view kind, std::string_view instance, bool failed,
                              std::chrono::nanoseconds took) {
  const prometheus::Labels labels{{"kind", std::string(kind)}, {"plugin", std::string(instance)}};
  prometheus::Labels counted = labels;
  counted.emplace("result", failed ? "error" : "ok");
  parts_->pluginCalls.Add(counted).Increment();
  parts_->pluginSeconds.Add(labels, buckets()).Observe(seconds(took));
}

void Metrics::countStages(const plugins::Timeline& timeline) {
  const std::string operation = plugins::operationKind(timeline.operation);
  for (const plugins::Stage& stage : timeline.stages) {
    parts_->stageSeconds
        .Add({{"operation", operation}, {"stage", parts_->known(operation, wordsOf(stage.name))}},
             buckets())
        .Observe(seconds(std::chrono::nanoseconds(stage.duration)));
  }
}

void Metrics::addSource(std::function<std::vector<Reading>()> read) {
  parts_->live->add(std::move(read));
}

absl::Status Metrics::serve(const std::string& address) {
  try {
    parts_->exposer = std::make_unique<prometheus::Exposer>(
        std::vector<std::string>{"listening_ports", address, "num_threads", kThreads,
                                 "request_timeout_ms", kSilenceMilliseconds});
  } catch (const std::exception& error) {
    return absl::UnavailableError(strCat("serve metrics on ", address, ": ", error.what()));
  }
  parts_->exposer->RegisterCollectable(parts_->registry);
  parts_->exposer->RegisterCollectable(parts_->live);
  return absl::OkStatus();
}

void Metrics::stop() {
  parts_->exposer.reset();
}

}  // namespace berth::telemetry
