#include "telemetry/telemetry.hpp"

#include <string>
#include <utility>

#include "berth/support/clock.hpp"
#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "plugins/instance.hpp"
#include "plugins/interfaces.hpp"

namespace berth::telemetry {

namespace {

using support::strCat;

std::string milliseconds(int64_t nanoseconds) {
  const int64_t microseconds = nanoseconds / 1000;
  std::string fraction = std::to_string(microseconds % 1000);
  fraction.insert(0, 3 - fraction.size(), '0');
  return strCat(microseconds / 1000, ".", fraction);
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += strCat(text.empty() ? "" : " ", word);
  return text;
}

void logSpan(const plugins::Timeline& timeline) {
  if (!common::isLogged(common::LogLevel::kDebug)) return;
  std::string stages;
  for (const plugins::Stage& stage : timeline.stages)
    stages += strCat(stages.empty() ? "" : "; ", stage.name, " ", milliseconds(stage.duration));
  const std::string begin = support::formatRfc3339Nano(timeline.begin);
  const std::string took = milliseconds(timeline.duration);
  const std::string about = joined(timeline.subjects);
  common::logDebug("span", {{"operation", timeline.operation},
                            {"about", about},
                            {"begin", begin},
                            {"ms", took},
                            {"stages", stages},
                            {"error", timeline.error}});
}

}  // namespace

void Telemetry::onOperation(plugins::Timeline timeline) {
  logSpan(timeline);
  if (metrics_ != nullptr) metrics_->countStages(timeline);
  timelines_.add(std::move(timeline));
}

void Telemetry::onCall(const plugins::Instance& instance, bool failed,
                       std::chrono::nanoseconds took) {
  if (metrics_ == nullptr) return;
  metrics_->countPluginCall(plugins::kindName(instance.kind()), instance.name(), failed, took);
}

}  // namespace berth::telemetry
