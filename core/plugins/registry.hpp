// All plugin instances the configuration names.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/json/object.hpp>

#include "plugins/form.hpp"
#include "plugins/host_table.hpp"
#include "plugins/instance.hpp"
#include "plugins/isolated_library.hpp"
#include "plugins/operation.hpp"

namespace berth::plugins {

// What the configuration asks for: one instance.
struct Wanted {
  Kind kind = Kind::kRuntime;
  std::string name;    // of the instance
  std::string plugin;  // name or path of the file
  boost::json::object options;
  Origin origin;  // where that stands
  Isolation isolation;
  bool required = true;  // else the others serve without it when it cannot start

  void nameOrigin();  // by kind and name, when it has none
};

// What could not be loaded, or was left out since it could not start.
struct Failure {
  Wanted wanted;
  absl::Status status;
};

// Loads, starts, replaces and stops plugins, and finds them by name. Each instance is served by one
// form at a time; those that it has replaced live as long as somebody holds a share of them.
// Snapshotters are not replaced. Thread-safe once started.
class Registry {
 public:
  // Of one instance: the one that serves and those that it has replaced.
  static constexpr size_t kMostForms = 3;

  // Called with what is waited for next, for people: for as long as a plugin takes.
  using Before = std::function<void(const std::string& next)>;

  // `services` must outlive the registry.
  Registry(std::vector<std::string> directories, const HostServices& services)
      : directories_(std::move(directories)), services_(services) {}
  ~Registry() { stop(); }

  // Loads and configures all, in dependency order (what others use first: sources, snapshotters,
  // networks, runtimes), and collects every problem, a line for each: its place in the
  // configuration, the reason, plugin and file. Makes nothing outside of this process.
  absl::Status load(const std::vector<Wanted>& wanted, const Before& before = {});
  // Starts in the same order; when one fails that is required, those already started are stopped.
  // Another one that fails is left out: it is a failure, and none of the instances for now.
  absl::Status start(const Before& before = {});
  // Takes no replacement any more, waits for those under way, and stops what they have left and
  // then those that serve, in reverse order. Idempotent.
  void stop(const Before& before = {});

  struct Replacement {
    std::shared_ptr<Instance> before;  // null: it was left out
    std::shared_ptr<Instance> after;
  };
  // Loads the file that is there now, makes, configures and starts an instance of it, and has it
  // serve in place of the one of that kind and name; a network has been told the pods' address
  // range then. Whatever fails, or takes longer than the operation may, leaves that one serving; a
  // late success is undone. FAILED_PRECONDITION for a snapshotter, since two would work in one
  // place, and for another plugin; ABORTED while another replacement of this instance is under way;
  // RESOURCE_EXHAUSTED when kMostForms are there. One that was left out has nobody to be replaced,
  // and serves then; a trial of it that is under way is waited for. Blocks.
  absl::StatusOr<Replacement> replace(const Operation& op, Wanted wanted);
  // The same for one that was left out, as the configuration had it at the start. What it fails by
  // is the failure from then on. ALREADY_EXISTS when it serves. Blocks.
  absl::Status tryAgain(const Operation& op, Kind kind, const std::string& name);

  // A share of the form that serves. FAILED_PRECONDITION with the names there are, or with why it
  // was left out.
  absl::StatusOr<std::shared_ptr<Runtime>> runtime(const std::string& name) const;
  absl::StatusOr<std::shared_ptr<ImageSource>> imageSource(const std::string& name) const;
  absl::StatusOr<std::shared_ptr<Network>> network(const std::string& name) const;
  std::map<std::string, std::shared_ptr<Runtime>> runtimes() const;
  std::map<std::string, std::shared_ptr<Network>> networks() const;
  // These are there until stop().
  absl::StatusOr<Snapshotter*> snapshotter(const std::string& name) const;
  std::map<std::string, Snapshotter*> snapshotters() const;
  // Those that serve, in the order of load().
  std::vector<std::shared_ptr<Form>> serving() const;
  std::vector<std::shared_ptr<Instance>> instances() const;
  // Those that were replaced and are still in use, the oldest first.
  std::vector<std::shared_ptr<Form>> draining() const;
  // What load() has refused, and what is left out now.
  std::vector<Failure> failures() const;
  // Of the instance of this kind and name; none: it has not failed.
  std::optional<Failure> failure(Kind kind, const std::string& name) const;

 private:
  struct Replaced {
    std::weak_ptr<Form> form;
    std::weak_ptr<const void> life;
  };
  struct Attempt;
  struct Slot {
    Wanted wanted;                     // at the start
    std::string plugin;                // the name in it, which all that replace it have
    std::shared_ptr<Form> serving;     // null: it is left out
    absl::Status why;                  // it is
    std::vector<Replaced> replaced;    // or too late to serve, and not known to be destroyed
    uint32_t forms = 1;                // that were started
    std::shared_ptr<Attempt> attempt;  // under way, even if nobody waits for it any more
  };

  absl::Status loadOne(const Wanted& wanted);
  absl::StatusOr<std::shared_ptr<const Library>> openLibrary(const Wanted& wanted) const;
  absl::Status checkName(const Library& library, const Wanted& wanted) const;
  absl::StatusOr<std::shared_ptr<Form>> make(const Wanted& wanted) const;
  absl::Status leaveOutIfFailed(const Form& form, const absl::Status& why);
  Slot* find(Kind kind, const std::string& name) const;  // with the mutex
  absl::StatusOr<Slot*> claim(const Operation& op, const std::shared_ptr<Attempt>& attempt);
  absl::StatusOr<Replacement> carryOut(const Operation& op,
                                       const std::shared_ptr<Attempt>& attempt);
  absl::StatusOr<std::shared_ptr<Form>> makeToReplace(Attempt& attempt) const;
  void attempt(Attempt& attempt, Slot& slot);
  template <class T>
  std::map<std::string, std::shared_ptr<T>> all(std::optional<T> Form::*part) const;
  template <class T>
  absl::StatusOr<std::shared_ptr<T>> one(std::optional<T> Form::*part, const std::string& name,
                                         std::string_view what) const;

  const std::vector<std::string> directories_;
  const HostServices& services_;
  const std::shared_ptr<Background> background_ = std::make_shared<Background>();
  std::vector<Failure> refused_;              // by load()
  mutable std::mutex mutex_;                  // all that follow
  std::vector<std::unique_ptr<Slot>> slots_;  // none goes once all are started
  bool stopping_ = false;
};

}  // namespace berth::plugins
