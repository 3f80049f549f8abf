// A plugin replaced while it runs.
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
  std::shared_ptr<Network> network;  // that is to be replaced
  Operation inner;                   // of the calls that take one
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  bool abandoned = false;  // nobody waits for it any more
  absl::StatusOr<Replacement> result = absl::UnknownError("");
  Form last;  // that was replaced
};

namespace {

// What the one before was told since its start.
absl::Status tellPodCidr(const Operation& op, const Network* before, Network* after) {
  if (before == nullptr || before->podCidr() == after->podCidr()) return absl::OkStatus();
  return support::annotate(after->setPodCidr(op, before->podCidr()), "set the pods' address range");
}

}  // namespace

absl::StatusOr<Form> Registry::makeToReplace(Attempt& attempt) {
  Operation& inner = attempt.inner;
  inner.setStage("load and configure the new form");
  BERTH_ASSIGN_OR_RETURN(Form form, make(attempt.wanted, Reading::kAnew));
  inner.setStage("start the new form");
  BERTH_RETURN_IF_ERROR(form.instance->start());
  const auto prepare = [&]() -> absl::Status {
    BERTH_RETURN_IF_ERROR(form.learn());
    return tellPodCidr(inner, attempt.network.get(), form.network.get());
  };
  BERTH_RETURN_IF_ERROR(locate(attempt.wanted.origin, "start", prepare(),
                               strCat(" (plugin ", form.instance->library().name(), ", ",
                                      form.instance->library().path(), ")")));
  return form;
}

// On a thread of its own.
void Registry::attempt(Attempt& attempt, Slot& slot) {
  absl::StatusOr<Form> made = absl::UnknownError("");
  const absl::Status thrown = support::returnThrown([&] {
    made = makeToReplace(attempt);
    return absl::OkStatus();
  });
  if (!thrown.ok()) made = thrown;
  attempt.network = nullptr;
  const std::scoped_lock lock(attempt.mutex, mutex_);
  slot.replacing = false;
  attempt.done = true;
  attempt.changed.notify_all();
  if (attempt.abandoned) return;
  if (!made.ok() || stopping_) {
    attempt.result = made.ok() ? absl::UnavailableError("the daemon is ending") : made.status();
    return;
  }
  attempt.last = std::exchange(slot.serving, *std::move(made));
  slot.replaced.push_back({attempt.last.instance, attempt.last.life});
  ++slot.forms;
  attempt.result = Replacement{attempt.last.instance, slot.serving.instance};
}

absl::StatusOr<Registry::Replacement> Registry::replace(const Operation& op, const Wanted& wanted) {
  const auto attempt = std::make_shared<Attempt>(op, wanted);
  std::string& table = attempt->wanted.origin.table;
  if (table.empty()) table = strCat(kindName(wanted.kind), " \"", wanted.name, "\"");
  Slot* slot = nullptr;
  {
    const std::lock_guard lock(mutex_);
    slot = find(wanted.kind, wanted.name);
    if (slot == nullptr)
      return absl::NotFoundError(strCat("no ", kindName(wanted.kind), " \"", wanted.name,
                                        "\" runs, so that nothing is to be replaced"));
    if (stopping_) return absl::UnavailableError("the daemon is ending");
    if (slot->replacing)
      return absl::AbortedError(
          strCat(table, ": another replacement of this plugin is under way (see: berth ops)"));
    std::erase_if(slot->replaced, [](const Replaced& old) { return old.life.expired(); });
    if (slot->replaced.size() + 1 >= kMostForms)
      return absl::ResourceExhaustedError(
          strCat(table, ": no more than ", kMostForms, " instances are kept at once"));
    slot->replacing = true;
    attempt->wanted.isolation.place = slot->forms;
    attempt->network = slot->serving.network;
  }
  const absl::Status begun =
      background_->run([this, attempt, slot] { this->attempt(*attempt, *slot); });
  if (!begun.ok()) {
    const std::lock_guard lock(mutex_);
    slot->replacing = false;
    return begun;
  }
  // A cancelled operation wakes nobody.
  constexpr auto kLookAgain = std::chrono::milliseconds(20);
  Form last;  // let go of without a lock
  std::unique_lock lock(attempt->mutex);
  while (!attempt->done && !op.cancelled()) attempt->changed.wait_for(lock, kLookAgain);
  if (attempt->done) {
    last = std::move(attempt->last);
    return std::move(attempt->result);
  }
  attempt->abandoned = true;
  attempt->inner.cancel();
  const absl::Status ended = op.check();
  return absl::Status(ended.code(),
                      strCat(table, ": plugin ", wanted.plugin, " has not returned in time (",
                             attempt->inner.stage(), "); the one before it goes on to serve"));
}

}  // namespace berth::plugins
