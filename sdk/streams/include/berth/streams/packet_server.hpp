// A socket of packets in a folder, and the connections to it.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "berth/streams/listener.hpp"
#include "berth/streams/loop.hpp"

namespace berth::streams {

// Descriptors that may come with a packet; those beyond are closed.
inline constexpr size_t kMaxDescriptors = 3;

class Connection;

class PacketHandler {
 public:
  // `fds` has kMaxDescriptors places, of which `count` are filled; it may take them. False hangs up
  // on a client that speaks another language.
  virtual bool onPacket(Connection& connection, std::string_view packet, Fd* fds, size_t count) = 0;
  virtual void onDisconnect(uint64_t connection) = 0;

 protected:
  ~PacketHandler() = default;
};

class PacketServer final : Acceptor {
 public:
  PacketServer(Loop& loop, PacketHandler& handler)
      : loop_(loop), handler_(handler), listener_(loop, *this) {}
  ~PacketServer();

  // Listens from here on; clients are answered once the loop runs. `directory` is borrowed, and the
  // caller alone may serve in it: a socket that is there has nobody behind it. A client that sends
  // more than `maxPacket` bytes at once is hung up on.
  Status open(int directory, const char* name, size_t maxPacket);
  // Removes the socket's file: nobody connects any more.
  void close();

  Connection* find(uint64_t id) const;
  void tellSubscribers(const std::string& frame);

 private:
  friend class Connection;

  void onAccepted(Fd socket) override;
  void hangUp(Connection& connection);

  Loop& loop_;
  PacketHandler& handler_;
  int directory_ = -1;
  std::string name_;
  size_t maxPacket_ = 0;
  Listener listener_;
  uint64_t lastId_ = 0;
  std::vector<std::unique_ptr<Connection>> connections_;
};

class Connection final : public Mortal, Watcher {
 public:
  Connection(PacketServer& server, uint64_t id, Fd fd);
  ~Connection() override { close(); }

  uint64_t id() const { return id_; }
  // Never blocks. A client that does not read is hung up on when too much waits for it.
  void send(std::string frame);

  bool greeted = false;     // versions are agreed
  bool subscribed = false;  // gets events

 private:
  friend class PacketServer;

  bool watch();
  void onReady(uint32_t events) override;
  void receive();
  void flush();
  void close();

  PacketServer& server_;
  uint64_t id_;
  Fd fd_;
  std::deque<std::string> outbox_;
  size_t outboxBytes_ = 0;
};

}  // namespace berth::streams
