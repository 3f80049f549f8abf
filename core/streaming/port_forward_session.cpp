// Port-forward: connections to ports of a pod, each a pair of streams.
#include <charconv>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "streaming/copy.hpp"
#include "streaming/session.hpp"

namespace berth::streaming {

namespace asio = boost::asio;
namespace v1 = runtime::v1;
using support::strCat;

namespace {

// How many connections to ports are set up at a time, each on a thread of its own.
constexpr size_t kMostConnecting = 8;
// Connections of one client. A stream that the client has reset counts no more in its protocol, but
// what was begun for it here still does.
constexpr size_t kMostForwards = 512;

std::string header(const Stream& stream, const std::string& name) {
  const auto found = stream.headers().find(name);
  return found == stream.headers().end() ? std::string() : found->second;
}

// 0 when there is none.
uint16_t portOf(const Stream& stream) {
  const std::string text = header(stream, "port");
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() ? port : 0;
}

class PortForwardSession {
 public:
  PortForwardSession(Session& session, const v1::PortForwardRequest& request)
      : session_(session), pod_(request.pod_sandbox_id()), tasks_(session.executor()) {}

  Task<absl::Status> run() {
    tasks_.spawn(acceptStreams());
    co_await session_.until(
        [this] { return session_.interrupted() || (!noMoreStreams_.ok() && forwarding_ == 0); });
    // Clients end it by closing the connection.
    const bool byClient = absl::IsOutOfRange(noMoreStreams_) &&
                          (session_.why().ok() || absl::IsUnavailable(session_.why()));
    pairs_.clear();
    for (AsyncFd* socket : sockets_) socket->close();
    co_await session_.connection().shutdown();
    co_await tasks_.join();
    if (byClient) co_return absl::OkStatus();
    co_return session_.why();
  }

 private:
  struct Pair {
    uint16_t port = 0;
    std::shared_ptr<Stream> error;
    std::shared_ptr<Stream> data;
    std::unique_ptr<Ticker> timeout;
  };

  Task<void> acceptStreams() {
    for (;;) {
      absl::StatusOr<std::shared_ptr<Stream>> stream = co_await session_.connection().accept();
      if (!stream.ok()) {
        noMoreStreams_ = stream.status();
        session_.notify();
        co_return;
      }
      session_.touch();
      if (const absl::Status taken = take(*stream); !taken.ok()) {
        common::logDebug("a stream for port-forward is refused",
                         {{"error", support::fromAbsl(taken.message())}});
        (*stream)->reset();
      }
    }
  }

  absl::Status take(const std::shared_ptr<Stream>& stream) {
    const uint16_t port = portOf(*stream);
    if (port == 0) {
      return absl::InvalidArgumentError(
          strCat("the header port is no port's number: \"", header(*stream, "port"), "\""));
    }
    const std::string type = header(*stream, "streamtype");
    if (type != "error" && type != "data") {
      return absl::InvalidArgumentError(
          strCat("the header streamtype is neither error nor data: \"", type, "\""));
    }
    // Clients from before request ids open the two streams of a port one after the other.
    const std::string id = header(*stream, "requestid");
    const std::string key = id.empty() ? strCat("port ", port) : strCat("request ", id);
    if (pairs_.size() + forwarding_ >= kMostForwards && !pairs_.contains(key)) {
      return absl::ResourceExhaustedError(
          strCat(kMostForwards, " connections are forwarded for this client already"));
    }
    Pair& pair = pairs_[key];
    std::shared_ptr<Stream>& slot = type == "error" ? pair.error : pair.data;
    if (slot != nullptr || (pair.port != 0 && pair.port != port)) {
      return absl::InvalidArgumentError(
          strCat(key, " has a stream of type ", type, " or another port already"));
    }
    slot = stream;
    pair.port = port;
    if (pair.error == nullptr || pair.data == nullptr) {
      pair.timeout = std::make_unique<Ticker>(session_.executor(),
                                              session_.services().settings.handshakeTimeout,
                                              [this, key] { giveUp(key); });
      return absl::OkStatus();
    }
    ++forwarding_;
    tasks_.spawn(forward(std::move(pair)));
    pairs_.erase(key);
    return absl::OkStatus();
  }

