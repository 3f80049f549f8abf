// Streams of running containers and ports of ready pods.
#include "berth/support/status.hpp"
#include "engine/engine.hpp"
#include "engine/loopback.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::strCat;

absl::StatusOr<std::shared_ptr<Container>> Engine::findRunning(const std::string& id,
                                                               std::string_view purpose) const {
  auto container = findContainer(id);
  if (!container.ok()) {
    const bool isPod = absl::IsNotFound(container.status()) && findPod(id).ok();
    return support::annotate(container.status(),
                             strCat(purpose, " ", id, isPod ? ", a pod sandbox" : ""));
  }
  if ((*container)->state() != v1::CONTAINER_RUNNING) {
    return absl::FailedPreconditionError(
        strCat(purpose, " container ", (*container)->id(), ": it does not run"));
  }
  return container;
}

absl::StatusOr<std::shared_ptr<Pod>> Engine::findReady(const std::string& id,
                                                       std::string_view purpose) const {
  auto pod = findPod(id);
  if (!pod.ok()) return support::annotate(pod.status(), purpose);
  const bool ready = (*pod)->peek(
      [](const records::PodRecord& r) { return r.state() == records::POD_READY && !r.lost(); });
  if (ready) return pod;
  return absl::FailedPreconditionError(
      strCat(purpose, " pod sandbox ", (*pod)->id(), ": it is not ready"));
}

absl::StatusOr<std::string> Engine::runningContainer(const std::string& id,
                                                     std::string_view purpose) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, findRunning(id, purpose));
  return container->id();
}

absl::StatusOr<std::string> Engine::readyPod(const std::string& id, std::string_view purpose) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod, findReady(id, purpose));
  return pod->id();
}

absl::Status Engine::attach(const std::string& id, const StandardStreams& streams,
                            Deadline deadline) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, findRunning(id, "attach to"));
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime,
                         runtimeOf(container->pod()));
  plugins::Operation op(strCat("attach to container ", container->id()), deadline);
  return runtime->attach(op, container->pod().id(), container->id(), streams.input, streams.output,
                         streams.error);
}

absl::Status Engine::resizeContainer(const std::string& id, WindowSize size, Deadline deadline) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Container> container,
                         findRunning(id, "resize the terminal of"));
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime,
                         runtimeOf(container->pod()));
  plugins::Operation op(strCat("resize the terminal of container ", container->id()), deadline);
  return runtime->resize(op, container->pod().id(), container->id(), "", size.rows, size.columns);
}

absl::StatusOr<support::Fd> Engine::connectPort(const std::string& podId, uint16_t port,
                                                Deadline deadline) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod, findReady(podId, "port-forward to"));
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime, runtimeOf(*pod));
  const std::string doing = strCat("connect to port ", port, " of pod sandbox ", pod->id());
  if (runtime->forwardsPorts()) {
    plugins::Operation op(doing, deadline);
    auto socket = runtime->connectPort(op, pod->id(), port);
    if (!socket.ok()) return support::annotate(socket.status(), doing);
    return socket;
  }
  const std::string path = pod->peek([](const records::PodRecord& r) {
    auto found = r.namespaces().find(BERTH_NAMESPACE_NETWORK);
    return found == r.namespaces().end() ? std::string() : found->second;
  });
  // A pod without a network namespace of its own has the host's.
  auto socket =
      path.empty() ? connectLoopback(port, deadline) : connectLoopbackIn(path, port, deadline);
  if (!socket.ok()) return support::annotate(socket.status(), doing);
  return socket;
}

}  // namespace berth::engine
