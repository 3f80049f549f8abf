// Questions to many, of whom some may not answer.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "common/workers.hpp"
#include "plugins/operation.hpp"

namespace berth::engine {

// Asks one after the other on one thread, as long as each answers promptly; beside one that does
// not, a further thread asks the others. Who does not answer in its time is left out, is told to
// end, and is not asked again before it has come back. Thread-safe; `workers` must be finished
// before it goes.
class Rounds {
 public:
  struct Times {
    std::chrono::milliseconds prompt{100};     // how long the next one waits
    std::chrono::milliseconds patience{2000};  // how long each may take
  };

  explicit Rounds(common::Workers& workers) : workers_(workers) {}

  // What `question` says for each of `names`, by its index. DEADLINE_EXCEEDED: no answer in time;
  // CANCELLED or DEADLINE_EXCEEDED for all that are still to come when `op` ends; INTERNAL: what
  // was thrown. `question` must own what it captures: it may outlive the call.
  template <class Answer>
  std::vector<absl::StatusOr<Answer>> ask(
      const plugins::Operation& op, std::vector<std::string> names,
      std::function<absl::StatusOr<Answer>(size_t, const plugins::Operation&)> question,
      const Times& times) {
    const auto answers = std::make_shared<std::vector<absl::StatusOr<Answer>>>();
    for (const std::string& name : names) answers->push_back(noAnswer(name));
    run(
        op, std::move(names),
        [answers, question = std::move(question)](size_t i, const plugins::Operation& own) {
          const auto answer = std::make_shared<absl::StatusOr<Answer>>(question(i, own));
          return [answers, i, answer] { (*answers)[i] = std::move(*answer); };
        },
        [answers](size_t i, const absl::Status& why) { (*answers)[i] = why; }, times);
    return std::move(*answers);
  }

  // When it was asked what it has not come back from; none: it has, or was never left out.
  std::optional<plugins::Operation::Clock::time_point> leftSince(const std::string& name) const;

 private:
  using Take = std::function<void()>;
  using Question = std::function<Take(size_t, const plugins::Operation&)>;
  using Fail = std::function<void(size_t, const absl::Status&)>;
  struct Round;

  static absl::Status noAnswer(const std::string& name);
  // Neither what a Take does nor `fail` is called any more once it has returned.
  void run(const plugins::Operation& op, std::vector<std::string> names, Question question,
           Fail fail, const Times& times);
  absl::Status addThread(const std::shared_ptr<Round>& round);
  void work(const std::shared_ptr<Round>& round);
  // With the round's mutex held.
  void leaveLate(Round& round, plugins::Operation::Clock::time_point begunBefore);
  bool isLeft(const std::string& name) const;
  void comeBack(const std::string& name);

  common::Workers& workers_;
  mutable std::mutex mutex_;  // taken after a round's
  // Who has not come back, and since when.
  std::multimap<std::string, plugins::Operation::Clock::time_point> left_;
};

}  // namespace berth::engine
