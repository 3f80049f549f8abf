#include "store.hpp"

#include <algorithm>
#include <berth/support/fd.hpp>
#include <berth/support/files.hpp>
#include <berth/support/mounts.hpp>
#include <berth/support/status.hpp>
#include <berth/untar/extract.hpp>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <mutex>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "merge.hpp"

namespace reflink {

using berth::support::errnoStatus;
using berth::support::Fd;
using berth::support::strCat;

namespace {

std::string encode(DiskUsage usage) {
  return strCat(usage.bytes, " ", usage.inodes, "\n");
}

absl::StatusOr<DiskUsage> readUsage(const std::string& path) {
  BERTH_ASSIGN_OR_RETURN(const std::string text, berth::support::readFile(path));
  unsigned long long bytes = 0;
  unsigned long long inodes = 0;
  if (std::sscanf(text.c_str(), "%llu %llu", &bytes, &inodes) != 2)
    return absl::DataLossError(strCat(path, " is damaged"));
  return DiskUsage{bytes, inodes};
}

absl::Status syncAll(const std::string& directory) {
  BERTH_ASSIGN_OR_RETURN(const Fd fd, berth::support::openFile(directory, O_RDONLY | O_DIRECTORY));
  return ::syncfs(fd.get()) == 0 ? absl::OkStatus()
                                 : errnoStatus(errno, strCat("sync ", directory));
}

bool sameDirectory(const std::string& one, const std::string& other) {
  struct stat a = {};
  struct stat b = {};
  return ::stat(one.c_str(), &a) == 0 && ::stat(other.c_str(), &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

std::string record(const berth::SnapshotSpec& spec) {
  std::string text = spec.readOnly ? "ro\n" : "rw\n";
  for (const berth_layer& layer : spec.layers) text += strCat(berth::view(layer.diff_id), "\n");
  return text;
}

absl::StatusOr<DiskUsage> measure(const berth::Op& op, const std::string& directory) {
  BERTH_ASSIGN_OR_RETURN(const Fd fd, berth::support::openFile(directory, O_RDONLY | O_DIRECTORY));
  return berth::untar::measureTree(fd.get(), [&op] { return op.cancelled(); });
}

// What the mount table calls the root of each mount, in its file system, and where it is.
bool isMounted(const std::string& path) {
  const auto table = berth::support::readFile("/proc/self/mountinfo");
  std::string_view rest = table.ok() ? std::string_view(*table) : std::string_view();
  while (!rest.empty()) {
    const std::string line(rest.substr(0, rest.find('\n')));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    std::vector<char> root(line.size() + 1);
    std::vector<char> point(line.size() + 1);
    if (std::sscanf(line.c_str(), "%*d %*d %*s %s %s", root.data(), point.data()) != 2) continue;
    const std::string_view shown(root.data());
    if (shown.size() > 1 && path.ends_with(shown) && path != point.data() &&
        sameDirectory(point.data(), path))
      return true;
  }
  return false;
}

}  // namespace

absl::Status wanted(const berth::Op& op) {
  if (!op.cancelled()) return absl::OkStatus();
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  if (int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec >= op.deadline())
    return absl::DeadlineExceededError("the deadline has passed");
  return absl::CancelledError("cancelled");
}

absl::StatusOr<std::string> Store::path(std::string_view folder, std::string_view name) const {
  const bool fit =
      !name.empty() && name.size() <= 200 && name[0] != '.' &&
      std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 ||
               std::string_view(":._-").find(static_cast<char>(c)) != std::string_view::npos;
      });
  if (!fit)
    return absl::InvalidArgumentError(strCat("\"", name, "\" is no name for one of the ", folder));
  return strCat(root_, "/", folder, "/", name);
}

std::string Store::fresh() {
  return strCat(root_, "/new/", next_++);
}

absl::Status Store::open() {
  BERTH_RETURN_IF_ERROR(berth::support::removeTree(strCat(root_, "/new")));
  for (const char* folder : {"/new", "/layers", "/snapshots"})
    BERTH_RETURN_IF_ERROR(berth::support::makeDirectories(strCat(root_, folder), 0700));
  return absl::OkStatus();
}

// Durable first, then visible.
absl::Status Store::publish(const std::string& from, const std::string& to) const {
  BERTH_RETURN_IF_ERROR(syncAll(from));
  if (::rename(from.c_str(), to.c_str()) != 0) return errnoStatus(errno, strCat("make ", to));
  return syncAll(root_);
}

// Gone for everyone at once; the files may take their time.
absl::Status Store::discard(const std::string& path) {
  const std::string aside = fresh();
  if (::rename(path.c_str(), aside.c_str()) != 0)
    return errno == ENOENT ? absl::OkStatus() : errnoStatus(errno, strCat("remove ", path));
  return berth::support::removeTree(aside);
}

absl::StatusOr<DiskUsage> Store::unpack(const berth::Op& op, const std::string& directory,
                                        berth::Stream& tar) {
  const std::string files = directory + "/fs";
  BERTH_RETURN_IF_ERROR(berth::support::makeDirectories(files));
  if (::chmod(files.c_str(), 0755) != 0) return errnoStatus(errno, strCat("open up ", files));
  BERTH_ASSIGN_OR_RETURN(const Fd root, berth::support::openFile(files, O_RDONLY | O_DIRECTORY));
  uint64_t done = 0;
  const auto source = [&](std::string_view& piece) -> absl::Status {
    BERTH_RETURN_IF_ERROR(wanted(op));
    const berth::Status read = tar.next(piece);
    op.progress(done += piece.size(), 0);
    return absl::Status(static_cast<absl::StatusCode>(read.code()), read.message());
  };
  BERTH_ASSIGN_OR_RETURN(const berth::untar::ExtractResult result,
                         berth::untar::extractLayer(root.get(), source));
  BERTH_RETURN_IF_ERROR(berth::support::replaceFile(directory + "/usage", encode(result.usage),
                                                    0600, berth::support::Durability::kVisible));
  return result.usage;
}

absl::StatusOr<DiskUsage> Store::apply(const berth::Op& op, const std::string& diffId,
                                       berth::Stream& tar) {
  BERTH_ASSIGN_OR_RETURN(const std::string target, path("layers", diffId));
  if (absl::StatusOr<DiskUsage> known = layerUsage(diffId); known.ok()) return known;
  op.stage(strCat("unpack layer ", diffId));
  const std::string directory = fresh();
  absl::StatusOr<DiskUsage> usage = unpack(op, directory, tar);
  absl::Status status = usage.status();
  if (status.ok()) status = publish(directory, target);
  if (status.ok()) return usage;
  berth::support::removeTree(directory).IgnoreError();
  // Another image may have brought it meanwhile.
  if (absl::StatusOr<DiskUsage> known = layerUsage(diffId); known.ok()) return known;
  return berth::support::annotate(status, strCat("unpack layer ", diffId));
}

absl::StatusOr<DiskUsage> Store::layerUsage(const std::string& diffId) const {
  BERTH_ASSIGN_OR_RETURN(const std::string layer, path("layers", diffId));
  absl::StatusOr<DiskUsage> usage = readUsage(layer + "/usage");
  if (absl::IsNotFound(usage.status()))
    return absl::NotFoundError(strCat("layer ", diffId, " is not unpacked"));
  return usage;
}

absl::StatusOr<std::string> Store::userOf(const std::string& diffId) const {
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> keys, list("snapshots"));
  for (const std::string& key : keys) {
    const auto text = berth::support::readFile(strCat(root_, "/snapshots/", key, "/record"));
    if (text.ok() && text->find(strCat("\n", diffId, "\n")) != std::string::npos) return key;
  }
  return std::string();
}

