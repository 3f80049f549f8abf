// The requests of the protocol, one function each.
#include <algorithm>
#include <unistd.h>

#include "pod.hpp"

namespace berth::runc::monitor {

using protocol::Type;

namespace {

constexpr size_t kMaxId = 128;
// A list goes out in frames of about this size.
constexpr size_t kListFrame = 32u << 10;

// Ids become file names.
bool validId(std::string_view id) {
  if (id.empty() || id.size() > kMaxId || id.front() == '.') return false;
  return std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

Status invalidId(std::string_view what, std::string_view id) {
  return failure(Code::kInvalidArgument,
                 {"the ", what, " id \"", id.substr(0, kMaxId),
                  "\" is not 1 to 128 letters, digits, '-', '_', '.', without a leading dot"});
}

// Which descriptor stands where; false when mask and count do not fit.
bool takeStreams(uint8_t mask, Fd* fds, size_t count, Fd (&streams)[3]) {
  size_t next = 0;
  for (size_t i = 0; i < 3; ++i) {
    if ((mask & 1u << i) == 0) continue;
    if (next == count) return false;
    streams[i] = std::move(fds[next++]);
  }
  return next == count;
}

}  // namespace

template <typename Request>
bool Pod::decode(const Call& call, Request& request) {
  const protocol::DecodeError error = protocol::decodeFields(call.fields, request);
  if (!error) return true;
  finish(call, failure(Code::kInvalidArgument, {"request ", Number(call.to.request), " of type ",
                                                Number(static_cast<uint16_t>(call.to.type)),
                                                ": field ", Number(error.tag), ": ", error.what}));
  return false;
}

Container* Pod::find(const std::string& id) {
  for (const auto& container : containers_) {
    if (container->id() == id) return container.get();
  }
  return nullptr;
}

Container* Pod::findOrAnswer(const Call& call, const std::string& id) {
  Container* container = find(id);
  if (container == nullptr) {
    finish(call,
           failure(Code::kNotFound, {"pod ", context_.facts.podId, " has no container ", id}));
  }
  return container;
}

Exec* Pod::findExecOrAnswer(const Call& call, const std::string& id, const std::string& execId) {
  Container* container = findOrAnswer(call, id);
  if (container == nullptr) return nullptr;
  Exec* exec = container->findExec(execId);
  if (exec == nullptr) {
    finish(call, failure(Code::kNotFound, {"container ", id, " has no exec ", execId}));
  }
  return exec;
}

bool Pod::onPacket(Connection& connection, std::string_view packet, Fd* fds, size_t fdCount) {
  protocol::Header header;
  std::string_view fields;
  if (protocol::decodeHeader(packet, header, fields)) return false;
  const Call call{connection, {connection.id(), header.id, header.type}, fields, fds, fdCount};
  if (!connection.greeted && header.type != Type::kHello) {
    finish(call, failure(Code::kFailedPrecondition, {"the first request must be hello"}));
    return true;
  }
  dispatch(call);
  return true;
}

void Pod::dispatch(const Call& call) {
  switch (call.to.type) {
    case Type::kHello:
      return hello(call);
    case Type::kCreateContainer:
      return createContainer(call);
    case Type::kStartContainer:
      return startContainer(call);
    case Type::kRestoreContainer:
      return restoreContainer(call);
    case Type::kCheckpointContainer:
      return checkpointContainer(call);
    case Type::kCancelCheckpoint:
      return cancelCheckpoint(call);
    case Type::kKillContainer:
      return killContainer(call);
    case Type::kDeleteContainer:
      return deleteContainer(call);
    case Type::kCancelDelete:
      return cancelDelete(call);
    case Type::kExec:
      return exec(call);
    case Type::kWaitExec:
      return waitExec(call);
    case Type::kKillExec:
      return killExec(call);
    case Type::kAttach:
      return attach(call);
    case Type::kResize:
      return resize(call);
    case Type::kCloseStdin:
      return closeStdin(call);
    case Type::kReopenLog:
      return reopenLog(call);
    case Type::kList:
    case Type::kSubscribe:
      return list(call);
    case Type::kShutdown:
      return shutdown(call);
    default:
      finish(call,
             failure(Code::kUnimplemented,
                     {"this berth-monitor (protocol ", Number(protocol::kVersion),
                      ") knows no request of type ", Number(static_cast<uint16_t>(call.to.type))}));
  }
}

void Pod::hello(const Call& call) {
  protocol::HelloRequest request;
  if (!decode(call, request)) return;
  const uint32_t version = std::min(request.maxVersion, protocol::kVersion);
  protocol::HelloReply reply;
  if (version < std::max(request.minVersion, protocol::kOldestVersion)) {
    reply.result =
        failure(Code::kFailedPrecondition,
                {"no common protocol version: the client speaks ", Number(request.minVersion),
                 " to ", Number(request.maxVersion), ", this berth-monitor ",
                 Number(protocol::kOldestVersion), " to ", Number(protocol::kVersion)});
  } else {
    call.connection.greeted = true;
    reply.version = version;
    reply.programVersion = BERTH_VERSION;
    reply.facts = context_.facts;
  }
  answer(context_, call.to, reply);
}

void Pod::createContainer(const Call& call) {
  protocol::CreateContainerRequest request;
  if (!decode(call, request)) return;
  if (!validId(request.containerId))
    return finish(call, invalidId("container", request.containerId));
  if (request.bundle.empty() || request.bundle.front() != '/') {
    return finish(call, failure(Code::kInvalidArgument, {"create container ", request.containerId,
                                                         ": the bundle must be an absolute path"}));
  }
  if (const Container* present = find(request.containerId)) {
    if (present->sameSpec(request)) return finish(call, {});
    return finish(call,
                  failure(Code::kAlreadyExists, {"container ", request.containerId,
                                                 " exists already in pod ", context_.facts.podId}));
  }
  auto container = std::make_unique<Container>(context_, *this, std::move(request));
  const Status status = container->open();
  if (isOk(status)) {
    containers_.push_back(std::move(container));
    stateChanged();
  }
  finish(call, status);
}

void Pod::startContainer(const Call& call) {
  protocol::ContainerRequest request;
  if (!decode(call, request)) return;
  if (Container* container = findOrAnswer(call, request.containerId)) container->start(call.to);
}

void Pod::restoreContainer(const Call& call) {
  protocol::RestoreContainerRequest request;
  if (!decode(call, request)) return;
  if (Container* container = findOrAnswer(call, request.containerId)) {
    container->restore(std::move(request.arguments), call.to);
  }
}

void Pod::checkpointContainer(const Call& call) {
  protocol::CheckpointContainerRequest request;
  if (!decode(call, request)) return;
  Container* container = findOrAnswer(call, request.containerId);
  if (container == nullptr) return;
  const Status status = container->checkpoint(std::move(request), call.to);
  if (!isOk(status)) finish(call, status);
}

void Pod::cancelCheckpoint(const Call& call) {
  protocol::ContainerRequest request;
  if (!decode(call, request)) return;
  if (Container* container = findOrAnswer(call, request.containerId)) {
    container->cancelCheckpoint(call.to);
  }
}

void Pod::killContainer(const Call& call) {
  protocol::KillContainerRequest request;
  if (!decode(call, request)) return;
  if (Container* container = findOrAnswer(call, request.containerId)) {
    finish(call, container->signal(request.signal, request.scope));
  }
}

void Pod::deleteContainer(const Call& call) {
  protocol::ContainerRequest request;
  if (!decode(call, request)) return;
  Container* container = find(request.containerId);
  if (container == nullptr) return finish(call, {});
  container->remove(call.to);
}

void Pod::cancelDelete(const Call& call) {
  protocol::ContainerRequest request;
  if (!decode(call, request)) return;
  Container* container = find(request.containerId);
  if (container == nullptr) return finish(call, {});
  container->cancelRemoval(call.to);
}

void Pod::exec(const Call& call) {
  protocol::ExecRequest request;
  if (!decode(call, request)) return;
  Fd streams[3];
  if (!takeStreams(request.descriptors, call.fds, call.fdCount, streams)) {
    return finish(call, failure(Code::kInvalidArgument,
                                {"exec ", request.execId,
                                 ": the descriptors that came are not those announced"}));
  }
  Container* container = findOrAnswer(call, request.containerId);
  if (container == nullptr) return;
  if (!validId(request.execId)) return finish(call, invalidId("exec", request.execId));
  const Status status = container->exec(std::move(request), streams, call.to);
  if (!isOk(status)) finish(call, status);
}

void Pod::waitExec(const Call& call) {
  protocol::ExecIdRequest request;
  if (!decode(call, request)) return;
  if (Exec* exec = findExecOrAnswer(call, request.containerId, request.execId)) exec->wait(call.to);
}

void Pod::killExec(const Call& call) {
  protocol::KillExecRequest request;
  if (!decode(call, request)) return;
  if (Exec* exec = findExecOrAnswer(call, request.containerId, request.execId)) {
    finish(call, exec->signal(request.signal, request.scope));
  }
}

void Pod::attach(const Call& call) {
  protocol::AttachRequest request;
  if (!decode(call, request)) return;
  Fd streams[3];
  if (!takeStreams(request.descriptors, call.fds, call.fdCount, streams)) {
    return finish(call, failure(Code::kInvalidArgument,
                                {"attach to container ", request.containerId,
                                 ": the descriptors that came are not those announced"}));
  }
  if (Container* container = findOrAnswer(call, request.containerId)) {
    finish(call,
           container->attach(std::move(streams[0]), std::move(streams[1]), std::move(streams[2])));
  }
}

void Pod::resize(const Call& call) {
  protocol::ResizeRequest request;
  if (!decode(call, request)) return;
  if (request.execId.empty()) {
    if (Container* container = findOrAnswer(call, request.containerId)) {
      finish(call, container->resize(request.width, request.height));
    }
  } else if (Exec* exec = findExecOrAnswer(call, request.containerId, request.execId)) {
    finish(call, exec->resize(request.width, request.height));
  }
}

void Pod::closeStdin(const Call& call) {
  protocol::ExecIdRequest request;
  if (!decode(call, request)) return;
  if (request.execId.empty()) {
    if (Container* container = findOrAnswer(call, request.containerId)) {
      finish(call, container->closeInput());
    }
  } else if (Exec* exec = findExecOrAnswer(call, request.containerId, request.execId)) {
    exec->closeInput();
    finish(call, {});
  }
}

void Pod::reopenLog(const Call& call) {
  protocol::ReopenLogRequest request;
  if (!decode(call, request)) return;
  if (Container* container = findOrAnswer(call, request.containerId)) {
    finish(call, container->reopenLog(request.logPath));
  }
}

void Pod::list(const Call& call) {
  // Events of later moments come behind the last frame: the loop sends nothing in between.
  if (call.to.type == Type::kSubscribe) call.connection.subscribed = true;
  protocol::ListReply reply;
  size_t size = 0;
  const auto sendMore = [&](uint16_t flags) {
    call.connection.send(protocol::encodeFrame(
        {call.to.type, static_cast<uint16_t>(protocol::kReply | flags), call.to.request}, reply));
    reply = {};
    size = 0;
  };
  for (const auto& container : containers_) {
    reply.containers.push_back(container->status());
    size += 256 + reply.containers.back().error.size();
    if (size > kListFrame) sendMore(protocol::kMore);
    for (const auto& exec : container->execs()) {
      reply.execs.push_back(exec->status());
      size += 384;
      if (size > kListFrame) sendMore(protocol::kMore);
    }
  }
  sendMore(0);
}

void Pod::shutdown(const Call& call) {
  if (!containers_.empty()) {
    return finish(call,
                  failure(Code::kFailedPrecondition,
                          {"shut down the monitor of pod ", context_.facts.podId, ": it has ",
                           Number(containers_.size()), " containers; delete them first (one is ",
                           containers_.front()->id(), ")"}));
  }
  const Status status = removeNetPin(context_.config.netPin);
  if (isOk(status)) {
    server_.close();
    context_.loop.stop();
  }
  finish(call, status);
}

}  // namespace berth::runc::monitor
