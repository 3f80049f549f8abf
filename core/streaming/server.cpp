#include "streaming/server.hpp"

#include <condition_variable>
#include <csignal>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/system/system_error.hpp>

#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "common/workers.hpp"
#include "streaming/connection.hpp"
#include "streaming/listener.hpp"
#include "streaming/session.hpp"
#include "streaming/tls.hpp"
#include "streaming/tokens.hpp"

namespace berth::streaming {

namespace asio = boost::asio;
namespace v1 = runtime::v1;
using asio::ip::tcp;
using support::strCat;

namespace {

constexpr size_t kThreads = 2;
// Connections without a session. When one more comes the oldest has to go, so that those who say
// nothing do not keep others out.
constexpr size_t kMostStrangers = 256;
// Of those that had to go, how many may still be on their way out.
constexpr size_t kMostLeaving = 64;

// As clients on this host reach it.
std::string hostOf(const tcp::endpoint& endpoint) {
  asio::ip::address address = endpoint.address();
  if (address.is_unspecified()) {
    address = address.is_v6() ? asio::ip::address(asio::ip::address_v6::loopback())
                              : asio::ip::address(asio::ip::address_v4::loopback());
  }
  const std::string text = address.to_string();
  return address.is_v6() ? strCat("[", text, "]") : text;
}

absl::Status checkSettings(const Settings& settings) {
  if (settings.certificateFile.empty() != settings.keyFile.empty()) {
    return absl::InvalidArgumentError(
        "the streaming server's certificate and key are given together or not at all");
  }
  if (!settings.clientCaFile.empty() && settings.certificateFile.empty()) {
    return absl::InvalidArgumentError(
        "clients of the streaming server can show certificates only with TLS: give it a "
        "certificate and a key too");
  }
  if (settings.maxSessions == 0 || settings.tokenLifetime.count() <= 0 ||
      settings.handshakeTimeout.count() <= 0 || settings.idleTimeout.count() < 0) {
    return absl::InvalidArgumentError(
        "the streaming server needs at least one session and times of at least one second");
  }
  return absl::OkStatus();
}

template <class Request>
absl::Status checkStreams(const Request& request) {
  if (request.container_id().empty()) {
    return absl::InvalidArgumentError("the request names no container");
  }
  if (!request.stdin() && !request.stdout() && !request.stderr()) {
    return absl::InvalidArgumentError("the request asks for none of stdin, stdout and stderr");
  }
  if (request.tty() && request.stderr()) {
    return absl::InvalidArgumentError(
        "a terminal has no stderr of its own: tty and stderr exclude "
        "each other");
  }
  return absl::OkStatus();
}

}  // namespace

class Server::Impl {
 public:
  Impl(const Settings& settings, Backend& backend, const tcp::endpoint& endpoint,
       std::unique_ptr<TlsContexts> tls)
      : settings_(settings),
        services_{settings_, backend, workers_},
        tokens_(settings.tokenLifetime),
        sessions_(settings.maxSessions),
        tls_(std::move(tls)),
        endpoint_(endpoint),
        baseUrl_(strCat(tls_ ? "https://" : "http://", hostOf(endpoint_), ":", endpoint_.port())) {}

  absl::Status watch(support::Fd listening) {
    BERTH_ASSIGN_OR_RETURN(listener_,
                           Listener::make(
                               listenerStrand_, std::move(listening), [this] { return hasRoom(); },
                               [this](support::Fd client) { admit(std::move(client)); }));
    return absl::OkStatus();
  }

  ~Impl() {
    if (threads_.empty()) return;
    stopListening();
    stopConnections();
    workers_.finish();
    work_.reset();
    for (std::thread& thread : threads_) thread.join();
  }

  uint16_t port() const { return endpoint_.port(); }

  absl::StatusOr<std::string> url(StreamRequest request) {
    BERTH_RETURN_IF_ERROR(startOnce());
    const std::string_view path = pathOf(request);
    BERTH_ASSIGN_OR_RETURN(const std::string token, tokens_.add(std::move(request)));
    return strCat(baseUrl_, "/", path, "/", token);
  }

 private:
  absl::Status startOnce() {
    std::lock_guard lock(startMutex_);
    if (threads_.empty()) {
      try {
        threads_.emplace_back([this] { runThread(); });
      } catch (const std::system_error& error) {
        return absl::ResourceExhaustedError(
            strCat("start the streaming server's thread: ", error.what()));
      }
      asio::co_spawn(listenerStrand_, listener_->run(), [this](const std::exception_ptr&) {
        std::lock_guard stopped(connectionsMutex_);
        listening_ = false;
        connectionsChanged_.notify_all();
      });
    }
    try {
      while (threads_.size() < kThreads) threads_.emplace_back([this] { runThread(); });
    } catch (const std::system_error&) {
      // One is enough; the next URL tries again.
    }
    return absl::OkStatus();
  }

  void runThread() {
    // Pipes of processes break.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    for (;;) {
      try {
        io_.run();
        return;
      } catch (const std::exception& error) {
        common::logError("a streaming connection failed", {{"error", error.what()}});
      }
    }
  }