absl::Status Store::removeLayer(const std::string& diffId) {
  BERTH_ASSIGN_OR_RETURN(const std::string layer, path("layers", diffId));
  const std::string aside = fresh();
  {
    const std::unique_lock lock(layersInUse_);
    BERTH_ASSIGN_OR_RETURN(const std::string user, userOf(diffId));
    if (!user.empty())
      return absl::FailedPreconditionError(strCat("layer ", diffId, " is used by snapshot ", user));
    if (::rename(layer.c_str(), aside.c_str()) != 0)
      return errno == ENOENT ? absl::OkStatus() : errnoStatus(errno, strCat("remove ", layer));
  }
  return berth::support::removeTree(aside);
}

absl::Status Store::fill(const berth::Op& op, const berth::SnapshotSpec& spec,
                         const std::string& directory) const {
  const std::string files = directory + "/fs";
  BERTH_RETURN_IF_ERROR(berth::support::makeDirectories(files));
  if (::chmod(files.c_str(), 0755) != 0) return errnoStatus(errno, strCat("open up ", files));
  for (const berth_layer& layer : spec.layers) {
    const std::string diffId = berth::copy(layer.diff_id);
    BERTH_RETURN_IF_ERROR(layerUsage(diffId).status());
    op.stage(strCat("clone layer ", diffId));
    BERTH_RETURN_IF_ERROR(merge(strCat(root_, "/layers/", diffId, "/fs"), files,
                                spec.readOnly ? Files::kLink : Files::kClone,
                                [&op] { return wanted(op); }));
  }
  BERTH_ASSIGN_OR_RETURN(const DiskUsage base, measure(op, files));
  constexpr auto kVisible = berth::support::Durability::kVisible;
  BERTH_RETURN_IF_ERROR(
      berth::support::replaceFile(directory + "/base", encode(base), 0600, kVisible));
  return berth::support::replaceFile(directory + "/record", record(spec), 0600, kVisible);
}

