// How far a pull is, for people: a bar on a terminal, lines elsewhere.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "images/pull_progress.hpp"

namespace berth::program {

using ProgressFigures = images::PullProgress::Figures;

// One line of at most `columns`: "[####    ] 12.3 of 45.6 MiB, 2 of 7 layers".
std::string progressBar(const ProgressFigures& figures, size_t columns);

// One thread at a time.
class ProgressDisplay {
 public:
  // `fd` stays the caller's.
  explicit ProgressDisplay(int fd);
  ~ProgressDisplay() { clear(); }
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  // On a terminal at once, elsewhere a line every few seconds, and one when all is there.
  void show(const ProgressFigures& figures);
  // Takes the bar away, so that lines can be written.
  void clear();

 private:
  const int fd_;
  const bool terminal_;
  bool shown_ = false;
  std::optional<std::chrono::steady_clock::time_point> last_;
};

}  // namespace berth::program
