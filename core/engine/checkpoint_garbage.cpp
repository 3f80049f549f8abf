// What a daemon that ended has left of checkpoints that were being made or read. Names are made
// anew each time, so that what is found here is nobody's.
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "engine/checkpoint/pod_folder.hpp"
#include "engine/engine.hpp"

namespace berth::engine {

using support::strCat;

namespace {

constexpr std::chrono::seconds kTime{60};
constexpr std::string_view kRestore = "restore-";

// The archive that was being written, beside where it was to go.
absl::Status removeOutput(const std::string& folder) {
  const auto output = support::readFile(strCat(folder, "/output"));
  if (!output.ok()) return absl::OkStatus();
  const absl::Status removed = support::removePath(*output);
  return absl::IsNotFound(removed) ? absl::OkStatus() : removed;
}

// An image that was mounted to copy a checkpoint out of it.
absl::Status releaseImage(const plugins::Registry& registry, const std::string& key,
                          const std::string& folder) {
  const std::string target = strCat(folder, "/mounted");
  if (!support::pathExists(target)) return absl::OkStatus();
  plugins::Operation op("release a checkpoint's image", Deadline::clock::now() + kTime);
  support::StatusCollector failures;
  for (const auto& [name, snapshotter] : registry.snapshotters()) {
    const absl::Status unmounted = snapshotter->unmount(op, key, target);
    failures.add(unmounted);
    if (unmounted.ok()) failures.add(snapshotter->remove(op, key));
  }
  return failures.status();
}

absl::Status removeGarbage(const plugins::Registry& registry, const std::string& directory,
                           const std::string& name) {
  const std::string path = strCat(directory, "/", name);
  if (name.starts_with("pod-")) return checkpoint::undoPodOutput(path);
  if (name.starts_with("dump-")) BERTH_RETURN_IF_ERROR(removeOutput(path));
  if (name.starts_with("import-")) BERTH_RETURN_IF_ERROR(releaseImage(registry, name, path));
  return support::removeTree(path);
}

}  // namespace

void Recovery::collectCheckpointGarbage() {
  const std::string directory = engine_.checkpointsDirectory();
  const auto names = support::listDirectory(directory);
  if (!names.ok()) return;  // there has never been one
  for (const std::string& name : *names) {
    if (name.starts_with(kRestore) && engine_.findContainer(name.substr(kRestore.size())).ok())
      continue;
    engine_.workers_.postSurely([this, directory, name] {
      const absl::Status removed = removeGarbage(engine_.registry_, directory, name);
      if (removed.ok()) return;
      common::logWarning("removing what is left of a checkpoint failed; the next start tries again",
                         {{"path", strCat(directory, "/", name)}, {"error", removed.ToString()}});
    });
  }
}

}  // namespace berth::engine
