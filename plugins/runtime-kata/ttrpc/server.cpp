#include "server.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/socket.h>

namespace berth::kata::ttrpc {

namespace {

constexpr size_t kMaxOutbox = 2 * (size_t{kMaxData} + kHeaderSize);

}  // namespace

class ServerConnection final : public streams::Mortal, streams::Watcher, FrameSink {
 public:
  ServerConnection(Server& server, uint64_t id, Fd fd)
      : server_(server), id_(id), fd_(std::move(fd)), reader_(*this) {}
  ~ServerConnection() override { close(); }

  uint64_t id() const { return id_; }
  bool watch() { return server_.loop_.add(fd_.get(), EPOLLIN, *this); }

  void close() {
    if (!fd_) return;
    server_.loop_.remove(fd_.get(), *this);
    fd_.reset();
  }

  void send(uint32_t stream, const Response& response) {
    if (!fd_) return;
    std::string data = encode(response);
    if (data.size() > kMaxData) {
      data = encode(Response{static_cast<int32_t>(streams::Code::kResourceExhausted),
                             "the response is larger than a frame may be",
                             {}});
    }
    outbox_ += encodeFrame(stream, FrameType::kResponse, data);
    if (outbox_.size() - sent_ > kMaxOutbox) return server_.hangUp(*this);
    flush();
  }

 private:
  void onReady(uint32_t events) override {
    if ((events & EPOLLOUT) != 0) flush();
    if (fd_ && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive();
  }

  void receive() {
    static char buffer[16u << 10];
    const ssize_t count = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) return server_.hangUp(*this);
    reader_.push({buffer, static_cast<size_t>(count)});
    if (bad_) server_.hangUp(*this);
  }

  void onFrame(const FrameHeader& header, std::string_view data) override {
    if (bad_ || !checkStream(header)) return;
    const Responder responder(server_, id_, header.stream);
    Request request;
    if (!decode(data, request)) {
      bad_ = true;
    } else if ((header.flags & kRemoteOpen) != 0) {
      responder.answer({static_cast<int32_t>(streams::Code::kUnimplemented),
                        "this server has unary calls alone",
                        {}});
    } else {
      server_.handler_.onRequest(std::move(request), responder);
    }
  }

  void onOversized(const FrameHeader& header) override {
    if (bad_ || !checkStream(header)) return;
    send(header.stream, {static_cast<int32_t>(streams::Code::kResourceExhausted),
                         "the request is larger than a frame may be",
                         {}});
  }

  // Data of streams that were refused is ignored; the rest must be a request on a new stream.
  bool checkStream(const FrameHeader& header) {
    if (header.type == FrameType::kData && header.stream <= lastStream_) return false;
    bad_ = header.type != FrameType::kRequest || header.stream % 2 == 0 ||
           header.stream <= lastStream_;
    if (!bad_) lastStream_ = header.stream;
    return !bad_;
  }

  void flush() {
    while (sent_ < outbox_.size()) {
      const ssize_t count = ::send(fd_.get(), outbox_.data() + sent_, outbox_.size() - sent_,
                                   MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) {
        server_.loop_.modify(fd_.get(), EPOLLIN | EPOLLOUT, *this);
        return;
      }
      if (count < 0) return server_.hangUp(*this);
      sent_ += static_cast<size_t>(count);
    }
    std::string().swap(outbox_);
    sent_ = 0;
    server_.loop_.modify(fd_.get(), EPOLLIN, *this);
  }

  Server& server_;
  const uint64_t id_;
  Fd fd_;
  FrameReader reader_;
  std::string outbox_;
  size_t sent_ = 0;
  uint32_t lastStream_ = 0;
  bool bad_ = false;
};

void Responder::answer(const Response& response) const {
  if (ServerConnection* connection = server_->find(connection_)) {
    connection->send(stream_, response);
  }
}

bool Responder::isWanted() const {
  return server_->find(connection_) != nullptr;
}

Server::Server(streams::Loop& loop, Handler& handler)
    : loop_(loop), handler_(handler), listener_(loop, *this) {}

Server::~Server() {
  close();
}

streams::Status Server::open(Fd listener) {
  if (listener_.open(std::move(listener))) return {};
  return streams::errnoFailure(errno, {"watch the socket of a ttrpc server"});
}

void Server::close() {
  connections_.clear();
  listener_.close();
}

void Server::onAccepted(Fd socket) {
  auto connection = std::make_unique<ServerConnection>(*this, ++lastId_, std::move(socket));
  if (connection->watch()) connections_.push_back(std::move(connection));
}

ServerConnection* Server::find(uint64_t id) const {
  for (const auto& connection : connections_) {
    if (connection->id() == id) return connection.get();
  }
  return nullptr;
}

void Server::hangUp(ServerConnection& connection) {
  const auto found =
      std::find_if(connections_.begin(), connections_.end(),
                   [&connection](const auto& each) { return each.get() == &connection; });
  if (found == connections_.end()) return;
  connection.close();
  loop_.bury(std::move(*found));
  connections_.erase(found);
}

}  // namespace berth::kata::ttrpc
