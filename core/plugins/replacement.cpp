// A plugin replaced while it runs, or tried again when it could not start.
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
  // Of whatever serves, or only of what is left out.
  enum class Aim { kReplace, kServeAgain };

  Attempt(const Operation& op, Wanted what, Aim aimed)
      : wanted(std::move(what)), aim(aimed), inner(op.name(), op.deadline()) {
    wanted.nameOrigin();
  }

  Wanted wanted;
  const Aim aim;
  Operation inner;  // of the calls that take one
  // With the registry's mutex:
  std::condition_variable changed;
  std::optional<absl::StatusOr<Replacement>> result;
  bool abandoned = false;  // nobody waits for it any more
};

namespace {

// A cancelled operation wakes nobody.
constexpr auto kLookAgain = std::chrono::milliseconds(20);

// What the one before was told since its start and the new one was not; empty: nothing.
std::string untoldRange(const std::shared_ptr<Form>& before, const Form& after) {
  if (before == nullptr || !before->network.has_value()) return {};
  const std::string range = before->network->podCidr();
  return range == after.network->podCidr() ? std::string() : range;
}

// Of an operation that has ended before the plugin came back.
absl::Status notInTime(const Operation& op, const Wanted& wanted, const std::string& stage,
                       const std::shared_ptr<Form>& serving) {
  return absl::Status(op.check().code(),
                      strCat(wanted.origin.table, ": plugin ", wanted.plugin,
                             " has not returned in time (", stage, "); ",
                             serving == nullptr ? "it stays out of service"
                                                : "the one before it goes on to serve"));
}

}  // namespace

absl::StatusOr<std::shared_ptr<Form>> Registry::makeToReplace(Attempt& attempt) const {
  attempt.inner.setStage("load and configure the new form");
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Form> form, make(attempt.wanted));
  attempt.inner.setStage("start the new form");
  BERTH_RETURN_IF_ERROR(form->instance->start());
  const absl::Status learnt = form->instance->located("start", form->learn());
  if (learnt.ok()) return form;
  // Not in the background: the next one would be tried beside it, however many do not stop.
  attempt.inner.setStage("stop the new form");
  form->instance->stop();
  return learnt;
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
    const std::string range = untoldRange(slot.serving, **made);
    if (range.empty()) break;
    lock.unlock();
    attempt.inner.setStage("tell the new form the pods' address range");
    const absl::Status told = (*made)->network->setPodCidr(attempt.inner, range);
    if (!told.ok()) made = (*made)->instance->located("set_pod_cidr", told);
    lock.lock();
  }
  if (made.ok()) ++slot.forms;
  if (!made.ok()) {
    attempt.result = made.status();
  } else if (attempt.abandoned || stopping_) {
    attempt.result = absl::UnavailableError("the daemon is ending");
    last = *std::move(made);
  } else {
    last = std::exchange(slot.serving, *std::move(made));
    attempt.result = Replacement{shareInstance(last), shareInstance(slot.serving)};
  }
  if (last != nullptr) slot.replaced.push_back({last, last->life});
  attempt.changed.notify_all();
  slot.attempt = nullptr;
}

Registry::Slot* Registry::find(Kind kind, const std::string& name) const {
  const auto found = std::find_if(slots_.begin(), slots_.end(), [&](const auto& slot) {
    return slot->wanted.kind == kind && slot->wanted.name == name;
  });
  return found == slots_.end() ? nullptr : found->get();
}

// The slot, with nobody else's attempt under way.
absl::StatusOr<Registry::Slot*> Registry::claim(const Operation& op,
                                                const std::shared_ptr<Attempt>& attempt) {
  Wanted& wanted = attempt->wanted;
  const std::string& table = wanted.origin.table;
  if (wanted.kind == Kind::kSnapshotter)
    return absl::FailedPreconditionError(
        strCat(table, ": a snapshotter is not replaced while it runs, since two would work in one ",
               "place: a restart of the daemon, through which pods go on, takes up the new one"));
  std::unique_lock lock(mutex_);
  Slot* const slot = find(wanted.kind, wanted.name);
  if (slot == nullptr)
    return absl::NotFoundError(
        strCat("the daemon runs without ", table, ": a restart of it takes that up"));
  // What is left out is tried now and then: who wants something of it cannot know when.
  while (slot->serving == nullptr && slot->attempt != nullptr && !stopping_) {
    const auto other = slot->attempt;
    if (op.cancelled()) return notInTime(op, other->wanted, other->inner.stage(), slot->serving);
    other->changed.wait_for(lock, kLookAgain);
  }
  if (stopping_) return absl::UnavailableError("the daemon is ending");
  if (attempt->aim == Attempt::Aim::kServeAgain && slot->serving != nullptr)
    return absl::AlreadyExistsError(strCat(table, " serves"));
  if (slot->attempt != nullptr)
    return absl::AbortedError(strCat(table, ": another replacement of it is under way"));
  std::erase_if(slot->replaced, [](const Replaced& old) { return old.life.expired(); });
  if (slot->replaced.size() + 1 >= kMostForms)
    return absl::ResourceExhaustedError(
        strCat(table, ": no more than ", kMostForms, " instances of it are kept at once; ",
               "after a restart of the daemon, through which pods go on, there is one"));
  slot->attempt = attempt;
  wanted.isolation.place = slot->forms;
  return slot;
}

absl::StatusOr<Registry::Replacement> Registry::carryOut(const Operation& op,
                                                         const std::shared_ptr<Attempt>& attempt) {
  BERTH_ASSIGN_OR_RETURN(Slot* const slot, claim(op, attempt));
  const bool isReplacement = attempt->aim == Attempt::Aim::kReplace;
  // What is thrown must not leave the slot claimed.
  const absl::Status begun = support::returnThrown([&] {
    return background_->run(
        strCat(attempt->wanted.origin.table, isReplacement ? " to be replaced" : " to serve again"),
        [this, attempt, slot] { this->attempt(*attempt, *slot); });
  });
  std::unique_lock lock(mutex_);
  if (!begun.ok()) {
    slot->attempt = nullptr;
    return begun;
  }
  while (!attempt->result.has_value() && !op.cancelled())
    attempt->changed.wait_for(lock, kLookAgain);
  if (attempt->result.has_value()) return *std::move(attempt->result);
  attempt->abandoned = true;
  attempt->inner.cancel();
  return notInTime(op, attempt->wanted, attempt->inner.stage(), slot->serving);
}

absl::StatusOr<Registry::Replacement> Registry::replace(const Operation& op, Wanted wanted) {
  return carryOut(op, std::make_shared<Attempt>(op, std::move(wanted), Attempt::Aim::kReplace));
}

absl::Status Registry::tryAgain(const Operation& op, Kind kind, const std::string& name) {
  std::unique_lock lock(mutex_);
  Slot* const slot = find(kind, name);
  if (slot == nullptr)
    return absl::NotFoundError(strCat("there is no ", kindName(kind), " \"", name, "\""));
  Wanted wanted = slot->wanted;
  lock.unlock();
  absl::Status status =
      carryOut(op, std::make_shared<Attempt>(op, std::move(wanted), Attempt::Aim::kServeAgain))
          .status();
  lock.lock();
  if (!status.ok() && slot->serving == nullptr) slot->why = status;
  return status;
}

}  // namespace berth::plugins
