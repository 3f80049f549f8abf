// The socket in the run folder and the connections to it.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../protocol/wire.hpp"
#include "loop.hpp"

namespace berth::runc::monitor {

inline constexpr const char* kSocketName = "sock";

class Connection;

class RequestHandler {
 public:
  // `fds` has protocol::kMaxDescriptors places, of which `fdCount` are filled; it may take them.
  virtual void onRequest(Connection& connection, const protocol::Header& header,
                         std::string_view fields, Fd* fds, size_t fdCount) = 0;
  virtual void onDisconnect(uint64_t connection) = 0;

 protected:
  ~RequestHandler() = default;
};

class Server final : Watcher, Timer {
 public:
  Server(Loop& loop, RequestHandler& handler) : loop_(loop), handler_(handler) {}
  ~Server();

  // Listens from here on; clients are answered once the loop runs.
  Status open(int runDir);
  // Removes the socket's file: nobody connects any more.
  void close();

  Connection* find(uint64_t id) const;
  void tellSubscribers(const std::string& frame);

 private:
  friend class Connection;

  void onReady(uint32_t events) override;
  void onTimer() override;
  void hangUp(Connection& connection);

  Loop& loop_;
  RequestHandler& handler_;
  int runDir_ = -1;
  Fd listener_;  // not watched while the timer is armed
  uint64_t lastId_ = 0;
  std::vector<std::unique_ptr<Connection>> connections_;
};

class Connection final : public Mortal, Watcher {
 public:
  Connection(Server& server, uint64_t id, Fd fd);
  ~Connection() override { close(); }

  uint64_t id() const { return id_; }
  // Never blocks. A client that does not read is hung up on when too much waits for it.
  void send(std::string frame);

  bool greeted = false;     // versions are agreed
  bool subscribed = false;  // gets events

 private:
  friend class Server;

  bool watch();
  void onReady(uint32_t events) override;
  void receive();
  void flush();
  void close();

  Server& server_;
  uint64_t id_;
  Fd fd_;
  std::deque<std::string> outbox_;
  size_t outboxBytes_ = 0;
};

}  // namespace berth::runc::monitor