absl::Status Store::prepare(const berth::Op& op, const berth::SnapshotSpec& spec) {
  BERTH_ASSIGN_OR_RETURN(const std::string target, path("snapshots", spec.key));
  if (const auto known = berth::support::readFile(target + "/record"); known.ok())
    return *known == record(spec) ? absl::OkStatus()
                                  : absl::AlreadyExistsError(
                                        strCat("snapshot ", spec.key, " is made of other layers"));
  if (!spec.uidMappings.empty() || !spec.gidMappings.empty())
    return absl::UnimplementedError("ids of files are not mapped");
  const std::string directory = fresh();
  // The record makes the layers used: none may go before it is there.
  const std::shared_lock lock(layersInUse_);
  absl::Status status = fill(op, spec, directory);
  if (status.ok()) status = publish(directory, target);
  if (!status.ok()) berth::support::removeTree(directory).IgnoreError();
  return berth::support::annotate(status, strCat("make snapshot ", spec.key));
}

absl::Status Store::mount(const std::string& key, const std::string& target) const {
  BERTH_ASSIGN_OR_RETURN(const std::string directory, path("snapshots", key));
  const auto text = berth::support::readFile(directory + "/record");
  if (!text.ok()) return absl::NotFoundError(strCat("there is no snapshot ", key));
  if (sameDirectory(directory + "/fs", target)) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(berth::support::bindMount(directory + "/fs", target));
  if (!text->starts_with("ro")) return absl::OkStatus();
  if (::mount(nullptr, target.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) == 0)
    return absl::OkStatus();
  absl::Status status = errnoStatus(errno, strCat("make ", target, " read-only"));
  berth::support::unmount(target, berth::support::UnmountMode::kLazy).IgnoreError();
  return status;
}

absl::Status Store::unmount(const std::string& key, const std::string& target) const {
  BERTH_ASSIGN_OR_RETURN(const std::string directory, path("snapshots", key));
  if (!sameDirectory(directory + "/fs", target)) return absl::OkStatus();
  return berth::support::unmount(target, berth::support::UnmountMode::kNow);
}

absl::StatusOr<DiskUsage> Store::snapshotUsage(const berth::Op& op, const std::string& key) const {
  BERTH_ASSIGN_OR_RETURN(const std::string directory, path("snapshots", key));
  const absl::StatusOr<DiskUsage> base = readUsage(directory + "/base");
  if (!base.ok()) return absl::NotFoundError(strCat("there is no snapshot ", key));
  BERTH_ASSIGN_OR_RETURN(DiskUsage now, measure(op, directory + "/fs"));
  now.bytes -= std::min(now.bytes, base->bytes);
  now.inodes -= std::min(now.inodes, base->inodes);
  return now;
}

absl::Status Store::removeSnapshot(const std::string& key) {
  BERTH_ASSIGN_OR_RETURN(const std::string directory, path("snapshots", key));
  if (isMounted(directory + "/fs"))
    return absl::FailedPreconditionError(strCat("snapshot ", key, " is mounted"));
  return discard(directory);
}

absl::StatusOr<std::vector<std::string>> Store::list(const std::string& folder) const {
  return berth::support::listDirectory(strCat(root_, "/", folder));
}

}  // namespace reflink
