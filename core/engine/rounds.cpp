#include "engine/rounds.hpp"

#include <algorithm>
#include <condition_variable>
#include <list>

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"

namespace berth::engine {

using Clock = plugins::Operation::Clock;

struct Rounds::Round {
  // Somebody who is being asked.
  struct Asked {
    size_t index = 0;
    Clock::time_point begun;
    std::shared_ptr<plugins::Operation> op;  // of its thread
    bool left = false;
  };

  std::string purpose;
  Clock::time_point deadline;
  std::vector<std::string> names;
  Question question;
  Fail fail;

  std::mutex mutex;  // all that follow
  std::condition_variable changed;
  size_t next = 0;
  size_t coming = 0;  // threads that have not asked anybody yet
  std::list<Asked> asked;
  bool closed = false;

  bool allAsked() const { return next == names.size(); }
  // Whether somebody waits, and nobody who is asked has begun since.
  bool isHeldUp(Clock::time_point since) const {
    return !allAsked() && coming == 0 &&
           std::none_of(asked.begin(), asked.end(),
                        [&](const Asked& one) { return !one.left && one.begun > since; });
  }
  bool isOver() const {
    return allAsked() && coming == 0 &&
           std::all_of(asked.begin(), asked.end(), [](const Asked& one) { return one.left; });
  }
};

absl::Status Rounds::noAnswer(const std::string& name) {
  return absl::DeadlineExceededError(support::strCat(name, " has not answered in time"));
}

void Rounds::run(const plugins::Operation& op, std::vector<std::string> names, Question question,
                 Fail fail, const Times& times) {
  if (names.empty()) return;
  const auto round = std::make_shared<Round>();
  round->purpose = "ask for " + op.name();
  round->deadline = op.deadline();
  round->names = std::move(names);
  round->question = std::move(question);
  round->fail = std::move(fail);

  std::unique_lock lock(round->mutex);
  absl::Status status = addThread(round);
  while (status.ok() && !round->isOver()) {
    round->changed.wait_for(lock, times.prompt);
    status = op.check();
    leaveLate(*round, Clock::now() - times.patience);
    if (status.ok() && round->isHeldUp(Clock::now() - times.prompt)) {
      // Without a thread for it the others wait.
      (void)addThread(round);
    }
  }
  leaveLate(*round, Clock::time_point::max());
  for (; !round->allAsked(); ++round->next) round->fail(round->next, status);
  round->closed = true;
}

absl::Status Rounds::addThread(const std::shared_ptr<Round>& round) {
  const absl::Status posted = workers_.post([this, round] { work(round); });
  if (posted.ok()) ++round->coming;
  return posted;
}

void Rounds::work(const std::shared_ptr<Round>& round) {
  std::unique_lock lock(round->mutex);
  --round->coming;
  const auto op = std::make_shared<plugins::Operation>(round->purpose, round->deadline);
  while (!round->closed && !round->allAsked()) {
    const size_t index = round->next++;
    const std::string& name = round->names[index];
    if (isLeft(name)) continue;
    const auto asked = round->asked.insert(
        round->asked.end(), {.index = index, .begun = Clock::now(), .op = op, .left = false});
    lock.unlock();
    Take take;
    const absl::Status thrown = support::returnThrown([&] {
      op->setStage(support::strCat("ask ", name));
      take = round->question(index, *op);
      return absl::OkStatus();
    });
    lock.lock();
    const bool left = asked->left;
    round->asked.erase(asked);
    if (left) {
      comeBack(name);
      return;
    }
    if (thrown.ok()) {
      take();
    } else {
      round->fail(index, thrown);
    }
  }
  round->changed.notify_all();
}

void Rounds::leaveLate(Round& round, Clock::time_point begunBefore) {
  for (Round::Asked& one : round.asked) {
    if (one.left || one.begun > begunBefore) continue;
    one.left = true;
    one.op->cancel();
    const std::lock_guard lock(mutex_);
    left_.emplace(round.names[one.index], one.begun);
  }
}

bool Rounds::isLeft(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return left_.contains(name);
}

std::optional<Clock::time_point> Rounds::leftSince(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  // Of one name the earliest is the first: it was left out first.
  const auto found = left_.find(name);
  if (found == left_.end()) return std::nullopt;
  return found->second;
}

void Rounds::comeBack(const std::string& name) {
  const std::lock_guard lock(mutex_);
  left_.erase(left_.find(name));
}

}  // namespace berth::engine
