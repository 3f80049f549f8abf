// CheckpointContainer: a running container's state as an archive.
#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <absl/time/time.h>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "berth/support/clock.hpp"
#include "berth/support/files.hpp"
#include "berth/support/ids.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"
#include "common/log.hpp"
#include "engine/checkpoint/archive.hpp"
#include "engine/checkpoint/changes.hpp"
#include "engine/checkpoint/log_copy.hpp"
#include "engine/checkpoint/names.hpp"
#include "engine/engine.hpp"
#include "engine/message_json.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
namespace json = boost::json;
using support::Fd;
using support::strCat;

namespace {

// When neither the request nor the call says how long it may take.
constexpr std::chrono::minutes kDefaultTime{10};
constexpr int64_t kLongestSeconds = int64_t{365} * 24 * 3600;
constexpr std::chrono::seconds kResumeTime{30};

absl::Status checkLocation(const std::string& location) {
  if (!location.starts_with('/') || location.ends_with('/')) {
    return absl::InvalidArgumentError(strCat("CheckpointContainer: the location \"", location,
                                             "\" must be the absolute path of a file"));
  }
  const std::string folder = location.substr(0, std::max<size_t>(location.rfind('/'), 1));
  struct stat info {};
  if (::stat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(
        strCat("CheckpointContainer: the folder ", folder, " of the location does not exist"));
  }
  if (::lstat(location.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(
        strCat("CheckpointContainer: ", location, " is there and is no regular file"));
  }
  return absl::OkStatus();
}

// A file beside `location` that becomes it once it is whole. Recovery finds its name in `note`.
class OutputFile {
 public:
  OutputFile(const std::string& location, std::string note)
      : location_(location),
        folder_(location.substr(0, std::max<size_t>(location.rfind('/'), 1))),
        temporary_(strCat(folder_, "/.berth-checkpoint-", support::randomId())),
        note_(std::move(note)) {}
  ~OutputFile() {
    if (!made_) return;
    if (absl::Status removed = support::removePath(temporary_);
        !removed.ok() && !absl::IsNotFound(removed)) {
      common::logWarning("removing a part of a checkpoint failed",
                         {{"path", temporary_}, {"error", removed.ToString()}});
    }
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  absl::StatusOr<Fd> open() {
    BERTH_RETURN_IF_ERROR(
        support::replaceFile(note_, temporary_, 0600, support::Durability::kVisible));
    made_ = true;
    return support::openFile(temporary_, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  }
  absl::Status commit(const Fd& file) {
    if (::fchmod(file.get(), 0600) != 0 || ::fsync(file.get()) != 0) {
      return support::errnoStatus(errno, strCat("write ", temporary_));
    }
    if (support::steps::rename(temporary_.c_str(), location_.c_str()) != 0) {
      return support::errnoStatus(errno, strCat("rename ", temporary_, " to ", location_));
    }
    made_ = false;
    BERTH_ASSIGN_OR_RETURN(const Fd folder, support::openFile(folder_, O_RDONLY | O_DIRECTORY));
    if (::fsync(folder.get()) != 0) return support::errnoStatus(errno, strCat("sync ", folder_));
    return absl::OkStatus();
  }

 private:
  const std::string location_;
  const std::string folder_;
  const std::string temporary_;
  const std::string note_;
  bool made_ = false;
};

// Removed at its end with all that is in it.
class WorkFolder {
 public:
  explicit WorkFolder(std::string path) : path_(std::move(path)) {}
  ~WorkFolder() {
    if (absl::Status removed = support::removeTree(path_); !removed.ok()) {
      common::logWarning("removing a checkpoint's files failed; the next start tries again",
                         {{"path", path_}, {"error", removed.ToString()}});
    }
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

absl::Status write(const std::string& tree, std::string_view name, const std::string& content) {
  return support::replaceFile(strCat(tree, "/", name), content, 0600,
                              support::Durability::kVisible);
}

// What other engines look for in the annotations when they restore.
void addAnnotations(const records::ContainerRecord& record, json::object& spec) {
  json::object labels;
  for (const auto& [key, value] : record.config().labels()) labels[key] = value;
  json::object given;
  for (const auto& [key, value] : record.config().annotations()) given[key] = value;
  json::object& annotations = support::objectAt(spec, "annotations");
  annotations["io.kubernetes.cri-o.Annotations"] = json::serialize(given);
  annotations["io.kubernetes.cri-o.Labels"] = json::serialize(labels);
  annotations["io.kubernetes.cri-o.Metadata"] =
      json::serialize(json::object{{"name", record.config().metadata().name()},
                                   {"attempt", record.config().metadata().attempt()}});
  annotations["io.kubernetes.cri-o.Created"] = absl::FormatTime(
      absl::RFC3339_full, absl::FromUnixNanos(record.created_at()), absl::UTCTimeZone());
}

// Which of the host's files and folders the container sees: to restore it, others take their
// places.
json::array bindMounts(const json::object& spec) {
  json::array result;
  const json::array* mounts = support::arrayMember(spec, "mounts");
  if (mounts == nullptr) return result;
  for (const json::value& each : *mounts) {
    if (!each.is_object()) continue;
    const json::object& mount = each.get_object();
    const std::string source = support::stringMember(mount, "source");
    struct stat info {};
    if (support::stringMember(mount, "type") != "bind" || ::stat(source.c_str(), &info) != 0)
      continue;
    result.push_back(json::object{{"source", source},
                                  {"destination", support::stringMember(mount, "destination")},
                                  {"file_type", S_ISDIR(info.st_mode) ? "directory" : "file"},
                                  {"permissions", info.st_mode & 0777u}});
  }
  return result;
}

std::string hexOf(std::string_view digest) {
  const size_t colon = digest.find(':');
  return std::string(colon == std::string_view::npos ? digest : digest.substr(colon + 1));
}

}  // namespace

std::string Engine::checkpointsDirectory() const {
  return strCat(settings_.root, "/checkpoints");
}

std::string Engine::restoreDirectory(const std::string& containerId) const {
  return strCat(checkpointsDirectory(), "/restore-", containerId);
}

absl::Status Engine::checkCheckpoints(const plugins::Operation& op, const Pod& pod) const {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime, runtimeOf(pod));
  return runtime->checkCheckpoints(op);
}

absl::Status Engine::checkpointContainer(const v1::CheckpointContainerRequest& request,
                                         Deadline deadline) {
  BERTH_RETURN_IF_ERROR(checkLocation(request.location()));
  if (request.timeout() < 0) {
    return absl::InvalidArgumentError(
        strCat("CheckpointContainer: timeout ", request.timeout(), " must not be negative"));
  }
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Container> container,
                         findRunning(request.container_id(), "checkpoint"));
  const Deadline now = Deadline::clock::now();
  Deadline end = deadline == Deadline::max() ? now + kDefaultTime : endBefore(deadline);
  if (request.timeout() > 0) {
    const std::chrono::seconds timeout(std::min(request.timeout(), kLongestSeconds));
    end = deadline == Deadline::max() ? now + timeout : std::min(end, now + timeout);
  }
  return operations_
      .runUntil(strCat("checkpoint ", container->id(), " ", request.location()),
                strCat("CheckpointContainer ", container->id()), end, deadline,
                [this, container, location = request.location()](
                    plugins::Operation& op) -> absl::StatusOr<std::string> {
                  BERTH_ASSIGN_OR_RETURN(Turn turn, Turn::take(op, *container));
                  BERTH_RETURN_IF_ERROR(
                      support::annotate(checkpointToFile(op, container, location),
                                        strCat("checkpoint container ", container->id())));
                  return location;
                })
      .status();
}

absl::Status Engine::checkpointToFile(plugins::Operation& op,
                                      const std::shared_ptr<Container>& container,
                                      const std::string& location) {
  BERTH_RETURN_IF_ERROR(checkCheckpoints(op, container->pod()));
  op.setStage("make directories");
  const WorkFolder work(strCat(checkpointsDirectory(), "/dump-", support::randomId()));
  const std::string tree = strCat(work.path(), "/tree");
  BERTH_RETURN_IF_ERROR(support::makeDirectories(tree, 0700));
  checkpoint::LogCopy log;
  BERTH_RETURN_IF_ERROR(whilePaused(op, {container}, [&]() -> absl::Status {
    BERTH_ASSIGN_OR_RETURN(log, capture(op, *container, tree));
    return absl::OkStatus();
  }));
  op.setStage("copy the container's log");
  BERTH_RETURN_IF_ERROR(
      log.writeTo(strCat(tree, "/", checkpoint::kLog), [&op] { return op.check(); }));
  op.setStage("write the archive");
  OutputFile output(location, strCat(work.path(), "/output"));
  BERTH_ASSIGN_OR_RETURN(const Fd file, output.open());
  BERTH_RETURN_IF_ERROR(checkpoint::writeArchive(tree, file, [&op] { return op.check(); }));
  return output.commit(file);
}

absl::Status Engine::whilePaused(plugins::Operation& op, const Containers& containers,
                                 const std::function<absl::Status()>& work) {
  absl::Status status;
  size_t paused = 0;
  for (; paused < containers.size() && status.ok(); ++paused)
    status = pause(op, *containers[paused]);
  if (status.ok()) status = work();
  support::StatusCollector failures;
  failures.add(status);
  for (size_t i = 0; i < paused; ++i) failures.add(resume(*containers[i]));
  return failures.status();
}

absl::Status Engine::pause(plugins::Operation& op, Container& container) {
  op.setStage("pause the container");
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime,
                         runtimeOf(container.pod()));
  if (container.state() != v1::CONTAINER_RUNNING) {
    return absl::FailedPreconditionError(
        strCat("container ", container.id(), " does not run any more"));
  }
  BERTH_RETURN_IF_ERROR(container.change([](records::ContainerRecord& r) { r.set_paused(true); }));
  return runtime->pauseContainer(op, container.pod().id(), container.id());
}

absl::Status Engine::resume(Container& container) {
  // The caller's own time may be up.
  plugins::Operation op(strCat("resume container ", container.id()),
                        Deadline::clock::now() + kResumeTime);
  absl::Status status;
  if (container.state() == v1::CONTAINER_RUNNING) {
    auto runtime = runtimeOf(container.pod());
    status = runtime.ok() ? (*runtime)->resumeContainer(op, container.pod().id(), container.id())
                          : runtime.status();
    // Its end is on its way.
    if (absl::IsNotFound(status)) status = absl::OkStatus();
  }
  if (status.ok()) {
    return container.change([](records::ContainerRecord& r) { r.set_paused(false); });
  }
  common::logError("a container that was paused for a checkpoint could not be resumed",
                   {{"container", container.id()}, {"error", status.ToString()}});
  return support::annotate(status, strCat("resume container ", container.id()));
}

absl::StatusOr<checkpoint::LogCopy> Engine::capture(plugins::Operation& op,
                                                    const Container& container,
                                                    const std::string& tree) {
  const std::string image = strCat(tree, "/", checkpoint::kImageFolder);
  BERTH_RETURN_IF_ERROR(support::makeDirectories(image, 0700));
  BERTH_RETURN_IF_ERROR(describe(container, tree));
  op.setStage("write the container's processes to files");
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime,
                         runtimeOf(container.pod()));
  BERTH_RETURN_IF_ERROR(runtime->checkpointContainer(
      op,
      {.pod = container.pod().id(), .container = container.id(), .image = image, .work = tree}));
  BERTH_RETURN_IF_ERROR(captureChanges(op, container, tree));
  return checkpoint::LogCopy::look(
      container.peek([](const records::ContainerRecord& r) { return r.log_path(); }));
}

absl::Status Engine::describe(const Container& container, const std::string& tree) const {
  const records::ContainerRecord record = container.record();
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime,
                         runtimeOf(container.pod()));
  const v1::ImageSpec& image = record.config().image();
  checkpoint::Description description{
      .id = record.id(),
      .name = record.config().metadata().name(),
      .image = image.user_specified_image().empty() ? image.image() : image.user_specified_image(),
      .imageRef = hexOf(record.image_id()),
      .imageName = image.user_specified_image(),
      .runtime = runtime->name(),
      .format = runtime->checkpointFormat(),
      .createdAt = record.created_at(),
      .checkpointedAt = support::nowNanoseconds(),
      .restored = record.has_restore()};
  // A name by which another node can pull it.
  if (auto known = images_.find(record.image_id()); known.ok()) {
    if (!(*known)->repoTags.empty()) {
      description.imageName = (*known)->repoTags.front();
    } else if (!(*known)->repoDigests.empty()) {
      description.imageName = (*known)->repoDigests.front();
    }
  }
  if (description.imageName.empty()) description.imageName = image.image();
  BERTH_RETURN_IF_ERROR(write(tree, checkpoint::kConfigDump, checkpoint::configDump(description)));

