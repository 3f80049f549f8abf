// What a runtime plugin may offer beyond its interface (berth/extensions.h).
#include "berth/support/status.hpp"
#include "plugins/runtime.hpp"
#include "plugins/sinks.hpp"

namespace berth::plugins {

using support::strCat;

namespace {

constexpr uint32_t kRevision = 1;

}  // namespace

void Runtime::findExtensions() {
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
  return instance_.call(pod, [&](berth_error* error) {
    return podResources_.update(instance_.handle(), op.op(), str(pod), str(resources),
                                str(overhead), error);
  });
}

absl::StatusOr<support::Fd> Runtime::connectPort(const Operation& op, const std::string& pod,
                                                 uint16_t port) {
  if (portForward_.connect == nullptr) {
    return absl::UnimplementedError(
        strCat("the runtime \"", name(), "\" does not connect to ports of pods"));
  }
  int32_t socket = -1;
  BERTH_RETURN_IF_ERROR(instance_.call(pod, [&](berth_error* error) {
    return portForward_.connect(instance_.handle(), op.op(), str(pod), port, &socket, error);
  }));
  if (socket < 0) {
    return absl::InternalError(
        strCat("plugin ", name(), " connected to port ", port, " but gave no socket"));
  }
  return support::Fd(socket);
}

}  // namespace berth::plugins
