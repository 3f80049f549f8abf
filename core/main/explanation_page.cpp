// Timelines as a page: a chart of all operations, and one of each with its stages.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "berth/support/clock.hpp"
#include "berth/support/status.hpp"
#include "main/explanation.hpp"

namespace berth::program {

namespace admin = berth::admin::v1;
using support::strCat;

namespace {

constexpr int kChartWidth = 1000;  // in units of the chart, which fills the page's width
constexpr int kRowHeight = 22;
constexpr int kAxisHeight = 20;
constexpr int kMostTicks = 10;
constexpr int64_t kSecond = 1'000'000'000;
// What begins later after the operation before it is no part of the same story.
constexpr int64_t kLongestGap = 30 * kSecond;

constexpr std::string_view kHead = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Where the time of a pod went</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em;
       color: #1c2733; background: #fff; }
h1 { font-size: 1.5em; } h2 { font-size: 1.1em; margin: 2em 0 .3em; overflow-wrap: anywhere; }
p { margin: .3em 0; color: #52606d; overflow-wrap: anywhere; } .error { color: #b00020; }
svg { width: 100%; height: auto; display: block; margin: .6em 0; }
line { stroke: currentColor; opacity: .25; } text { font-size: 12px; fill: currentColor; opacity: .8; }
table { border-collapse: collapse; } td { padding: .1em 1em .1em 0; vertical-align: top; }
td.ms { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
i { display: inline-block; width: .8em; height: .8em; border-radius: .15em; }
@media (prefers-color-scheme: dark) {
  body { color: #e4e7eb; background: #14191f; } p { color: #9aa5b1; } .error { color: #ff8a80; }
}
</style>
</head>
<body>
)";

// Apart from each other also for those who see few colours.
constexpr std::string_view kColours[] = {"#3366aa", "#e0a030", "#2a9d8f", "#c8553d",
                                         "#7d5ba6", "#8ab446", "#5bb0d8", "#9c6b4f"};

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string_view colour(size_t number) {
  return kColours[number % std::size(kColours)];
}

// Nanoseconds of `whole` in units of the chart.
double position(int64_t time, int64_t whole) {
  if (whole <= 0) return 0;
  return static_cast<double>(time) / static_cast<double>(whole) * kChartWidth;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string rectangle(double x, double y, double width, std::string_view fill,
                      std::string_view title) {
  return strCat("<rect x=\"", number(x), "\" y=\"", number(y), "\" width=\"",
                number(std::max(width, 1.0)), "\" height=\"", kRowHeight - 4, "\" fill=\"", fill,
                "\"><title>", escaped(title), "</title></rect>\n");
}

// 1, 2 or 5 times a power of ten: so many nanoseconds apart that there are few enough ticks.
int64_t tickDistance(int64_t whole) {
  int64_t distance = 1;
  for (int64_t power = 1; whole / distance > kMostTicks; power *= 10) {
    for (const int64_t factor : {2, 5, 10}) {
      if (whole / distance > kMostTicks) distance = factor * power;
    }
  }
  return distance;
}

// Milliseconds below the chart, and lines through it.
std::string axis(int64_t whole, int height) {
  constexpr double kMillisecond = 1e6;
  constexpr int kRoomForText = 60;
  std::string ticks;
  const int64_t distance = tickDistance(whole);
  for (int64_t time = 0; time <= whole; time += distance) {
    const std::string x = number(position(time, whole));
    const bool last = time + distance > whole;
    char label[32];
    std::snprintf(label, sizeof label, "%.10g%s", static_cast<double>(time) / kMillisecond,
                  last ? " ms" : "");
    const bool atEnd = position(time, whole) > kChartWidth - kRoomForText;
    const std::string_view anchor = time == 0 ? "start" : atEnd ? "end" : "middle";
    ticks +=
        strCat("<line x1=\"", x, "\" y1=\"0\" x2=\"", x, "\" y2=\"", height + 4, "\"/><text x=\"",
               x, "\" y=\"", height + 16, "\" text-anchor=\"", anchor, "\">", label, "</text>\n");
  }
  return ticks;
}

// `rows` of bars over an axis of `whole` nanoseconds.
std::string chart(int rows, int64_t whole, const std::string& bars, std::string_view label) {
  const int height = rows * kRowHeight;
  return strCat("<svg viewBox=\"0 0 ", kChartWidth, " ", height + kAxisHeight,
                "\" role=\"img\" aria-label=\"", escaped(label), "\">\n", axis(whole, height), bars,
                "</svg>\n");
}

int64_t endOf(const admin::Timeline& timeline) {
  return timeline.begin() + timeline.duration();
}

// The operations from the first one on, until there is a long pause.
int countBegin(const admin::TimelinesResponse& timelines) {
  int count = 1;
  int64_t end = endOf(timelines.timelines(0));
  while (count < timelines.timelines_size() &&
         timelines.timelines(count).begin() - end < kLongestGap) {
    end = std::max(end, endOf(timelines.timelines(count)));
    ++count;
  }
  return count;
}

// One row for each of the first `count` operations, on one axis.
std::string overview(const admin::TimelinesResponse& timelines, int count) {
  const int64_t begin = timelines.timelines(0).begin();
  int64_t end = begin;
  for (int index = 0; index < count; ++index)
    end = std::max(end, endOf(timelines.timelines(index)));
  std::string rows;
  for (int index = 0; index < count; ++index) {
    const admin::Timeline& one = timelines.timelines(index);
    rows += rectangle(position(one.begin() - begin, end - begin), index * kRowHeight,
                      position(one.duration(), end - begin), colour(static_cast<size_t>(index)),
                      strCat(one.operation(), ": ", millisecondsText(one.duration()), " ms"));
  }
  std::string text =
      strCat("<h2>The first ", count, " operations: ", millisecondsText(end - begin), " ms</h2>\n");
  text += "<p>Between them it was the client's turn.</p>\n";
  text += chart(count, end - begin, rows, "operations over time");
  text += "<table>\n";
  for (int index = 0; index < count; ++index) {
    const admin::Timeline& one = timelines.timelines(index);
    text += strCat("<tr><td><i style=\"background:", colour(static_cast<size_t>(index)),
                   "\"></i></td><td class=\"ms\">", millisecondsText(one.begin() - begin),
                   "</td><td class=\"ms\">", millisecondsText(one.duration()), " ms</td><td>",
                   escaped(one.operation()), "</td></tr>\n");
  }
  return text + "</table>\n";
}

std::string operation(const admin::Timeline& timeline) {
  std::string text = strCat("<h2>", escaped(timeline.operation()), "</h2>\n<p>",
                            support::formatRfc3339Nano(timeline.begin()), ", ",
                            millisecondsText(timeline.duration()), " ms</p>\n");
  if (!timeline.error().empty())
    text += strCat("<p class=\"error\">", escaped(timeline.error()), "</p>\n");
  std::string bars;
  std::string rows;
  size_t index = 0;
  for (const admin::Stage& stage : timeline.stages()) {
    const std::string took = strCat(millisecondsText(stage.duration()), " ms");
    bars += rectangle(position(stage.begin(), timeline.duration()), 0,
                      position(stage.duration(), timeline.duration()), colour(index),
                      strCat(stage.name(), ": ", took));
    rows += strCat("<tr><td><i style=\"background:", colour(index), "\"></i></td><td class=\"ms\">",
                   took, "</td><td>", escaped(stage.name()), "</td></tr>\n");
    ++index;
  }
  return strCat(text, chart(1, timeline.duration(), bars, "stages over time"), "<table>\n", rows,
                "</table>\n");
}

}  // namespace

std::string explainAsPage(const admin::TimelinesResponse& timelines) {
  std::string page(kHead);
  page += "<h1>Where the time of a pod went</h1>\n";
  if (timelines.timelines_size() > 0) {
    const admin::Timeline& first = timelines.timelines(0);
    if (first.subjects_size() > 0) page += strCat("<p>Pod ", escaped(first.subjects(0)), "</p>\n");
    page += overview(timelines, countBegin(timelines));
  }
  for (const admin::Timeline& timeline : timelines.timelines()) page += operation(timeline);
  return page + "</body>\n</html>\n";
}

}  // namespace berth::program
