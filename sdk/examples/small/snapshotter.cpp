// A snapshotter of overlayfs.
//
//     ROOT/layers/HEX      a layer, by its diff ID
//     ROOT/snapshots/KEY   a snapshot: upper and work, and what to mount in `record`
//     ROOT/new/NUMBER      unfinished, or being removed
//     ROOT/empty           below the lowest layer, so that there is always one
#include <atomic>
#include <berth/snapshotter.hpp>
#include <berth/support/files.hpp>
#include <berth/support/ids.hpp>
#include <berth/support/mounts.hpp>
#include <berth/support/status.hpp>
#include <berth/untar/extract.hpp>
#include <cerrno>
#include <fcntl.h>
#include <mutex>
#include <string>
#include <sys/mount.h>
#include <unistd.h>

namespace {

namespace support = berth::support;
using berth::Op;
using berth::Status;
using support::strCat;

constexpr std::string_view kAlgorithm = "sha256:";

Status measure(const Op& op, const std::string& folder, berth_usage& usage) {
  BERTH_ASSIGN_OR_RETURN(const support::Fd fd, support::openFile(folder, O_RDONLY | O_DIRECTORY));
  BERTH_ASSIGN_OR_RETURN(const berth::untar::DiskUsage found,
                         berth::untar::measureTree(fd.get(), [&op] { return op.cancelled(); }));
  usage.bytes = found.bytes;
  usage.inodes = found.inodes;
  return {};
}

class Stack final : public berth::Snapshotter {
 public:
  using Snapshotter::Snapshotter;

  Status configure(std::string_view /*options*/) override {
    root_ = host().rootDirectory();
    return {};
  }

  Status start() override {
    BERTH_RETURN_IF_ERROR(support::removeTree(root_ + "/new"));
    for (const char* folder : {"/layers", "/snapshots", "/new", "/empty"})
      BERTH_RETURN_IF_ERROR(support::makeDirectories(root_ + folder));
    return {};
  }

  uint32_t flags() override { return BERTH_SNAPSHOTTER_INDEPENDENT_LAYERS; }

  Status layerApply(const Op& op, const berth_layer& layer, berth::Stream& tar,
                    berth_usage& usage) override {
    BERTH_ASSIGN_OR_RETURN(const std::string target, pathOf(layer));
    if (support::pathExists(target)) return measure(op, target, usage);
    op.stage(strCat("unpack layer ", berth::view(layer.diff_id)));
    const std::string fresh = freshPath();
    Status status = unpack(op, fresh, tar);
    if (status.ok()) status = publish(fresh, target);
    if (status.ok()) return measure(op, target, usage);
    support::removeTree(fresh).IgnoreError();
    return status;
  }
  Status layerUsage(const Op& op, const berth_layer& layer, berth_usage& usage) override {
    BERTH_ASSIGN_OR_RETURN(const std::string path, pathOf(layer));
    return measure(op, path, usage);
  }
  Status layerRemove(const Op& /*op*/, const berth_layer& layer) override {
    BERTH_ASSIGN_OR_RETURN(const std::string path, pathOf(layer));
    const std::lock_guard lock(layersInUse_);
    BERTH_ASSIGN_OR_RETURN(const auto keys, support::listDirectory(root_ + "/snapshots"));
    for (const std::string& key : keys) {
      const auto record = support::readFile(strCat(root_, "/snapshots/", key, "/record"));
      if (record.ok() && record->find(path + ":") != std::string::npos)
        return {BERTH_FAILED_PRECONDITION, strCat(path, " is used by snapshot ", key)};
    }
    return discard(path);
  }
  Status layerList(const Op& /*op*/, berth::NameSink& out) override {
    BERTH_ASSIGN_OR_RETURN(const auto names, support::listDirectory(root_ + "/layers"));
    for (const std::string& name : names) out.add(strCat(kAlgorithm, name));
    return {};
  }

