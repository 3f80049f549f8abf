// A listening socket on an event loop.
#pragma once

#include "berth/streams/loop.hpp"

namespace berth::streams {

class Acceptor {
 public:
  // A non-blocking connection of a peer of this program's own user.
  virtual void onAccepted(Fd socket) = 0;

 protected:
  ~Acceptor() = default;
};

// Only the user that the program runs as (root) may speak to it: others are hung up on. While there
// is a shortage of descriptors or memory, clients wait.
class Listener final : Watcher, Timer {
 public:
  Listener(Loop& loop, Acceptor& acceptor) : loop_(loop), acceptor_(acceptor) {}
  ~Listener() { close(); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // `socket`: non-blocking, listening. False with errno when the loop refuses it.
  bool open(Fd socket);
  void close();
  bool isOpen() const { return static_cast<bool>(socket_); }

 private:
  void onReady(uint32_t events) override;
  void onTimer() override;

  Loop& loop_;
  Acceptor& acceptor_;
  Fd socket_;  // not watched while the timer is armed
};

}  // namespace berth::streams
