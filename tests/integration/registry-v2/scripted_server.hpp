// An HTTP server on a loopback port that answers exactly as a test tells it to.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "berth/support/fd.hpp"

namespace berth::registry_test {

struct Received {
  std::string method;
  std::string path;
  std::string query;
  std::map<std::string, std::string> headers;  // names lowercase
  std::string body;

  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
  }
};

struct Reply {
  // What happens once `cut` bytes of the body are out.
  enum class Ending { kKeepAlive, kClose, kStall, kDrip };  // the last: a byte each `pause`

  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::optional<size_t> declaredLength;  // none: the body's; kUndeclared: no header at all
  Ending ending = Ending::kKeepAlive;
  size_t cut = SIZE_MAX;
  std::chrono::milliseconds pause{100};

  static constexpr size_t kUndeclared = SIZE_MAX;
};

class ScriptedServer {
 public:
  // Called on a thread of each connection, one call at a time.
  using Handler = std::function<Reply(const Received&)>;

  explicit ScriptedServer(Handler handler);
  // Ends all connections, stalled ones too, and joins their threads.
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::string host() const;    // "127.0.0.1:PORT"
  std::string origin() const;  // "http://127.0.0.1:PORT"
  std::vector<Received> requests() const;
  size_t connections() const;

 private:
  struct Connection {
    support::Fd socket;
    std::thread thread;
  };
  void accept();
  void serve(int socket);
  bool answer(int socket, std::string& pending);
  static bool readRequest(int socket, std::string& pending, Received& out);
  static bool send(int socket, const Reply& reply);

  Handler handler_;
  support::Fd listener_;
  uint16_t port_ = 0;
  mutable std::mutex mutex_;
  bool stopping_ = false;
  std::vector<Received> requests_;
  std::list<Connection> connections_;
  std::thread acceptor_;
};

}  // namespace berth::registry_test
