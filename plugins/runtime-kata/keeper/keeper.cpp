#include "keeper.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <utility>

#include "berth/streams/unix_socket.hpp"
#include "berth/support/steps.hpp"
#include "shim_events.hpp"

namespace berth::kata::keeper {

using streams::Code;
using streams::Connection;
using streams::Status;

namespace {

constexpr int64_t kLastOutputNs = 2'000'000'000;

Status unknown(const std::string& key) {
  return streams::failure(Code::kNotFound, {"the keeper has no process ", key});
}

}  // namespace

Status Keeper::open(const Places& places) {
  directory_.reset(::open(places.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory_) return streams::errnoFailure(errno, {"open ", places.directory});
  // Held for the keeper's life: there is never a second one for a pod.
  if (::flock(directory_.get(), LOCK_EX | LOCK_NB) != 0) {
    return streams::failure(Code::kAlreadyExists,
                            {"a keeper serves ", places.directory, " already"});
  }
  if (Status status = loop_.open(); !isOk(status)) return status;
  if (Status status = log_.open(places.logFifo, places.logFile); !isOk(status)) return status;
  const size_t slash = places.events.rfind('/');
  const Fd folder(::open(places.events.substr(0, slash).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return streams::errnoFailure(errno, {"open the folder of ", places.events});
  const std::string name = places.events.substr(slash + 1);
  support::steps::unlinkat(folder.get(), name.c_str(), 0);
  Fd listener;
  if (Status status = streams::listenAt(folder.get(), name, SOCK_STREAM, listener); !isOk(status)) {
    return status;
  }
  directoryPath_ = places.directory;
  eventsPath_ = places.events;
  if (Status status = events_.open(std::move(listener)); !isOk(status)) return status;
  return control_.open(directory_.get(), kSocketName, kMaxPacket);
}

void Keeper::close() {
  control_.close();
  events_.close();
  if (!eventsPath_.empty()) support::steps::unlink(eventsPath_.c_str());
}

bool Keeper::onPacket(Connection& connection, std::string_view packet, Fd* fds, size_t count) {
  Request request;
  if (!decode(packet, request)) return false;
  if (request.operation == Operation::kFinish) {
    finish(connection, request);
  } else if (request.operation == Operation::kList) {
    list(connection);
  } else {
    if (request.operation == Operation::kSubscribe) connection.subscribed = true;
    connection.send(encode(Reply{.status = perform(request, fds, count)}));
  }
  return true;
}

Status Keeper::perform(const Request& request, Fd* fds, size_t count) {
  const auto found = processes_.find(request.key);
  Process* process = found == processes_.end() ? nullptr : found->second.get();
  switch (request.operation) {
    case Operation::kOpen:
      return openProcess(request);
    case Operation::kForget:
      forget(request.key);
      return {};
    case Operation::kSubscribe:
      return {};
    case Operation::kShutDown:
      shutDown();
      return {};
    case Operation::kAttach:
      return process != nullptr ? attach(*process, request, fds, count) : unknown(request.key);
    case Operation::kReopenLog:
      return process != nullptr ? process->reopenLog(request.log) : unknown(request.key);
    case Operation::kCloseInput:
      if (process == nullptr) return unknown(request.key);
      process->closeInput();
      return {};
    case Operation::kWatchMemory:
      if (process == nullptr) return unknown(request.key);
      process->watchMemory(request.cgroup);
      return {};
    default:
      return streams::failure(Code::kUnimplemented, {"the keeper does not know this request"});
  }
}

// A repeated request changes nothing.
Status Keeper::openProcess(const Request& request) {
  if (request.key.empty()) return streams::failure(Code::kInvalidArgument, {"there is no key"});
  if (processes_.contains(request.key)) return {};
  auto process = std::make_unique<Process>(
      loop_, *this, request.key, directoryPath_ + "/" + request.key + ".oom", request.bound != 0);
  if (Status status = process->open(request); !isOk(status)) return status;
  processes_.emplace(request.key, std::move(process));
  return {};
}

Status Keeper::attach(Process& process, const Request& request, Fd* fds, size_t count) {
  Fd places[3];
  size_t taken = 0;
  for (uint32_t i = 0; i < 3; ++i) {
    if ((request.descriptors & 1u << i) == 0) continue;
    if (taken == count) {
      return streams::failure(Code::kInvalidArgument, {"there are too few descriptors"});
    }
    places[i] = std::move(fds[taken++]);
  }
  process.attach(std::move(places[0]), std::move(places[1]), std::move(places[2]));
  return {};
}

void Keeper::finish(Connection& connection, const Request& request) {
  const auto found = processes_.find(request.key);
  if (found == processes_.end()) {
    return connection.send(encode(Reply{.status = unknown(request.key)}));
  }
  const auto answer = [this, id = connection.id(), key = request.key] {
    Connection* asker = control_.find(id);
    const auto process = processes_.find(key);
    if (asker == nullptr || process == processes_.end()) return;
    asker->send(encode(Reply{.entries = {process->second->entry()}}));
  };
  found->second->finish(request.timeoutMs, request.awaitExit != 0, answer);
}

void Keeper::forget(const std::string& key) {
  const auto found = processes_.find(key);
  if (found == processes_.end()) return;
  // Its key is free from now on, and its sessions' end finds it where it looks for it.
  leaving_.push_back(std::move(found->second));
  processes_.erase(found);
  Process& process = *leaving_.back();
  process.forget();
  onSessionsGone(process);
}

void Keeper::onSessionsGone(Process& process) {
  if (process.hasSessions()) return;
  const auto found = std::find_if(leaving_.begin(), leaving_.end(),
                                  [&](const auto& each) { return each.get() == &process; });
  if (found == leaving_.end()) return;
  loop_.bury(std::move(*found));
  leaving_.erase(found);
  if (shuttingDown_) shutDown();
}

// Sessions that still read have a moment to come to their end.
void Keeper::shutDown() {
  if (leaving_.empty()) return loop_.stop();
  if (std::exchange(shuttingDown_, true)) return;
  loop_.arm(*this, kLastOutputNs);
}

void Keeper::list(Connection& connection) {
  Reply reply;
  reply.version = kVersion;
  for (const auto& [key, process] : processes_) reply.entries.push_back(process->entry());
  connection.send(encode(reply));
}

void Keeper::onRequest(ttrpc::Request request, ttrpc::Responder responder) {
  ShimEvent event;
  if (request.service != kEventsService || request.method != kForward) {
    return responder.answer(
        {static_cast<int32_t>(Code::kUnimplemented), "only events are taken here", {}});
  }
  if (!parseForward(request.payload, event)) {
    return responder.answer({static_cast<int32_t>(Code::kInvalidArgument), "this is no event", {}});
  }
  onShimEvent(event.topic, event.container, event.id);
  responder.answer({});
}

void Keeper::onShimEvent(std::string_view topic, std::string_view container, std::string_view id) {
  const auto found = processes_.find(container);
  if (found == processes_.end()) return;
  if (topic == "/tasks/oom") {
    found->second->noteOomEvent();
  } else if (topic == "/tasks/exit" && (id.empty() || id == container)) {
    found->second->noteExit();
  }
}

void Keeper::tell(EventKind kind, const std::string& key) {
  control_.tellSubscribers(encode(Reply{.event = kind, .key = key}));
}

}  // namespace berth::kata::keeper
