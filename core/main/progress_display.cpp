#include "main/progress_display.hpp"

#include <algorithm>
#include <sys/ioctl.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::program {

using support::strCat;

namespace {

constexpr std::chrono::seconds kBetweenLines{3};
constexpr size_t kUsualColumns = 80;
constexpr size_t kNarrowestBar = 10;
constexpr size_t kWidestBar = 50;
// Back to the beginning of the line, and nothing behind what is written (ECMA-48, EL).
constexpr std::string_view kBack = "\r";
constexpr std::string_view kClear = "\r\x1b[K";

size_t columnsOf(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUsualColumns;
  return size.ws_col;
}

}  // namespace

std::string progressBar(const ProgressFigures& figures, size_t columns) {
  const std::string text = textOf(figures);
  constexpr size_t kFrame = 3;  // brackets and a blank
  // The last column stays free: some terminals go on to the next line when it is written to.
  if (columns <= text.size() + kFrame + kNarrowestBar) return text.substr(0, columns - 1);
  const size_t width = std::min(columns - text.size() - kFrame - 1, kWidestBar);
  const double part = figures.totalBytes == 0 ? 0
                                              : static_cast<double>(figures.bytes) /
                                                    static_cast<double>(figures.totalBytes);
  const size_t full = std::min(width, static_cast<size_t>(part * static_cast<double>(width)));
  return strCat("[", std::string(full, '#'), std::string(width - full, ' '), "] ", text);
}

ProgressDisplay::ProgressDisplay(int fd) : fd_(fd), terminal_(::isatty(fd) == 1) {}

void ProgressDisplay::show(const ProgressFigures& figures) {
  if (terminal_) {
    support::writeAll(fd_, strCat(kClear, progressBar(figures, columnsOf(fd_)), kBack))
        .IgnoreError();
    shown_ = true;
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  const bool complete =
      figures.layers == figures.totalLayers && figures.bytes == figures.totalBytes;
  if (last_ && !complete && now - *last_ < kBetweenLines) return;
  last_ = now;
  support::writeAll(fd_, strCat(textOf(figures), "\n")).IgnoreError();
}

void ProgressDisplay::clear() {
  if (!shown_) return;
  support::writeAll(fd_, kClear).IgnoreError();
  shown_ = false;
}

}  // namespace berth::program
