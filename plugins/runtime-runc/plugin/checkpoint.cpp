// The extension berth.runtime.checkpoint: `runtime checkpoint` and `runtime restore`, by the pod's
// monitor.
#include "berth/support/criu.hpp"
#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "cgroup_processes.hpp"
#include "criu_configuration.hpp"
#include "runtime_plugin.hpp"

namespace berth::runc {

using support::strCat;

namespace {

constexpr auto kCancelTime = std::chrono::seconds(10);
constexpr size_t kLogBytes = 8u << 20;

// What runc and crun both take, for checkpoint and restore alike: both sides must say that they
// mean connections, sockets of others and locks to be kept.
std::vector<std::string> commonArguments(berth_str image, berth_str work) {
  return {"--image-path",      copy(image),     "--work-path", copy(work),
          "--tcp-established", "--ext-unix-sk", "--file-locks"};
}

// The labels of the container as it is now, which need not be those that it was checkpointed with.
void addSecurityLabels(const std::string& bundle, std::vector<std::string>& arguments) {
  const auto text = support::readFile(strCat(bundle, "/config.json"));
  if (!text.ok()) return;
  const auto config = support::parseJsonObject(*text, "config.json");
  if (!config.ok()) return;
  const boost::json::object* process = support::objectMember(*config, "process");
  const boost::json::object* parts = support::objectMember(*config, "linux");
  const std::string selinux =
      process == nullptr ? "" : support::stringMember(*process, "selinuxLabel");
  const std::string appArmor =
      process == nullptr ? "" : support::stringMember(*process, "apparmorProfile");
  const std::string mountLabel =
      parts == nullptr ? "" : support::stringMember(*parts, "mountLabel");
  if (!selinux.empty()) {
    arguments.insert(arguments.end(), {"--lsm-profile", strCat("selinux:", selinux)});
  } else if (!appArmor.empty()) {
    arguments.insert(arguments.end(), {"--lsm-profile", strCat("apparmor:", appArmor)});
  }
  if (!mountLabel.empty()) {
    arguments.insert(arguments.end(), {"--lsm-mount-context", mountLabel});
  }
}

// The runtime's own message says no more than that CRIU failed, and where it has written why.
absl::Status explained(const absl::Status& status, const std::string& log) {
  if (status.ok()) return status;
  const auto text = support::readFile(log, kLogBytes);
  const std::string errors = text.ok() ? support::criuErrors(*text) : "";
  if (errors.empty()) return status;
  return absl::Status(status.code(), strCat(support::fromAbsl(status.message()), ": ", errors));
}

}  // namespace

Status RuntimePlugin::checkpoint(const Op& op, const berth_checkpoint_spec& spec) {
  const auto target = requireMonitor(op, view(spec.pod), view(spec.container));
  if (!target.ok()) return target.status();
  op.stage("write the container's processes to files");
  return support::annotate(checkpoint(op, *target, spec),
                           strCat("checkpoint container ", view(spec.container)));
}

absl::Status RuntimePlugin::checkpoint(const Op& op, const Connected& target,
                                       const berth_checkpoint_spec& spec) {
  BERTH_RETURN_IF_ERROR(checkpoints_);
  const Container& container = *target.container;
  if (target.pod->status(container).state != protocol::ContainerState::kRunning) {
    return absl::FailedPreconditionError("it does not run");
  }
  const bool paused = isFrozen(*layout_, container.record.cgroup);
  protocol::CheckpointContainerRequest request{.containerId = container.record.id,
                                               .arguments = commonArguments(spec.image, spec.work)};
  if ((spec.flags & BERTH_CHECKPOINT_LEAVE_RUNNING) != 0) {
    request.arguments.emplace_back("--leave-running");
  }
  absl::Status status = target.client->checkpointContainer(request, limitsOf(op));
  if (status.ok()) return status;
  support::StatusCollector failures;
  failures.add(explained(status, strCat(view(spec.work), "/dump.log")));
  if (absl::IsCancelled(status) || absl::IsDeadlineExceeded(status)) {
    failures.add(target.client->cancelCheckpoint(request.containerId, limitsFor(kCancelTime)));
  }
  // One that was cut off may leave its hold on the processes behind.
  if (!paused) failures.add(thawCgroup(*layout_, container.record.cgroup));
  return failures.status();
}

Status RuntimePlugin::restore(const Op& op, const berth_restore_spec& spec,
                              berth_container_status& status) {
  const auto target = requireContainer(view(spec.pod), view(spec.container));
  if (!target.ok()) return target.status();
  if (!checkpoints_.ok()) return checkpoints_;
  op.stage("restore the container's processes");
  const std::string doing = strCat("restore container ", view(spec.container));
  const std::string image = copy(spec.image);
  if (!support::pathExists(strCat(image, "/inventory.img"))) {
    return Status(BERTH_INVALID_ARGUMENT,
                  strCat(doing, ": ", image, " is no image of CRIU: it has no inventory.img"));
  }
  protocol::RestoreContainerRequest request{.containerId = target->container->record.id,
                                            .arguments = commonArguments(spec.image, spec.work)};
  if (options_.noPivot) request.arguments.emplace_back("--no-pivot");
  addSecurityLabels(target->container->record.bundle, request.arguments);
  if (layout_->mode() == CgroupMode::kUnified) {
    const absl::Status told = tellCriuItsCgroup(target->container->record, copy(spec.work));
    if (!told.ok()) return support::annotate(told, doing);
  }
  const absl::Status restored = startContainer(op, *target, [&](MonitorClient& monitor) {
    return monitor.restoreContainer(request, limitsOf(op));
  });
  status = toAbi(target->pod->status(*target->container), view(spec.container));
  return support::annotate(explained(restored, strCat(view(spec.work), "/restore.log")), doing);
}

}  // namespace berth::runc