  const std::string bundle = strCat(containerDirectory(record.id()), "/bundle/config.json");
  BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile(bundle));
  BERTH_ASSIGN_OR_RETURN(json::object spec, support::parseJsonObject(text, bundle));
  addAnnotations(record, spec);
  BERTH_RETURN_IF_ERROR(write(tree, checkpoint::kSpecDump, json::serialize(spec)));
  BERTH_RETURN_IF_ERROR(write(tree, checkpoint::kBindMounts, json::serialize(bindMounts(spec))));
  BERTH_RETURN_IF_ERROR(
      write(tree, checkpoint::kStatusDump, json::serialize(toJson(statusOf(container)))));
  return write(tree, checkpoint::kStatus,
               json::serialize(json::object{{"CreatedAt", record.created_at()},
                                            {"StartedAt", record.started_at()},
                                            {"FinishedAt", 0},
                                            {"ExitCode", 0},
                                            {"Pid", record.pid()},
                                            {"Reason", ""},
                                            {"Message", ""}}));
}

absl::Status Engine::captureChanges(plugins::Operation& op, const Container& container,
                                    const std::string& tree) const {
  op.setStage("write what the container has changed in its root filesystem");
  const records::ContainerRecord record = container.record();
  BERTH_ASSIGN_OR_RETURN(plugins::Snapshotter * snapshotter,
                         registry_.snapshotter(record.snapshotter()));
  const uint32_t layers = record.has_restore() ? record.restore().image_layers()
                                               : static_cast<uint32_t>(record.layers_size());
  const std::string layer = strCat(tree, "/changes.tar");
  {
    BERTH_ASSIGN_OR_RETURN(const Fd file,
                           support::openFile(layer, O_WRONLY | O_CREAT | O_EXCL, 0600));
    BERTH_RETURN_IF_ERROR(
        snapshotter->diff(op, record.id(), layers, [&](std::string_view piece) -> absl::Status {
          return support::writeAll(file.get(), piece);
        }));
  }
  return checkpoint::splitLayer(layer, tree, [&op] { return op.check(); });
}

}  // namespace berth::engine