  Status snapshotPrepare(const Op& /*op*/, const berth::SnapshotSpec& spec) override {
    BERTH_ASSIGN_OR_RETURN(const std::string target, pathOf(spec.key));
    if (!spec.uidMappings.empty() || !spec.gidMappings.empty())
      return {BERTH_UNIMPLEMENTED, "owners of files are not mapped"};
    const std::lock_guard lock(layersInUse_);
    std::string record = spec.readOnly ? "ro,lowerdir=" : "rw,lowerdir=";
    for (auto layer = spec.layers.rbegin(); layer != spec.layers.rend(); ++layer) {
      BERTH_ASSIGN_OR_RETURN(const std::string path, pathOf(*layer));
      if (!support::pathExists(path)) return {BERTH_NOT_FOUND, path + " is not there"};
      record += path + ":";
    }
    record += strCat(root_, "/empty,upperdir=", target, "/upper,workdir=", target, "/work");
    if (!spec.selinuxLabel.empty()) record += strCat(",context=\"", spec.selinuxLabel, "\"");
    if (const auto known = support::readFile(target + "/record"); known.ok()) {
      if (*known == record) return {};
      return {BERTH_ALREADY_EXISTS, strCat("snapshot ", spec.key, " is made of other layers")};
    }
    const std::string fresh = freshPath();
    BERTH_RETURN_IF_ERROR(support::makeDirectories(fresh + "/upper"));
    BERTH_RETURN_IF_ERROR(support::makeDirectories(fresh + "/work"));
    BERTH_RETURN_IF_ERROR(
        support::replaceFile(fresh + "/record", record, 0600, support::Durability::kVisible));
    return publish(fresh, target);
  }
  Status snapshotMount(const Op& /*op*/, std::string_view key, std::string_view target) override {
    BERTH_ASSIGN_OR_RETURN(const std::string path, pathOf(key));
    BERTH_ASSIGN_OR_RETURN(const std::string record, support::readFile(path + "/record"));
    BERTH_ASSIGN_OR_RETURN(const bool mounted, support::isMountPoint(std::string(target)));
    if (mounted) return {};
    // mount(2) takes a page of options: some thirty layers.
    return support::mountFilesystem("overlay", std::string(target), "overlay",
                                    record.starts_with("ro,") ? MS_RDONLY : 0, record.substr(3));
  }
  Status snapshotUnmount(const Op& /*op*/, std::string_view /*key*/,
                         std::string_view target) override {
    return support::unmount(std::string(target), support::UnmountMode::kNow);
  }
  Status snapshotUsage(const Op& op, std::string_view key, berth_usage& usage) override {
    BERTH_ASSIGN_OR_RETURN(const std::string path, pathOf(key));
    return measure(op, path + "/upper", usage);
  }
  Status snapshotRemove(const Op& /*op*/, std::string_view key) override {
    BERTH_ASSIGN_OR_RETURN(const std::string path, pathOf(key));
    BERTH_ASSIGN_OR_RETURN(const std::string mounts, support::readFile("/proc/self/mountinfo"));
    if (mounts.find(strCat("upperdir=", path, "/upper,")) != std::string::npos)
      return {BERTH_FAILED_PRECONDITION, strCat("snapshot ", key, " is mounted")};
    return discard(path);
  }
  Status snapshotList(const Op& /*op*/, berth::NameSink& out) override {
    BERTH_ASSIGN_OR_RETURN(const auto names, support::listDirectory(root_ + "/snapshots"));
    for (const std::string& name : names) out.add(name);
    return {};
  }

  Status filesystem(const Op& op, std::string& path, berth_usage& usage) override {
    path = root_;
    return measure(op, root_, usage);
  }

 private:
  // Names become names of files: none may lead elsewhere, and a colon would divide layers.
  absl::StatusOr<std::string> pathOf(const berth_layer& layer) const {
    const std::string_view id = berth::view(layer.diff_id);
    if (!id.starts_with(kAlgorithm))
      return absl::InvalidArgumentError(strCat("\"", id, "\" is no digest of sha256"));
    const std::string_view name = id.substr(kAlgorithm.size());
    BERTH_RETURN_IF_ERROR(support::checkId("layer", name));
    return strCat(root_, "/layers/", name);
  }
  absl::StatusOr<std::string> pathOf(std::string_view key) const {
    BERTH_RETURN_IF_ERROR(support::checkId("snapshot", key));
    return strCat(root_, "/snapshots/", key);
  }
  std::string freshPath() { return strCat(root_, "/new/", next_++); }

  static Status unpack(const Op& op, const std::string& folder, berth::Stream& tar) {
    BERTH_RETURN_IF_ERROR(support::makeDirectories(folder));
    BERTH_ASSIGN_OR_RETURN(const support::Fd fd, support::openFile(folder, O_RDONLY | O_DIRECTORY));
    return berth::untar::extractLayer(
               fd.get(),
               [&](std::string_view& piece) -> absl::Status {
                 if (op.cancelled()) return absl::CancelledError("cancelled");
                 const Status read = tar.next(piece);
                 return absl::Status(static_cast<absl::StatusCode>(read.code()), read.message());
               })
        .status();
  }

  // On the disk first, then under its name: what is there is whole.
  Status publish(const std::string& from, const std::string& to) const {
    BERTH_ASSIGN_OR_RETURN(const support::Fd fd, support::openFile(root_, O_RDONLY | O_DIRECTORY));
    if (::syncfs(fd.get()) != 0) return support::errnoStatus(errno, strCat("sync ", root_));
    if (::rename(from.c_str(), to.c_str()) != 0)
      return support::errnoStatus(errno, strCat("make ", to));
    if (::syncfs(fd.get()) != 0) return support::errnoStatus(errno, strCat("sync ", root_));
    return {};
  }

  // Gone from its name at once; its files may take their time.
  Status discard(const std::string& path) {
    const std::string aside = freshPath();
    if (::rename(path.c_str(), aside.c_str()) == 0) return support::removeTree(aside);
    if (errno == ENOENT) return {};
    return support::errnoStatus(errno, strCat("remove ", path));
  }

  std::string root_;
  std::atomic<unsigned> next_ = 0;
  // Held while a snapshot is made of layers, and while a layer goes.
  std::mutex layersInUse_;
};

}  // namespace

BERTH_PLUGIN(Stack, {.name = "small-snapshotter",
                     .version = "1.0.0",
                     .summary = "Stacks layers by overlayfs",
                     .threading = BERTH_THREADING_PER_OBJECT,
                     .options = ""})