  bool hasRoom() {
    std::lock_guard lock(connectionsMutex_);
    return connections_.size() < settings_.maxSessions + kMostStrangers + kMostLeaving;
  }

  // Under the lock.
  void makeRoom() {
    if (connections_.size() < sessions_.taken() + kMostStrangers) return;
    for (auto& [number, place] : connections_) {
      if (place.leaves || !place.connection->isStranger()) continue;
      place.leaves = true;
      asio::post(place.strand, [connection = place.connection] { connection->stop(); });
      return;
    }
  }

  void admit(support::Fd client) {
    boost::system::error_code error;
    tcp::socket socket(asio::make_strand(io_));
    socket.assign(endpoint_.protocol(), client.get(), error);
    if (error) {
      common::logWarning("a streaming client cannot be served", {{"error", error.message()}});
      return;
    }
    (void)client.release();  // the socket's now
    const asio::any_io_executor strand = socket.get_executor();
    auto connection = std::make_shared<Connection>(
        services_, tokens_, sessions_,
        Transport(std::move(socket), tls_ ? tls_->current() : nullptr));
    uint64_t number = 0;
    {
      std::lock_guard lock(connectionsMutex_);
      makeRoom();
      number = nextConnection_++;
      connections_.emplace(number, Place{connection, strand});
    }
    asio::co_spawn(strand, connection->serve(),
                   [this, connection, number](const std::exception_ptr&) {
                     std::lock_guard lock(connectionsMutex_);
                     connections_.erase(number);
                     connectionsChanged_.notify_all();
                   });
  }

  void stopListening() {
    asio::post(listenerStrand_, [this] { listener_->close(); });
    std::unique_lock lock(connectionsMutex_);
    connectionsChanged_.wait(lock, [this] { return !listening_; });
  }

  void stopConnections() {
    std::unique_lock lock(connectionsMutex_);
    for (const auto& [number, place] : connections_) {
      asio::post(place.strand, [connection = place.connection] { connection->stop(); });
    }
    connectionsChanged_.wait(lock, [this] { return connections_.empty(); });
  }

  const Settings settings_;
  common::Workers workers_;
  const Services services_;
  Tokens tokens_;
  SessionCount sessions_;
  const std::unique_ptr<TlsContexts> tls_;
  const tcp::endpoint endpoint_;
  const std::string baseUrl_;

  asio::io_context io_{kThreads};
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_{
      asio::make_work_guard(io_)};
  const asio::any_io_executor listenerStrand_ = asio::make_strand(io_);
  std::unique_ptr<Listener> listener_;
  std::mutex startMutex_;
  std::vector<std::thread> threads_;

  std::mutex connectionsMutex_;
  std::condition_variable connectionsChanged_;
  bool listening_ = true;
  struct Place {
    std::shared_ptr<Connection> connection;
    asio::any_io_executor strand;
    bool leaves = false;  // as a stranger too many
  };
  std::map<uint64_t, Place> connections_;  // the oldest first
  uint64_t nextConnection_ = 0;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

absl::StatusOr<std::unique_ptr<Server>> Server::start(const Settings& settings, Backend& backend) {
  BERTH_RETURN_IF_ERROR(checkSettings(settings));
  std::unique_ptr<TlsContexts> tls;
  if (!settings.certificateFile.empty()) {
    BERTH_ASSIGN_OR_RETURN(tls, TlsContexts::load({settings.certificateFile, settings.keyFile,
                                                   settings.clientCaFile}));
  }
  BERTH_ASSIGN_OR_RETURN(ListeningSocket socket, listenOn(settings.address, settings.port));
  try {
    auto impl = std::make_unique<Impl>(settings, backend, socket.endpoint, std::move(tls));
    BERTH_RETURN_IF_ERROR(impl->watch(std::move(socket.fd)));
    return std::unique_ptr<Server>(new Server(std::move(impl)));
  } catch (const boost::system::system_error& error) {
    // Asio makes its epoll descriptor with its first socket.
    return support::errnoStatus(error.code().value(), "start the streaming server");
  }
}

absl::StatusOr<std::string> Server::execUrl(const v1::ExecRequest& request) {
  BERTH_RETURN_IF_ERROR(checkStreams(request));
  if (request.cmd().empty()) return absl::InvalidArgumentError("the request names no command");
  return impl_->url(request);
}

absl::StatusOr<std::string> Server::attachUrl(const v1::AttachRequest& request) {
  BERTH_RETURN_IF_ERROR(checkStreams(request));
  return impl_->url(request);
}

absl::StatusOr<std::string> Server::portForwardUrl(const v1::PortForwardRequest& request) {
  if (request.pod_sandbox_id().empty()) {
    return absl::InvalidArgumentError("the request names no pod sandbox");
  }
  for (const int32_t port : request.port()) {
    if (port < 1 || port > 65535) {
      return absl::InvalidArgumentError(strCat(port, " is no port's number"));
    }
  }
  return impl_->url(request);
}

uint16_t Server::port() const {
  return impl_->port();
}

}  // namespace berth::streaming
