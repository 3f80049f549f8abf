#include "connection.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "berth/support/durable.hpp"
#include "berth/support/files.hpp"
#include "berth/support/lock_holders.hpp"
#include "berth/support/status.hpp"

namespace berth::runc {

using support::Fd;

namespace {

// The monitor's name for it; see its server.
constexpr const char* kSocketName = "sock";

int timeoutMs(std::chrono::steady_clock::time_point deadline) {
  if (deadline == std::chrono::steady_clock::time_point::max()) return -1;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 1 << 30));
}

// Until `fd` has `events`.
absl::Status waitFor(int fd, short events, const CallLimits& limits, const std::string& what) {
  for (;;) {
    pollfd fds[2] = {{fd, events, 0}, {limits.cancelFd, POLLIN, 0}};
    const int timeout = timeoutMs(limits.deadline);
    const int count = poll(fds, 2, timeout);
    if (count < 0) {
      if (errno == EINTR) continue;
      return support::errnoStatus(errno, what);
    }
    if (fds[0].revents != 0) return absl::OkStatus();
    if (count > 0) return absl::CancelledError(absl::StrCat(what, ": cancelled"));
    if (timeoutMs(limits.deadline) == 0) {
      return absl::DeadlineExceededError(absl::StrCat(what, ": the deadline has passed"));
    }
  }
}

// What a durable step that the monitor is asked for is called.
const char* nameOf(protocol::Type type) {
  switch (type) {
    case protocol::Type::kCreateContainer:
      return "create container";
    case protocol::Type::kStartContainer:
      return "start container";
    case protocol::Type::kKillContainer:
      return "kill container";
    case protocol::Type::kDeleteContainer:
      return "delete container";
    case protocol::Type::kExec:
      return "exec";
    case protocol::Type::kWaitExec:
      return "wait for exec";
    case protocol::Type::kKillExec:
      return "kill exec";
    case protocol::Type::kShutdown:
      return "shut down";
    default:
      return nullptr;  // it changes nothing that stays
  }
}

void tellStep(const char* step, const std::string& frame) {
  protocol::Header header;
  std::string_view fields;
  if (protocol::decodeHeader(frame, header, fields)) return;
  if (const char* name = nameOf(header.type)) support::durableStep(step, name);
}

void wake(int eventFd) {
  const uint64_t one = 1;
  // An eventfd that counts a single wake cannot be full.
  static_cast<void>(!write(eventFd, &one, sizeof one));
}

size_t attachDescriptors(const Streams& streams, char* control, msghdr& message) {
  int fds[protocol::kMaxDescriptors];
  size_t count = 0;
  for (int fd : {streams.standardInput, streams.standardOutput, streams.standardError}) {
    if (fd >= 0) fds[count++] = fd;
  }
  if (count == 0) return 0;
  message.msg_control = control;
  message.msg_controllen = CMSG_SPACE(count * sizeof(int));
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(count * sizeof(int));
  memcpy(CMSG_DATA(header), fds, count * sizeof(int));
  return count;
}

// Whether the one at the socket's other end is who holds the run folder.
bool isMonitor(int socket, const struct stat& runDir) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         support::holdsLock(peer.pid, runDir);
}

}  // namespace

