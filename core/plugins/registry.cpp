#include "plugins/registry.hpp"

#include <algorithm>
#include <set>

#include <absl/strings/str_join.h>

#include "berth/support/status.hpp"
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

template <class Map>
auto find(const Map& map, const std::string& name, std::string_view what)
    -> absl::StatusOr<decltype(map.begin()->second.get())> {
  auto found = map.find(name);
  if (found != map.end()) return found->second.get();
  std::vector<std::string> names;
  for (const auto& entry : map) names.push_back(entry.first);
  // What used it may well exist: this is never the caller's "gone already".
  return absl::FailedPreconditionError(support::strCat(
      "no ", what, " \"", name, "\" is configured (there are: ", absl::StrJoin(names, ", "), ")"));
}

}  // namespace

absl::Status Registry::load(const std::vector<Wanted>& wanted) {
  std::vector<Wanted> ordered = wanted;
  std::stable_sort(ordered.begin(), ordered.end(), [](const Wanted& a, const Wanted& b) {
    return loadRank(a.kind) < loadRank(b.kind);
  });
  support::StatusCollector problems("\n");
  std::set<std::pair<Kind, std::string>> names;
  for (Wanted& one : ordered) {
    if (one.origin.table.empty())
      one.origin.table = support::strCat(kindName(one.kind), " \"", one.name, "\"");
    const absl::Status status =
        names.emplace(one.kind, one.name).second
            ? loadOne(one)
            : absl::AlreadyExistsError(
                  support::strCat("two ", kindName(one.kind), "s are called \"", one.name, "\""));
    problems.add(status);
    if (!status.ok()) failures_.push_back({one, status});
  }
  return problems.status();
}

// Loaded once for all its instances, and complete.
absl::StatusOr<std::shared_ptr<const Library>> Registry::openLibrary(const Wanted& wanted) {
  BERTH_ASSIGN_OR_RETURN(const std::string path, findPlugin(wanted.plugin, directories_));
  BERTH_RETURN_IF_ERROR(common::refuseWritableByAll(path));
  BERTH_RETURN_IF_ERROR(common::refuseWritableByAll(path.substr(0, path.rfind('/'))));
  std::shared_ptr<const Library> library;
  if (wanted.isolation.process) {
    BERTH_ASSIGN_OR_RETURN(library, loadIsolated(path, wanted.kind, wanted.isolation));
  } else if (const auto known = libraries_.find(path); known != libraries_.end()) {
    // The same file configured as another kind must be refused like a first load.
    BERTH_RETURN_IF_ERROR(Library::load(path, wanted.kind).status());
    library = known->second;
  } else {
    BERTH_ASSIGN_OR_RETURN(library, Library::load(path, wanted.kind));
  }
  const auto taken = names_.emplace(library->name(), path).first;
  if (taken->second != path)
    return absl::AlreadyExistsError(support::strCat("plugin file ", path, ": the plugin name ",
                                                    library->name(), " is already taken by ",
                                                    taken->second));
  if (!wanted.isolation.process) libraries_[path] = library;
  // The table is checked here, so that wrappers can copy it without looking.
  alignas(16) unsigned char scratch[sizeof(berth_runtime) + sizeof(berth_snapshotter)] = {};
  absl::Status complete =
      copyTable(wanted.kind, library->description().functions, scratch, tableSize(wanted.kind));
  BERTH_RETURN_IF_ERROR(support::annotate(
      complete, support::strCat("plugin file ", path, " (", library->name(), ")")));
  return library;
}

absl::Status Registry::loadOne(const Wanted& wanted) {
  auto library = openLibrary(wanted);
  if (!library.ok()) return locate(wanted.origin, {}, library.status(), {});
  BERTH_ASSIGN_OR_RETURN(std::unique_ptr<Instance> instance,
                         Instance::create(*std::move(library), wanted.kind, wanted.name,
                                          wanted.options, wanted.origin, services_));
  switch (wanted.kind) {
    case Kind::kRuntime:
      runtimes_[wanted.name] = std::make_unique<Runtime>(*instance);
      break;
    case Kind::kSnapshotter:
      snapshotters_[wanted.name] = std::make_unique<Snapshotter>(*instance);
      break;
    case Kind::kImageSource:
      sources_[wanted.name] = std::make_unique<ImageSource>(*instance);
      break;
    case Kind::kNetwork:
      networks_[wanted.name] = std::make_unique<Network>(*instance);
      break;
  }
  instances_.push_back(std::move(instance));
  return absl::OkStatus();
}

absl::Status Registry::start() {
  support::StatusCollector problems("\n");
  for (const auto& instance : instances_) problems.add(instance->start());
  if (problems.ok()) problems.add(askOnce());
  if (!problems.ok()) stop();
  return problems.status();
}

absl::Status Registry::askOnce() {
  support::StatusCollector problems;
  for (const auto& [name, source] : sources_) source->findExtensions();
  for (const auto& [name, snapshotter] : snapshotters_) {
    problems.add(
        support::annotate(snapshotter->readFlags(), support::strCat("snapshotter ", name)));
  }
  for (const auto& [name, runtime] : runtimes_) {
    problems.add(support::annotate(runtime->readFeatures(), support::strCat("runtime ", name)));
  }
  return problems.status();
}

void Registry::stop(const std::function<void(const Instance&)>& before) {
  for (auto instance = instances_.rbegin(); instance != instances_.rend(); ++instance) {
    if (before) before(**instance);
    (*instance)->stop();
  }
}

absl::StatusOr<Runtime*> Registry::runtime(const std::string& name) const {
  return find(runtimes_, name, "runtime");
}
absl::StatusOr<Snapshotter*> Registry::snapshotter(const std::string& name) const {
  return find(snapshotters_, name, "snapshotter");
}
absl::StatusOr<ImageSource*> Registry::imageSource(const std::string& name) const {
  return find(sources_, name, "image source");
}
absl::StatusOr<Network*> Registry::network(const std::string& name) const {
  return find(networks_, name, "network");
}

}  // namespace berth::plugins
