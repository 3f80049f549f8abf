// One plugin of a running daemon, replaced.
#include <absl/strings/str_join.h>

#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "main/reload.hpp"
#include "main/wiring.hpp"

namespace berth::program {

namespace {

using support::strCat;

// The one that is called so: by its table, or by its name where only one kind has it.
absl::StatusOr<plugins::Wanted> wantedCalled(const std::vector<plugins::Wanted>& all,
                                             const std::string& name) {
  std::vector<std::string> tables;
  const plugins::Wanted* found = nullptr;
  for (const plugins::Wanted& one : all) {
    if (one.origin.table != name && one.name != name) continue;
    found = &one;
    tables.push_back(one.origin.table);
  }
  if (tables.size() == 1) return *found;
  if (tables.empty())
    return absl::NotFoundError(strCat("the configuration has no plugin \"", name, "\""));
  return absl::InvalidArgumentError(
      strCat("\"", name, "\" may be any of ", absl::StrJoin(tables, ", "), ": say which"));
}

// What of a table the plugin is loaded by; the rest of it is not the plugin's.
template <class Instances>
void takeOver(Instances& running, const Instances& wanted, const std::string& name) {
  const auto from = wanted.find(name);
  const auto to = running.find(name);
  if (from == wanted.end() || to == running.end()) return;
  to->second.plugin = from->second.plugin;
  to->second.options = from->second.options;
  to->second.isolation = from->second.isolation;
  to->second.isolationCapabilities = from->second.isolationCapabilities;
  to->second.place = from->second.place;
}

void takeOver(config::Config& running, const config::Config& wanted, const plugins::Wanted& one) {
  switch (one.kind) {
    case plugins::Kind::kImageSource:
      return takeOver(running.sources, wanted.sources, one.name);
    case plugins::Kind::kSnapshotter:
      return;  // is not replaced
    case plugins::Kind::kNetwork:
      return takeOver(running.networks, wanted.networks, one.name);
    case plugins::Kind::kRuntime:
      return takeOver(running.runtimes, wanted.runtimes, one.name);
  }
}

}  // namespace

// For the message of a reload that would be one too many.
std::string Reloader::podsOnReplaced(const plugins::Wanted& one) const {
  std::vector<std::string> pods;
  for (const auto& form : registry_.draining()) {
    const plugins::Instance& instance = *form->instance;
    if (instance.kind() != one.kind || instance.name() != one.name) continue;
    for (std::string& pod : engine_.podsOn(instance)) pods.push_back(std::move(pod));
  }
  return absl::StrJoin(pods, ", ");
}

absl::StatusOr<Reloader::ReloadedPlugin> Reloader::reloadPlugin(const plugins::Operation& op,
                                                                const std::string& name) {
  BERTH_ASSIGN_OR_RETURN(const config::Config wanted, config::load(paths_));
  BERTH_ASSIGN_OR_RETURN(const plugins::Wanted one, wantedCalled(wantedPlugins(wanted), name));
  {
    const std::lock_guard lock(mutex_);
    takeOver(wanted_, wanted, one);
  }
  // Without the lock: a plugin may take its time, and the configuration be read anew meanwhile.
  const auto replaced = registry_.replace(op, one);
  if (absl::IsResourceExhausted(replaced.status())) {
    const std::string pods = podsOnReplaced(one);
    return absl::ResourceExhaustedError(
        strCat(support::fromAbsl(replaced.status().message()),
               pods.empty() ? "" : " (pods on the ones before: ", pods, pods.empty() ? "" : ")"));
  }
  BERTH_RETURN_IF_ERROR(replaced.status());
  {
    const std::lock_guard lock(mutex_);
    takeOver(running_, wanted, one);
    takeOver(accepted_, wanted, one);
  }
  const bool wasOut = replaced->before == nullptr;
  if (wasOut) engine_.recovery().takeUp(one.name);
  const auto version = [](const plugins::Instance& instance) {
    return std::string(view(instance.library().description().version));
  };
  ReloadedPlugin result{
      one.origin.table, replaced->after->library().path(), {}, version(*replaced->after), {}};
  if (wasOut) return result;
  result.before = version(*replaced->before);
  result.pods = engine_.podsOn(*replaced->before);
  common::logInfo("a plugin was replaced", {{"plugin", result.table},
                                            {"path", result.path},
                                            {"from", result.before},
                                            {"to", result.after},
                                            {"pods", std::to_string(result.pods.size())}});
  return result;
}

}  // namespace berth::program