absl::StatusOr<Fd> connectToMonitor(const std::string& runDir) {
  BERTH_ASSIGN_OR_RETURN(const Fd directory,
                         support::openFile(runDir, O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct stat info = {};
  if (fstat(directory.get(), &info) != 0) return support::errnoStatus(errno, runDir);
  // Through the descriptor, because a socket's path is limited to 108 bytes.
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = absl::StrCat("/proc/self/fd/", directory.get(), "/", kSocketName);
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return support::errnoStatus(errno, "make a socket");
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const std::string doing = absl::StrCat("connect to the monitor of ", runDir);
    // EPROTOTYPE: a socket that no monitor has made.
    if (errno == ENOENT || errno == ECONNREFUSED || errno == EPROTOTYPE) {
      return absl::NotFoundError(absl::StrCat(doing, ": none serves it (", strerror(errno), ")"));
    }
    return support::errnoStatus(errno, doing);
  }
  if (!isMonitor(socket.get(), info)) {
    return absl::NotFoundError(absl::StrCat("connect to the monitor of ", runDir,
                                            ": none serves it (another program has its socket)"));
  }
  return socket;
}

absl::StatusOr<std::shared_ptr<MonitorClient::Connection>> MonitorClient::Connection::open(
    const std::string& runDir, EventHandler handler) {
  std::shared_ptr<Connection> connection(new Connection(runDir, std::move(handler)));
  BERTH_ASSIGN_OR_RETURN(connection->socket_, connectToMonitor(runDir));
  BERTH_ASSIGN_OR_RETURN(connection->reader_, Reader::instance());
  BERTH_ASSIGN_OR_RETURN(connection->readerId_,
                         connection->reader_->add(connection->socket_.get(), connection));
  return connection;
}

void MonitorClient::Connection::close() {
  reader_->remove(readerId_, socket_.get());
  const std::lock_guard lock(dispatch_);
  closed_ = true;
}

absl::Status MonitorClient::Connection::setHello(protocol::HelloReply hello) {
  const std::lock_guard dispatch(dispatch_);
  const std::lock_guard lock(mutex_);
  if (lost_) return lostStatus();
  hello_ = std::move(hello);
  greeted_ = true;
  return absl::OkStatus();
}

uint32_t MonitorClient::Connection::nextId() {
  uint32_t id = ++lastId_;
  while (id == 0) id = ++lastId_;  // 0 is for events
  return id;
}

absl::Status MonitorClient::Connection::lostStatus() const {
  return absl::UnavailableError(
      absl::StrCat("the connection to the monitor of ", runDir_, " is lost"));
}

absl::Status MonitorClient::Connection::send(const std::string& frame, const Streams& streams,
                                             const CallLimits& limits) {
  if (frame.size() > protocol::kMaxFrame) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a request of ", frame.size(), " bytes to the monitor of ", runDir_, " is too large"));
  }
  alignas(cmsghdr) char control[CMSG_SPACE(protocol::kMaxDescriptors * sizeof(int))] = {};
  iovec part{const_cast<char*>(frame.data()), frame.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  attachDescriptors(streams, control, message);
  // A packet goes whole or not at all, so callers need no order among themselves.
  while (sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    if (errno == EINTR) continue;
    if (errno == EPIPE || errno == ECONNRESET) return lostStatus();
    const std::string doing = absl::StrCat("send a request to the monitor of ", runDir_);
    if (errno != EAGAIN) return support::errnoStatus(errno, doing);
    BERTH_RETURN_IF_ERROR(waitFor(socket_.get(), POLLOUT, limits, doing));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> MonitorClient::Connection::exchange(
    uint32_t id, const std::string& frame, const Streams& streams, const CallLimits& limits) {
  Waiter waiter;
  waiter.wake.reset(eventfd(0, EFD_CLOEXEC));
  if (!waiter.wake) return support::errnoStatus(errno, "make an eventfd");
  {
    const std::lock_guard lock(mutex_);
    if (lost_) return lostStatus();
    waiters_.emplace(id, &waiter);
  }
  absl::Status status = send(frame, streams, limits);
  if (status.ok()) {
    tellStep("ask monitor", frame);
    status = waitFor(waiter.wake.get(), POLLIN, limits,
                     absl::StrCat("wait for the monitor of ", runDir_));
  }
  if (status.ok()) tellStep("answer of monitor", frame);
  const std::lock_guard lock(mutex_);
  waiters_.erase(id);
  BERTH_RETURN_IF_ERROR(status);
  if (!waiter.done) return lostStatus();
  return std::move(waiter.frames);
}

absl::Status MonitorClient::Connection::waitLost(const CallLimits& limits) {
  Waiter waiter;
  waiter.wake.reset(eventfd(0, EFD_CLOEXEC));
  if (!waiter.wake) return support::errnoStatus(errno, "make an eventfd");
  {
    const std::lock_guard lock(mutex_);
    if (lost_) return absl::OkStatus();
    lostWaiters_.push_back(&waiter);
  }
  absl::Status status = waitFor(waiter.wake.get(), POLLIN, limits,
                                absl::StrCat("wait for the end of the monitor of ", runDir_));
  const std::lock_guard lock(mutex_);
  std::erase(lostWaiters_, &waiter);
  return status;
}

// ---- the reader's thread -----------------------------------------------------------------------

bool MonitorClient::Connection::onReadable() {
  static thread_local std::string buffer(protocol::kMaxFrame, '\0');
  const std::lock_guard lock(dispatch_);
  for (;;) {
    if (closed_) return false;
    const ssize_t size = recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return true;
    if (size <= 0) break;
    onFrame(buffer.substr(0, static_cast<size_t>(size)));
  }
  reader_->remove(readerId_, socket_.get());
  onLost();
  return false;
}

void MonitorClient::Connection::onFrame(std::string frame) {
  protocol::Header header;
  std::string_view fields;
  if (protocol::decodeHeader(frame, header, fields)) return;
  if ((header.flags & protocol::kReply) != 0) {
    onReply(header.id, header.flags, std::move(frame));
  } else {
    onEvent(header, fields);
  }
}

void MonitorClient::Connection::onReply(uint32_t id, uint16_t flags, std::string frame) {
  const std::lock_guard lock(mutex_);
  const auto found = waiters_.find(id);
  if (found == waiters_.end()) return;  // the caller has given up
  found->second->frames.push_back(std::move(frame));
  if ((flags & protocol::kMore) != 0) return;
  found->second->done = true;
  wake(found->second->wake.get());
}

void MonitorClient::Connection::onEvent(const protocol::Header& header, std::string_view fields) {
  if (!handler_ || !greeted_) return;
  MonitorEvent event;
  event.podId = hello_.facts.podId;
  if (header.type == protocol::Type::kContainerExited) {
    protocol::ContainerExitedEvent exited;
    if (protocol::decodeFields(fields, exited)) return;
    event.kind = MonitorEvent::Kind::kContainerExited;
    event.status = std::move(exited.status);
  } else if (header.type == protocol::Type::kOomKilled) {
    protocol::OomKilledEvent killed;
    if (protocol::decodeFields(fields, killed)) return;
    event.kind = MonitorEvent::Kind::kOomKilled;
    event.status.containerId = std::move(killed.containerId);
    event.status.oomKills = killed.oomKills;
  } else {
    return;  // of a newer monitor
  }
  handler_(event);
}

void MonitorClient::Connection::onLost() {
  {
    const std::lock_guard lock(mutex_);
    lost_ = true;
    for (const auto& [id, waiter] : waiters_) wake(waiter->wake.get());
    for (Waiter* waiter : lostWaiters_) wake(waiter->wake.get());
  }
  if (!handler_ || !greeted_) return;
  MonitorEvent event;
  event.kind = MonitorEvent::Kind::kConnectionLost;
  event.podId = hello_.facts.podId;
  handler_(event);
}

}  // namespace berth::runc
