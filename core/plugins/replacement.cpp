// A plugin replaced while it runs.
#include <algorithm>

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "plugins/registry.hpp"

namespace berth::plugins {

using support::annotate;
using support::strCat;

// Belongs to whoever asked and to the thread that makes the new form, which may be the last.
struct Registry::Attempt {
  Attempt(const Operation& op, Wanted what)
      : wanted(std::move(what)), inner(op.name(), op.deadline()) {}

  Wanted wanted;
  std::shared_ptr<Network> network;  // that is to be replaced
  Operation inner;                   // of the calls that take one
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  bool abandoned = false;  // nobody waits for it any more
  absl::StatusOr<Replacement> result = absl::UnknownError("");
};

namespace {

// What the one before was told since its start.
absl::Status tellPodCidr(const Operation& op, const Network* before, Network* after) {
  if (before == nullptr || before->podCidr() == after->podCidr()) return absl::OkStatus();
  return annotate(after->setPodCidr(op, before->podCidr()), "set the pods' address range");
}

absl::Status startBeside(Instance& instance) {
  const absl::Status started = instance.start();
  if (!absl::IsFailedPrecondition(started)) return started;
  return absl::FailedPreconditionError(
      strCat(support::fromAbsl(started.message()),
             "; what cannot be started beside the one that it replaces is replaced by a restart of "
             "the daemon, through which pods go on"));
}

}  // namespace

absl::StatusOr<std::shared_ptr<Form>> Registry::makeToReplace(Attempt& attempt) {
  Operation& inner = attempt.inner;
  inner.setStage("load and configure the new form");
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Form> form, make(attempt.wanted, Reading::kAnew));
  inner.setStage("start the new form");
  BERTH_RETURN_IF_ERROR(startBeside(*form->instance));
  const auto prepare = [&]() -> absl::Status {
    BERTH_RETURN_IF_ERROR(form->learn());
    if (!form->network.has_value()) return absl::OkStatus();
    return tellPodCidr(inner, attempt.network.get(), &*form->network);
  };
  BERTH_RETURN_IF_ERROR(locate(attempt.wanted.origin, "start", prepare(),
                               strCat(" (plugin ", form->instance->library().name(), ", ",
                                      form->instance->library().path(), ")")));
  return form;
}

// On a thread of its own.
void Registry::attempt(Attempt& attempt, Slot& slot) {
  absl::StatusOr<std::shared_ptr<Form>> made = absl::UnknownError("");
  const absl::Status thrown = support::returnThrown([&] {
    made = makeToReplace(attempt);
    return absl::OkStatus();
  });
  if (!thrown.ok()) made = thrown;
  attempt.network = nullptr;
  std::shared_ptr<Form> last;  // let go of without a lock
  const std::scoped_lock lock(attempt.mutex, mutex_);
  slot.replacing = false;
  attempt.done = true;
  attempt.changed.notify_all();
  if (attempt.abandoned) return;
  if (!made.ok() || stopping_) {
    attempt.result = made.ok() ? absl::UnavailableError("the daemon is ending") : made.status();
    return;
  }
  last = std::exchange(slot.serving, *std::move(made));
  slot.replaced.push_back({last, last->life});
  ++slot.forms;
  attempt.result = Replacement{shareInstance(last), shareInstance(slot.serving)};
}

// The slot, which nobody else replaces then.
absl::StatusOr<Registry::Slot*> Registry::claim(Attempt& attempt) {
  Wanted& wanted = attempt.wanted;
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(slots_.begin(), slots_.end(), [&](const auto& slot) {
    const Instance& serving = *slot->serving->instance;
    return serving.kind() == wanted.kind && serving.name() == wanted.name;
  });
  const std::string& table = wanted.origin.table;
  if (found == slots_.end())
    return absl::NotFoundError(
        strCat("the daemon runs without ", table, ": a restart of it takes that up"));
  Slot& slot = **found;
  if (stopping_) return absl::UnavailableError("the daemon is ending");
  if (slot.replacing)
    return absl::AbortedError(strCat(table, ": another replacement of it is under way"));
  std::erase_if(slot.replaced, [](const Replaced& old) { return old.life.expired(); });
  if (slot.replaced.size() + 1 >= kMostForms)
    return absl::ResourceExhaustedError(
        strCat(table, ": no more than ", kMostForms, " instances of it are kept at once; ",
               "after a restart of the daemon, through which pods go on, there is one"));
  slot.replacing = true;
  wanted.isolation.place = slot.forms;
  attempt.network = share(slot.serving, &Form::network);
  return &slot;
}

absl::StatusOr<Registry::Replacement> Registry::replace(const Operation& op, Wanted wanted) {
  wanted.nameOrigin();
  const auto attempt = std::make_shared<Attempt>(op, std::move(wanted));
  BERTH_ASSIGN_OR_RETURN(Slot* const slot, claim(*attempt));
  const std::string& table = attempt->wanted.origin.table;
  const absl::Status begun = background_->run(
      strCat(table, " to be replaced"), [this, attempt, slot] { this->attempt(*attempt, *slot); });
  if (!begun.ok()) {
    const std::lock_guard lock(mutex_);
    slot->replacing = false;
    return begun;
  }
  // A cancelled operation wakes nobody.
  constexpr auto kLookAgain = std::chrono::milliseconds(20);
  std::unique_lock lock(attempt->mutex);
  while (!attempt->done && !op.cancelled()) attempt->changed.wait_for(lock, kLookAgain);
  if (attempt->done) return std::move(attempt->result);
  attempt->abandoned = true;
  attempt->inner.cancel();
  const absl::Status ended = op.check();
  return absl::Status(ended.code(), strCat(table, ": plugin ", attempt->wanted.plugin,
                                           " has not returned in time (", attempt->inner.stage(),
                                           "); the one before it goes on to serve"));
}

}  // namespace berth::plugins
