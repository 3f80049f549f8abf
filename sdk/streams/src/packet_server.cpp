#include "berth/streams/packet_server.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/socket.h>
#include <unistd.h>

#include "berth/streams/unix_socket.hpp"
#include "berth/support/steps.hpp"

namespace berth::streams {

namespace {

constexpr size_t kMaxOutbox = 1u << 20;

}  // namespace

PacketServer::~PacketServer() {
  close();
}

Status PacketServer::open(int directory, const char* name, size_t maxPacket) {
  directory_ = directory;
  name_ = name;
  maxPacket_ = maxPacket;
  support::steps::unlinkat(directory, name, 0);
  Fd socket;
  if (Status status = listenAt(directory, name_, SOCK_SEQPACKET, socket); !isOk(status)) {
    return status;
  }
  if (!listener_.open(std::move(socket))) return errnoFailure(errno, {"watch the socket ", name_});
  return {};
}

void PacketServer::close() {
  if (!listener_.isOpen()) return;
  support::steps::unlinkat(directory_, name_.c_str(), 0);
  listener_.close();
}

void PacketServer::onAccepted(Fd socket) {
  auto connection = std::make_unique<Connection>(*this, ++lastId_, std::move(socket));
  if (connection->watch()) connections_.push_back(std::move(connection));
}

Connection* PacketServer::find(uint64_t id) const {
  for (const auto& connection : connections_) {
    if (connection->id() == id) return connection.get();
  }
  return nullptr;
}

void PacketServer::tellSubscribers(const std::string& frame) {
  // Sending may hang up on one, which takes it off the list.
  for (size_t i = connections_.size(); i-- > 0;) {
    if (i < connections_.size() && connections_[i]->subscribed) connections_[i]->send(frame);
  }
}

void PacketServer::hangUp(Connection& connection) {
  const auto found =
      std::find_if(connections_.begin(), connections_.end(),
                   [&connection](const auto& each) { return each.get() == &connection; });
  if (found == connections_.end()) return;
  connection.close();
  loop_.bury(std::move(*found));
  connections_.erase(found);
  handler_.onDisconnect(connection.id());
}

Connection::Connection(PacketServer& server, uint64_t id, Fd fd)
    : server_(server), id_(id), fd_(std::move(fd)) {}

bool Connection::watch() {
  return server_.loop_.add(fd_.get(), EPOLLIN, *this);
}

void Connection::close() {
  if (!fd_) return;
  server_.loop_.remove(fd_.get(), *this);
  fd_.reset();
}

void Connection::onReady(uint32_t events) {
  if ((events & EPOLLOUT) != 0) flush();
  // What a client has sent before it hung up is still read.
  if (fd_ && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive();
}

void Connection::receive() {
  const ssize_t size = recv(fd_.get(), nullptr, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0 || static_cast<size_t>(size) > server_.maxPacket_) return server_.hangUp(*this);

  std::string packet(static_cast<size_t>(size), '\0');
  Fd fds[kMaxDescriptors];
  size_t count = 0;
  const ssize_t received =
      receiveWithFds(fd_.get(), packet.data(), packet.size(), fds, kMaxDescriptors, count);
  if (received != size || !server_.handler_.onPacket(*this, packet, fds, count)) {
    server_.hangUp(*this);
  }
}

void Connection::send(std::string frame) {
  if (!fd_) return;
  outboxBytes_ += frame.size();
  outbox_.push_back(std::move(frame));
  if (outboxBytes_ > kMaxOutbox) return server_.hangUp(*this);
  if (outbox_.size() == 1) flush();
}

void Connection::flush() {
  while (!outbox_.empty()) {
    const std::string& frame = outbox_.front();
    if (::send(fd_.get(), frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        server_.loop_.modify(fd_.get(), EPOLLIN | EPOLLOUT, *this);
        return;
      }
      return server_.hangUp(*this);
    }
    outboxBytes_ -= frame.size();
    outbox_.pop_front();
  }
  server_.loop_.modify(fd_.get(), EPOLLIN, *this);
}

}  // namespace berth::streams
