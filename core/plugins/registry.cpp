#include "plugins/registry.hpp"

#include <algorithm>
#include <set>

#include <absl/strings/str_join.h>

#include "berth/support/status.hpp"
#include "common/refusal.hpp"
#include "common/trust.hpp"

namespace berth::plugins {

namespace {

int loadRank(Kind kind) {
  switch (kind) {
    case Kind::kImageSource:
      return 0;
    case Kind::kSnapshotter:
      return 1;
    case Kind::kNetwork:
      return 2;
    case Kind::kRuntime:
      return 3;
  }
  return 4;
}

}  // namespace

void Wanted::nameOrigin() {
  if (origin.table.empty()) origin.table = support::strCat(kindName(kind), " \"", name, "\"");
}

absl::Status Registry::load(const std::vector<Wanted>& wanted, const Before& before) {
  std::vector<Wanted> ordered = wanted;
  std::stable_sort(ordered.begin(), ordered.end(), [](const Wanted& a, const Wanted& b) {
    return loadRank(a.kind) < loadRank(b.kind);
  });
  support::StatusCollector problems("\n");
  std::set<std::pair<Kind, std::string>> names;
  for (Wanted& one : ordered) {
    one.nameOrigin();
    if (before)
      before(support::strCat(kindName(one.kind), " ", one.name, " (plugin ", one.plugin,
                             ") to be loaded and configured"));
    const absl::Status status =
        names.emplace(one.kind, one.name).second
            ? loadOne(one)
            : absl::AlreadyExistsError(
                  support::strCat("two ", kindName(one.kind), "s are called \"", one.name, "\""));
    problems.add(status);
    if (!status.ok()) refused_.push_back({one, status});
  }
  return problems.status();
}

// The plugins of two files have two names, or nobody could tell them apart; and one that replaces
// another is the same plugin.
absl::Status Registry::checkName(const Library& library, const Wanted& wanted) const {
  const std::string file =
      support::strCat("plugin file ", library.path(), ": the plugin name ", library.name());
  const std::lock_guard lock(mutex_);
  for (const auto& slot : slots_) {
    const bool isReplaced = slot->wanted.kind == wanted.kind && slot->wanted.name == wanted.name;
    if (isReplaced && slot->plugin != library.name())
      return absl::FailedPreconditionError(support::strCat(
          file, " is another one than ", slot->plugin,
          ", which it would replace: a restart of the daemon takes up another plugin"));
    if (isReplaced || slot->serving == nullptr) continue;
    const Library& other = slot->serving->instance->library();
    if (other.name() == library.name() && other.path() != library.path())
      return absl::AlreadyExistsError(support::strCat(file, " is already taken by ", other.path()));
  }
  return absl::OkStatus();
}

// Complete.
absl::StatusOr<std::shared_ptr<const Library>> Registry::openLibrary(const Wanted& wanted) const {
  BERTH_ASSIGN_OR_RETURN(const std::string path, findPlugin(wanted.plugin, directories_));
  BERTH_RETURN_IF_ERROR(common::refuseWritableByOthers(path));
  BERTH_RETURN_IF_ERROR(common::refuseWritableByOthers(path.substr(0, path.rfind('/'))));
  BERTH_ASSIGN_OR_RETURN(std::shared_ptr<const Library> library,
                         wanted.isolation.process
                             ? loadIsolated(path, wanted.kind, wanted.isolation)
                             : Library::load(path, wanted.kind));
  // The table is checked here, so that wrappers can copy it without looking.
  alignas(16) unsigned char scratch[sizeof(berth_runtime) + sizeof(berth_snapshotter)] = {};
  absl::Status complete =
      copyTable(wanted.kind, library->description().functions, scratch, tableSize(wanted.kind));
  BERTH_RETURN_IF_ERROR(support::annotate(
      complete, support::strCat("plugin file ", path, " (", library->name(), ")")));
  BERTH_RETURN_IF_ERROR(checkName(*library, wanted));
  return library;
}

absl::StatusOr<std::shared_ptr<Form>> Registry::make(const Wanted& wanted) const {
  auto library = openLibrary(wanted);
  if (!library.ok()) return locate(wanted.origin, {}, library.status(), {});
  BERTH_ASSIGN_OR_RETURN(std::unique_ptr<Instance> instance,
                         Instance::create(*std::move(library), wanted.kind, wanted.name,
                                          wanted.options, wanted.origin, services_));
  return Form::make(std::move(instance), background_);
}

absl::Status Registry::loadOne(const Wanted& wanted) {
  auto slot = std::make_unique<Slot>();
  slot->wanted = wanted;
  auto made = make(wanted);
  // Of the options: by its meaning, whatever the state of the host.
  if (absl::IsInvalidArgument(made.status())) return common::refusal(made.status());
  BERTH_ASSIGN_OR_RETURN(slot->serving, std::move(made));
  slot->plugin = slot->serving->instance->library().name();
  const std::lock_guard lock(mutex_);
  slots_.push_back(std::move(slot));
  return absl::OkStatus();
}

// OK when the others serve without it. The caller has a share of it.
absl::Status Registry::leaveOutIfFailed(const Form& form, const absl::Status& why) {
  if (why.ok()) return why;
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(slots_.begin(), slots_.end(),
                                    [&](const auto& slot) { return slot->serving.get() == &form; });
    if ((*found)->wanted.required) return why;
    (*found)->why = why;
    (*found)->serving = nullptr;
  }
  form.instance->stop();  // it may be what it offers that it could not say
  return absl::OkStatus();
}

