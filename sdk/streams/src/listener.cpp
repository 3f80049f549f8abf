#include "berth/streams/listener.hpp"

#include <cerrno>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace berth::streams {

namespace {

constexpr int64_t kShortagePauseNs = 100'000'000;

bool isShortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

// The mode of the socket and of its folder say the same.
bool mayConnect(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

}  // namespace

bool Listener::open(Fd socket) {
  socket_ = std::move(socket);
  return loop_.add(socket_.get(), EPOLLIN, *this);
}

void Listener::close() {
  if (!socket_) return;
  loop_.disarm(*this);
  loop_.remove(socket_.get(), *this);
  socket_.reset();
}

void Listener::onReady(uint32_t) {
  Fd accepted(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!accepted && isShortage(errno)) {
    // The client stays in the queue, and would be told of again and again.
    loop_.remove(socket_.get(), *this);
    loop_.arm(*this, kShortagePauseNs);
    return;
  }
  if (accepted && mayConnect(accepted.get())) acceptor_.onAccepted(std::move(accepted));
}

void Listener::onTimer() {
  if (!loop_.add(socket_.get(), EPOLLIN, *this)) loop_.arm(*this, kShortagePauseNs);
}

}  // namespace berth::streams
