#include "telemetry/telemetry.hpp"

#include <optional>
#include <string>
#include <string_view>
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

struct Span {
  common::TraceContext context;
  std::string_view parent;  // the span's that it belongs to; empty: nobody's
  std::string_view name;
  std::string_view about;
  int64_t begin = 0;     // CLOCK_REALTIME, nanoseconds
  int64_t duration = 0;  // nanoseconds
  std::string_view error;
};

void logSpan(const Span& span) {
  const std::string begin = support::formatRfc3339Nano(span.begin);
  const std::string took = milliseconds(span.duration);
  common::logDebug("span", {{"trace_id", span.context.trace},
                            {"span_id", span.context.span},
                            {"parent_span_id", span.parent},
                            {"name", span.name},
                            {"about", span.about},
                            {"begin", begin},
                            {"ms", took},
                            {"error", span.error}});
}

// One of each of its stages, and then that of the operation.
void logSpans(const plugins::Timeline& timeline) {
  if (!common::isLogged(common::LogLevel::kDebug)) return;
  const std::string about = joined(timeline.subjects);
  const common::TraceContext whole = common::newSpan(timeline.caller);
  for (const plugins::Stage& stage : timeline.stages)
    logSpan({.context = common::newSpan(whole),
             .parent = whole.span,
             .name = stage.name,
             .about = about,
             .begin = timeline.begin + stage.begin,
             .duration = stage.duration,
             .error = {}});
  logSpan({.context = whole,
           .parent = timeline.caller ? timeline.caller->span : std::string_view(),
           .name = timeline.operation,
           .about = about,
           .begin = timeline.begin,
           .duration = timeline.duration,
           .error = timeline.error});
}

}  // namespace

void Telemetry::onOperation(plugins::Timeline timeline) {
  logSpans(timeline);
  timeline.caller.reset();  // nobody asks for it later
  if (metrics_ != nullptr) metrics_->countStages(timeline);
  timelines_.add(std::move(timeline));
}

void Telemetry::onCall(const plugins::Instance& instance, bool failed,
                       std::chrono::nanoseconds took) {
  if (metrics_ == nullptr) return;
  metrics_->countPluginCall(plugins::kindName(instance.kind()), instance.name(), failed, took);
}

}  // namespace berth::telemetry
