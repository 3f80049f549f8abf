// Timelines in a terminal.
#include <algorithm>
#include <cstdio>

#include "berth/support/clock.hpp"
#include "berth/support/status.hpp"
#include "main/explanation.hpp"

namespace berth::program {

namespace admin = berth::admin::v1;
using support::strCat;

namespace {

constexpr int kBarWidth = 40;

std::string padded(const std::string& text, size_t width) {
  return text.size() >= width ? text : strCat(std::string(width - text.size(), ' '), text);
}

// Where in the operation the stage lies.
std::string bar(const admin::Stage& stage, int64_t whole) {
  const auto place = [&](int64_t time) {
    return whole <= 0 ? 0 : static_cast<int>(std::min(time, whole) * kBarWidth / whole);
  };
  const int begin = std::min(place(stage.begin()), kBarWidth - 1);
  const int end = std::max(place(stage.begin() + stage.duration()), begin + 1);
  std::string text(kBarWidth, ' ');
  std::fill(text.begin() + begin, text.begin() + end, '#');
  return text;
}

}  // namespace

std::string millisecondsText(int64_t nanoseconds) {
  constexpr double kMillisecond = 1e6;
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", static_cast<double>(nanoseconds) / kMillisecond);
  return text;
}

std::string explainAsText(const admin::TimelinesResponse& timelines) {
  std::string text;
  for (const admin::Timeline& timeline : timelines.timelines()) {
    text += strCat(text.empty() ? "" : "\n", timeline.operation(), "\n  ",
                   support::formatRfc3339Nano(timeline.begin()), ", ",
                   millisecondsText(timeline.duration()), " ms\n");
    if (!timeline.error().empty()) text += strCat("  failed: ", timeline.error(), "\n");
    for (const admin::Stage& stage : timeline.stages())
      text += strCat(padded(millisecondsText(stage.duration()), 12), " ms |",
                     bar(stage, timeline.duration()), "| ", stage.name(), "\n");
  }
  return text;
}

}  // namespace berth::program