  // The other stream of the pair has not come.
  void giveUp(const std::string& key) {
    const auto found = pairs_.find(key);
    if (found == pairs_.end()) return;
    Pair pair = std::move(found->second);
    pairs_.erase(found);
    if (pair.data) pair.data->reset();
    if (pair.error) {
      tasks_.spawn(report(pair.error, strCat("forward port ", pair.port, " of pod ", pod_, ": ",
                                             key, " got no data stream in time")));
    }
  }

  Task<void> forward(Pair pair) {
    pair.timeout.reset();
    const absl::Status connected = co_await connectAndCopy(pair);
    if (!connected.ok()) {
      co_await report(pair.error, strCat("forward port ", pair.port, " of pod ", pod_, ": ",
                                         support::fromAbsl(connected.message())));
      pair.data->reset();
    }
    --forwarding_;
    session_.notify();
  }

  Task<void> report(std::shared_ptr<Stream> error, std::string message) {
    (void)co_await error->write(asio::buffer(message));
    (void)co_await error->closeWrite();
  }

  // An error means that there was no connection.
  Task<absl::Status> connectAndCopy(Pair& pair) {
    co_await session_.until(
        [this] { return connecting_ < kMostConnecting || session_.interrupted(); });
    if (session_.interrupted()) co_return session_.why();
    ++connecting_;
    absl::StatusOr<support::Fd> fd = co_await session_.block(
        [this, &pair] { return session_.services().backend.connect(pod_, pair.port); });
    --connecting_;
    session_.notify();
    if (!fd.ok()) co_return fd.status();
    absl::StatusOr<std::unique_ptr<AsyncFd>> socket =
        AsyncFd::adopt(session_.executor(), *std::move(fd));
    if (!socket.ok()) co_return socket.status();
    if (session_.interrupted()) co_return session_.why();

    const auto listed = sockets_.insert(sockets_.end(), socket->get());
    TaskGroup directions(session_.executor());
    directions.spawn(download(**socket, pair));
    directions.spawn(upload(*pair.data, **socket));
    co_await directions.join();
    sockets_.erase(listed);
    co_return absl::OkStatus();
  }

  // A connection that breaks breaks the client's too. That is no failure to forward: a message on
  // the error stream would make clients give up all their other connections.
  Task<void> download(AsyncFd& socket, Pair& pair) {
    const CopyEnd end = co_await copyToClient(session_, socket, *pair.data);
    if (end == CopyEnd::kSourceEnded) (void)co_await pair.data->closeWrite();
    if (end == CopyEnd::kSourceFailed) pair.data->reset();
    if (end == CopyEnd::kSinkFailed) socket.close();
    // Not only once the client has ended its side: clients wait for this with the pod's end of the
    // data in hand, and only then let go of their own (kubectl before 1.31).
    (void)co_await pair.error->closeWrite();
  }

  Task<void> upload(Stream& client, AsyncFd& socket) {
    const CopyEnd end = co_await copyFromClient(session_, client, socket);
    if (end == CopyEnd::kSourceEnded) socket.shutdownWrite();
    if (end == CopyEnd::kSourceFailed) socket.close();
    // It may still answer.
    if (end == CopyEnd::kSinkFailed) co_await discard(session_, client);
  }

  Session& session_;
  const std::string pod_;
  std::map<std::string, Pair> pairs_;  // those that wait for their other stream
  std::list<AsyncFd*> sockets_;
  size_t connecting_ = 0;
  size_t forwarding_ = 0;
  absl::Status noMoreStreams_;
  TaskGroup tasks_;
};

}  // namespace

Task<absl::Status> portForwardSession(Session& session, const v1::PortForwardRequest& request) {
  PortForwardSession forward(session, request);
  co_return co_await forward.run();
}

}  // namespace berth::streaming
