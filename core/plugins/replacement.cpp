// A plugin replaced while it runs.
#include <algorithm>
#include <condition_variable>
#include <optional>

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "plugins/registry.hpp"

namespace berth::plugins {

using support::strCat;

// Belongs to whoever asked and to the thread that makes the new form, which may be the last.
struct Registry::Attempt {
  Attempt(const Operation& op, Wanted what)
      : wanted(std::move(what)), inner(op.name(), op.deadline()) {}

  Wanted wanted;
  Operation inner;  // of the calls that take one
  // With the registry's mutex:
  std::condition_variable changed;
  std::optional<absl::StatusOr<Replacement>> result;
  bool abandoned = false;  // nobody waits for it any more
};

namespace {

// What the one before was told since its start and the new one was not; empty: nothing.
std::string untoldRange(const Form& before, const Form& after) {
  if (!before.network.has_value()) return {};
  const std::string range = before.network->podCidr();
  return range == after.network->podCidr() ? std::string() : range;
}

}  // namespace

absl::StatusOr<std::shared_ptr<Form>> Registry::makeToReplace(Attempt& attempt) const {
  attempt.inner.setStage("load and configure the new form");
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Form> form, make(attempt.wanted));
  attempt.inner.setStage("start the new form");
  BERTH_RETURN_IF_ERROR(form->instance->start());
  BERTH_RETURN_IF_ERROR(form->instance->located("start", form->learn()));
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
  std::shared_ptr<Form> last;  // let go of without the lock
  std::unique_lock lock(mutex_);
  // The one that serves may be told another range while this one is told the last.
  while (made.ok()) {
    const std::string range = untoldRange(*slot.serving, **made);
    if (range.empty()) break;
    lock.unlock();
    attempt.inner.setStage("tell the new form the pods' address range");
    const absl::Status told = (*made)->network->setPodCidr(attempt.inner, range);
    if (!told.ok()) made = (*made)->instance->located("set_pod_cidr", told);
    lock.lock();
  }
  slot.replacing = false;
  if (!made.ok()) {
    attempt.result = made.status();
  } else if (attempt.abandoned || stopping_) {
    attempt.result = absl::UnavailableError("the daemon is ending");
    last = *std::move(made);
  } else {
    last = std::exchange(slot.serving, *std::move(made));
    attempt.result = Replacement{shareInstance(last), shareInstance(slot.serving)};
  }
  if (last != nullptr) {
    ++slot.forms;
    slot.replaced.push_back({last, last->life});
  }
  attempt.changed.notify_all();
}

// The slot, which nobody else replaces then.
absl::StatusOr<Registry::Slot*> Registry::claim(Wanted& wanted) {
  const std::string& table = wanted.origin.table;
  if (wanted.kind == Kind::kSnapshotter)
    return absl::FailedPreconditionError(
        strCat(table, ": a snapshotter is not replaced while it runs, since two would work in one ",
               "place: a restart of the daemon, through which pods go on, takes up the new one"));
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(slots_.begin(), slots_.end(), [&](const auto& slot) {
    const Instance& serving = *slot->serving->instance;
    return serving.kind() == wanted.kind && serving.name() == wanted.name;
  });
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
  return &slot;
}

absl::StatusOr<Registry::Replacement> Registry::replace(const Operation& op, Wanted wanted) {
  wanted.nameOrigin();
  const auto attempt = std::make_shared<Attempt>(op, std::move(wanted));
  BERTH_ASSIGN_OR_RETURN(Slot* const slot, claim(attempt->wanted));
  const std::string& table = attempt->wanted.origin.table;
  const absl::Status begun = background_->run(
      strCat(table, " to be replaced"), [this, attempt, slot] { this->attempt(*attempt, *slot); });
  std::unique_lock lock(mutex_);
  if (!begun.ok()) {
    slot->replacing = false;
    return begun;
  }
  // A cancelled operation wakes nobody.
  constexpr auto kLookAgain = std::chrono::milliseconds(20);
  while (!attempt->result.has_value() && !op.cancelled())
    attempt->changed.wait_for(lock, kLookAgain);
  if (attempt->result.has_value()) return *std::move(attempt->result);
  attempt->abandoned = true;
  attempt->inner.cancel();
  const absl::Status ended = op.check();
  return absl::Status(ended.code(), strCat(table, ": plugin ", attempt->wanted.plugin,
                                           " has not returned in time (", attempt->inner.stage(),
                                           "); the one before it goes on to serve"));
}

}  // namespace berth::plugins
