// What a runtime plugin may offer beyond its interface (berth/extensions.h).
#include <sys/socket.h>

#include "berth/support/status.hpp"
#include "plugins/runtime.hpp"
#include "plugins/runtime_status.hpp"
#include "plugins/sinks.hpp"

namespace berth::plugins {

using support::strCat;

namespace {

constexpr uint32_t kRevision = 1;

}  // namespace

void Runtime::findExtensions() {
  instance_.extension(BERTH_EXTENSION_PAUSE, kRevision, &pause_, sizeof pause_);
  instance_.extension(BERTH_EXTENSION_CHECKPOINT, kRevision, &checkpoint_, sizeof checkpoint_);
  if (const size_t bytes = checkpoint_.format.size; bytes > isolation::kMostTextBytes) {
    checkpoint_ = {};
    instance_.complain(BERTH_EXTENSION_CHECKPOINT,
                       absl::InternalError(strCat("its format is a text of ", bytes, " bytes")));
  }
  instance_.extension(BERTH_EXTENSION_POD_RESOURCES, kRevision, &podResources_,
                      sizeof podResources_);
  instance_.extension(BERTH_EXTENSION_PORT_FORWARD, kRevision, &portForward_, sizeof portForward_);
}

absl::Status Runtime::updatePodResources(const Operation& op, const std::string& pod,
                                         const std::string& resources,
                                         const std::string& overhead) {
  if (podResources_.update == nullptr) {
    return absl::UnimplementedError(
        strCat("the runtime \"", name(), "\" cannot change the resources of a pod"));
  }
  return instance_.call(op, pod, [&](berth_error* error) {
    return podResources_.update(instance_.handle(), op.op(), str(pod), str(resources),
                                str(overhead), error);
  });
}

absl::Status Runtime::pauseContainer(const Operation& op, const std::string& pod,
                                     const std::string& id) {
  if (pause_.pause == nullptr) {
    return absl::UnimplementedError(strCat("the runtime \"", name(), "\" cannot pause containers"));
  }
  return instance_.call(op, pod, [&](berth_error* error) {
    return pause_.pause(instance_.handle(), op.op(), str(pod), str(id), error);
  });
}

absl::Status Runtime::resumeContainer(const Operation& op, const std::string& pod,
                                      const std::string& id) {
  if (pause_.resume == nullptr) {
    return absl::UnimplementedError(
        strCat("the runtime \"", name(), "\" cannot resume containers"));
  }
  return instance_.call(op, pod, [&](berth_error* error) {
    return pause_.resume(instance_.handle(), op.op(), str(pod), str(id), error);
  });
}

absl::Status Runtime::offersCheckpoints() const {
  if (checkpoint_.check != nullptr && checkpoint_.checkpoint != nullptr &&
      checkpoint_.restore != nullptr && pause_.pause != nullptr && pause_.resume != nullptr) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      strCat("the runtime \"", name(), "\" cannot checkpoint containers"));
}

absl::Status Runtime::checkCheckpoints(const Operation& op) {
  BERTH_RETURN_IF_ERROR(offersCheckpoints());
  return instance_.call(op, {}, [&](berth_error* error) {
    return checkpoint_.check(instance_.handle(), op.op(), error);
  });
}

std::string Runtime::checkpointFormat() const {
  return ownedText(checkpoint_.format);
}

absl::Status Runtime::checkpointContainer(const Operation& op, const CheckpointSpec& spec) {
  BERTH_RETURN_IF_ERROR(offersCheckpoints());
  const berth_checkpoint_spec abi = {.size = sizeof(berth_checkpoint_spec),
                                     .pod = str(spec.pod),
                                     .container = str(spec.container),
                                     .image = str(spec.image),
                                     .work = str(spec.work),
                                     .flags = BERTH_CHECKPOINT_LEAVE_RUNNING};
  return instance_.callBeside([&](berth_error* error) {
    return checkpoint_.checkpoint(instance_.handle(), op.op(), &abi, error);
  });
}

absl::StatusOr<ContainerStatus> Runtime::restoreContainer(const Operation& op,
                                                          const CheckpointSpec& spec) {
  BERTH_RETURN_IF_ERROR(offersCheckpoints());
  const berth_restore_spec abi = {.size = sizeof(berth_restore_spec),
                                  .pod = str(spec.pod),
                                  .container = str(spec.container),
                                  .image = str(spec.image),
                                  .work = str(spec.work)};
  berth_container_status status = emptyStatus();
  BERTH_RETURN_IF_ERROR(instance_.callBeside([&](berth_error* error) {
    return checkpoint_.restore(instance_.handle(), op.op(), &abi, &status, error);
  }));
  return filledStatus(name(), spec.container, status);
}

absl::StatusOr<support::Fd> Runtime::connectPort(const Operation& op, const std::string& pod,
                                                 uint16_t port) {
  if (portForward_.connect == nullptr) {
    return absl::UnimplementedError(
        strCat("the runtime \"", name(), "\" does not connect to ports of pods"));
  }
  int32_t socket = -1;
  BERTH_RETURN_IF_ERROR(instance_.call(op, pod, [&](berth_error* error) {
    return portForward_.connect(instance_.handle(), op.op(), str(pod), port, &socket, error);
  }));
  support::Fd given(socket);
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(given.get(), SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) {
    return absl::InternalError(
        strCat("plugin ", name(), " connected to port ", port, " but gave no stream socket"));
  }
  return given;
}

}  // namespace berth::plugins