absl::Status Registry::start(const Before& before) {
  const auto forms = serving();
  support::StatusCollector problems("\n");
  for (const auto& form : forms) {
    if (before) before(support::strCat(form->instance->title(), " to start"));
    problems.add(leaveOutIfFailed(*form, form->instance->start()));
  }
  if (problems.ok()) {
    support::StatusCollector unlearnt;
    for (const auto& form : serving()) {
      if (before) before(support::strCat(form->instance->title(), " to say what it offers"));
      unlearnt.add(leaveOutIfFailed(*form, form->instance->located("start", form->learn())));
    }
    problems.add(unlearnt.status());
  }
  if (!problems.ok()) stop(before);
  return problems.status();
}

void Registry::stop(const Before& before) {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  const auto tell = [&](const std::string& next) {
    if (before) before(next);
  };
  if (const auto left = background_->underWay(); !left.empty()) tell(absl::StrJoin(left, ", "));
  background_->finish();
  auto last = draining();
  const auto forms = serving();
  last.insert(last.end(), forms.rbegin(), forms.rend());
  for (const auto& form : last) {
    tell(support::strCat(form->instance->title(), " to stop"));
    form->instance->stop();
  }
}

template <class T>
std::map<std::string, std::shared_ptr<T>> Registry::all(std::optional<T> Form::*part) const {
  std::map<std::string, std::shared_ptr<T>> result;
  const std::lock_guard lock(mutex_);
  for (const auto& slot : slots_) {
    if (auto found = share(slot->serving, part); found != nullptr)
      result[slot->serving->instance->name()] = std::move(found);
  }
  return result;
}

template <class T>
absl::StatusOr<std::shared_ptr<T>> Registry::one(std::optional<T> Form::*part,
                                                 const std::string& name,
                                                 std::string_view what) const {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& slot : slots_) {
      auto found = share(slot->serving, part);
      if (found != nullptr && slot->serving->instance->name() == name) return found;
    }
  }
  const auto known = all(part);
  std::vector<std::string> names;
  names.reserve(known.size());
  for (const auto& entry : known) names.push_back(entry.first);
  // What used it may well exist: this is never the caller's "gone already".
  return absl::FailedPreconditionError(support::strCat(
      "no ", what, " \"", name, "\" is configured (there are: ", absl::StrJoin(names, ", "), ")"));
}

std::vector<Failure> Registry::failures() const {
  std::vector<Failure> result = refused_;
  const std::lock_guard lock(mutex_);
  for (const auto& slot : slots_) {
    if (slot->serving == nullptr) result.push_back({slot->wanted, slot->why});
  }
  return result;
}

std::optional<Failure> Registry::failure(Kind kind, const std::string& name) const {
  for (Failure& one : failures()) {
    if (one.wanted.kind == kind && one.wanted.name == name) return std::move(one);
  }
  return std::nullopt;
}

absl::StatusOr<std::shared_ptr<Runtime>> Registry::runtime(const std::string& name) const {
  if (const auto left = failure(Kind::kRuntime, name); left.has_value())
    return absl::FailedPreconditionError(support::strCat(
        "the runtime \"", name, "\" is out of service: ", support::fromAbsl(left->status.message()),
        "; it is tried again by itself, and at once by `berth reload`"));
  return one(&Form::runtime, name, "runtime");
}
absl::StatusOr<Snapshotter*> Registry::snapshotter(const std::string& name) const {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Snapshotter> found,
                         one(&Form::snapshotter, name, "snapshotter"));
  return found.get();
}
absl::StatusOr<std::shared_ptr<ImageSource>> Registry::imageSource(const std::string& name) const {
  return one(&Form::source, name, "image source");
}
absl::StatusOr<std::shared_ptr<Network>> Registry::network(const std::string& name) const {
  return one(&Form::network, name, "network");
}
std::map<std::string, std::shared_ptr<Runtime>> Registry::runtimes() const {
  return all(&Form::runtime);
}
std::map<std::string, Snapshotter*> Registry::snapshotters() const {
  std::map<std::string, Snapshotter*> result;
  for (const auto& [name, found] : all(&Form::snapshotter)) result[name] = found.get();
  return result;
}
std::map<std::string, std::shared_ptr<Network>> Registry::networks() const {
  return all(&Form::network);
}

std::vector<std::shared_ptr<Form>> Registry::serving() const {
  std::vector<std::shared_ptr<Form>> result;
  const std::lock_guard lock(mutex_);
  for (const auto& slot : slots_) {
    if (slot->serving != nullptr) result.push_back(slot->serving);
  }
  return result;
}

std::vector<std::shared_ptr<Instance>> Registry::instances() const {
  std::vector<std::shared_ptr<Instance>> result;
  for (const auto& form : serving()) result.push_back(shareInstance(form));
  return result;
}

std::vector<std::shared_ptr<Form>> Registry::draining() const {
  std::vector<std::shared_ptr<Form>> result;
  const std::lock_guard lock(mutex_);
  for (const auto& slot : slots_) {
    for (const auto& replaced : slot->replaced) {
      if (auto form = replaced.form.lock(); form != nullptr) result.push_back(std::move(form));
    }
  }
  return result;
}

}  // namespace berth::plugins
