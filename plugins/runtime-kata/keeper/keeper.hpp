// A pod's keeper: its processes' streams, its shim's log and events, and the socket for the plugin.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "../ttrpc/server.hpp"
#include "berth/streams/packet_server.hpp"
#include "process.hpp"
#include "protocol.hpp"
#include "shim_log.hpp"

namespace berth::kata::keeper {

// Where things are; all of them paths.
struct Places {
  std::string directory;  // of the keeper: its socket is here, and its lock on it
  std::string events;     // the socket for the shim's events
  std::string logFifo;    // the shim writes its log there
  std::string logFile;    // and it is kept here
};

class Keeper final : streams::PacketHandler,
                     ttrpc::Handler,
                     public ProcessListener,
                     streams::Timer {
 public:
  Keeper() : control_(loop_, *this), events_(loop_, *this), log_(loop_) {}

  // ALREADY_EXISTS when a keeper serves the directory.
  streams::Status open(const Places& places);
  // Until it is shut down.
  void run() { loop_.run(); }
  // Removes the sockets.
  void close();

 private:
  bool onPacket(streams::Connection& connection, std::string_view packet, Fd* fds,
                size_t count) override;
  void onDisconnect(uint64_t) override {}
  void onRequest(ttrpc::Request request, ttrpc::Responder responder) override;
  void onInputEnded(const std::string& key) override { tell(EventKind::kInputEnded, key); }
  void onOomKilled(const std::string& key) override { tell(EventKind::kOomKilled, key); }
  void onSessionsGone(Process& process) override;
  void onTimer() override { loop_.stop(); }

  // What is answered at once.
  streams::Status perform(const Request& request, Fd* fds, size_t count);
  streams::Status openProcess(const Request& request);
  streams::Status attach(Process& process, const Request& request, Fd* fds, size_t count);
  void finish(streams::Connection& connection, const Request& request);
  void forget(const std::string& key);
  void shutDown();
  void list(streams::Connection& connection);
  void onShimEvent(std::string_view topic, std::string_view container, std::string_view id);
  void tell(EventKind kind, const std::string& key);

  streams::Loop loop_;
  Fd directory_;
  std::string directoryPath_;
  std::string eventsPath_;
  streams::PacketServer control_;
  ttrpc::Server events_;
  ShimLog log_;
  std::map<std::string, std::unique_ptr<Process>, std::less<>> processes_;
  // Forgotten, but there are sessions that have not read all of their output yet.
  std::vector<std::unique_ptr<Process>> leaving_;
  bool shuttingDown_ = false;
};

}  // namespace berth::kata::keeper
