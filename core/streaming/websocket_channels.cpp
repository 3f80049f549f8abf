#include "streaming/websocket_channels.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "berth/support/status.hpp"
#include "streaming/base64.hpp"

namespace berth::streaming {

namespace asio = boost::asio;
namespace v1 = runtime::v1;
using Headers = std::map<std::string, std::string>;

namespace {

constexpr size_t kReadBytes = 64u << 10;
// v5: the first byte of a message of two that ends the channel in the second.
constexpr uint8_t kCloseSignal = 255;

enum class Direction { kFromClient, kToClient, kBoth };

// Messages to the client, in the protocol's form.
class Sender {
 public:
  Sender(std::shared_ptr<WebSocket> socket, bool base64)
      : socket_(std::move(socket)), base64_(base64), changed_(socket_->executor()) {}

  WebSocket& socket() { return *socket_; }
  bool base64() const { return base64_; }

  // Waits until the client is greeted.
  Task<absl::Status> send(uint8_t channel, asio::const_buffer bytes) {
    co_await changed_.until([this] { return greeted_; });
    co_return co_await sendNow(channel, bytes);
  }
  void allowAll() {
    greeted_ = true;
    changed_.notify();
  }
  Task<absl::Status> sendNow(uint8_t channel, asio::const_buffer bytes) {
    if (!base64_) {
      const std::array<asio::const_buffer, 2> parts = {asio::buffer(&channel, 1), bytes};
      co_return co_await socket_->write(WebSocket::Message::kBinary, parts);
    }
    do {
      const size_t most = std::min(bytes.size(), kBase64Piece);
      std::string message(1, static_cast<char>('0' + channel));
      message += encodeBase64({static_cast<const char*>(bytes.data()), most});
      const asio::const_buffer part = asio::buffer(message);
      const absl::Status sent =
          co_await socket_->write(WebSocket::Message::kText, std::span(&part, 1));
      if (!sent.ok()) co_return sent;
      bytes += most;
    } while (bytes.size() > 0);
    co_return absl::OkStatus();
  }

 private:
  // So that the text stays small beside the bytes; a multiple of three needs no padding.
  static constexpr size_t kBase64Piece = 48u << 10;

  const std::shared_ptr<WebSocket> socket_;
  const bool base64_;
  bool greeted_ = false;
  Signal changed_;
};

class Channel final : public Stream {
 public:
  Channel(Sender& sender, uint8_t number, Direction direction, Headers headers)
      : sender_(sender),
        number_(number),
        direction_(direction),
        headers_(std::move(headers)),
        changed_(sender.socket().executor()) {}

  const Headers& headers() const override { return headers_; }

  Task<absl::StatusOr<size_t>> read(asio::mutable_buffer into) override {
    co_await changed_.until([this] { return !pending_.empty() || readEnded_; });
    if (pending_.empty()) {
      if (failure_.ok()) co_return size_t{0};
      co_return failure_;
    }
    const size_t count = std::min(into.size(), pending_.size());
    std::memcpy(into.data(), pending_.data(), count);
    pending_.remove_prefix(count);
    if (pending_.empty()) changed_.notify();
    co_return count;
  }

  Task<absl::Status> write(asio::const_buffer bytes) override {
    if (direction_ == Direction::kFromClient || writeEnded_) {
      co_return absl::FailedPreconditionError("write to a channel that is closed");
    }
    co_return co_await sender_.send(number_, bytes);
  }

  Task<absl::Status> closeWrite() override {
    writeEnded_ = true;
    // No message says that one direction has ended: a channel for both ends as a whole.
    if (direction_ == Direction::kBoth) endRead(absl::OkStatus());
    co_return absl::OkStatus();
  }

  void reset() override {
    writeEnded_ = true;
    endRead(absl::CancelledError("the channel was reset"));
  }

  // For the connection.

  uint8_t number() const { return number_; }
  bool toClient() const { return direction_ != Direction::kFromClient; }
  // Returns when the bytes are read, or nobody will.
  Task<void> push(std::string_view bytes) {
    if (direction_ == Direction::kToClient || readEnded_ || bytes.empty()) co_return;
    pending_ = bytes;
    changed_.notify();
    co_await changed_.until([this] { return pending_.empty(); });
  }
  // OK: the client has ended the channel. Bytes being pushed are dropped: the client's end comes
  // after them, so that these are ends that the server makes.
  void endRead(absl::Status failure) {
    if (readEnded_) return;
    readEnded_ = true;
    pending_ = {};
    failure_ = std::move(failure);
    changed_.notify();
  }

 private:
  Sender& sender_;
  const uint8_t number_;
  const Direction direction_;
  const Headers headers_;
  std::string_view pending_;
  bool readEnded_ = false;
  bool writeEnded_ = false;
  absl::Status failure_;
  Signal changed_;
};

class Channels final : public StreamConnection {
 public:
  Channels(std::shared_ptr<WebSocket> socket, bool base64, bool closeSignal)
      : socket_(std::move(socket)), sender_(socket_, base64), closeSignal_(closeSignal) {}

  // In the order of their numbers.
  void add(Direction direction, Headers headers) {
    channels_.push_back(std::make_shared<Channel>(sender_, static_cast<uint8_t>(channels_.size()),
                                                  direction, std::move(headers)));
  }
  void addUnused() { channels_.push_back(nullptr); }
  // Is sent before anything else.
  void greet(size_t channel, std::string message) {
    greetings_.emplace_back(channel, std::move(message));
  }

  Task<absl::StatusOr<std::shared_ptr<Stream>>> accept() override {
    while (accepted_ < channels_.size()) {
      if (const auto& channel = channels_[accepted_++]) co_return channel;
    }
    co_return absl::OutOfRangeError("a WebSocket has no more channels than the request names");
  }

  Task<absl::Status> run() override {
    absl::Status status = co_await greetClient();
    // Whether it worked or not: nobody may wait for it for ever.
    sender_.allowAll();
    if (status.ok()) status = co_await carry();
    const bool byClient = absl::IsOutOfRange(status);
    endReads(byClient ? absl::OkStatus() : status);
    if (absl::IsInvalidArgument(status)) {
      co_await socket_->close(complaint_);
    }
    co_return byClient ? absl::OkStatus() : status;
  }

  Task<void> shutdown() override {
    // What nobody will read must not keep the client's goodbye from being read.
    endReads(absl::CancelledError("the session has ended"));
    return socket_->close(WebSocket::CloseCode::kNormal);
  }

 private:
  Task<absl::Status> greetClient() {
    for (const auto& [channel, message] : greetings_) {
      const absl::Status sent =
          co_await sender_.sendNow(static_cast<uint8_t>(channel), asio::buffer(message));
      if (!sent.ok()) co_return sent;
    }
    co_return absl::OkStatus();
  }

  Task<absl::Status> carry() {
    const auto buffer = std::make_unique_for_overwrite<char[]>(kReadBytes);
    for (;;) {
      const absl::StatusOr<WebSocket::Part> part =
          co_await socket_->read(asio::buffer(buffer.get(), kReadBytes));
      if (!part.ok()) co_return part.status();
      const absl::Status taken = co_await take({buffer.get(), part->size}, part->last);
      if (!taken.ok()) co_return taken;
    }
  }

  Task<absl::Status> take(std::string_view bytes, bool last) {
    if (!bytes.empty() && !inMessage_) {
      begin(static_cast<uint8_t>(bytes.front()));
      bytes.remove_prefix(1);
    }
    if (signal_) {
      signalled_.append(bytes.substr(0, 2));
    } else if (current_ != nullptr && !sender_.base64()) {
      co_await current_->push(bytes);
    } else if (current_ != nullptr) {
      absl::StatusOr<std::string> plain = decoder_.feed(bytes, last);
      if (!plain.ok()) {
        complaint_ = WebSocket::CloseCode::kInvalidPayload;
        co_return plain.status();
      }
      co_await current_->push(*plain);
    }
    co_return last ? end() : absl::OkStatus();
  }

  void begin(uint8_t first) {
    inMessage_ = true;
    if (closeSignal_ && first == kCloseSignal) {
      signal_ = true;
      return;
    }
    const size_t number = sender_.base64() ? static_cast<uint8_t>(first - '0') : first;
    // As Kubernetes does: what no channel is there for is dropped.
    current_ = number < channels_.size() ? channels_[number].get() : nullptr;
  }

  absl::Status end() {
    absl::Status status;
    if (signal_) status = endSignalled();
    inMessage_ = false;
    signal_ = false;
    signalled_.clear();
    current_ = nullptr;
    decoder_ = {};
    return status;
  }

  absl::Status endSignalled() {
    const size_t number = signalled_.empty() ? 0 : static_cast<uint8_t>(signalled_.front());
    if (signalled_.size() != 1 || number >= channels_.size()) {
      return absl::InvalidArgumentError(
          "a message that closes a channel does not name one channel of the request");
    }
    if (channels_[number]) channels_[number]->endRead(absl::OkStatus());
    return absl::OkStatus();
  }

  void endReads(const absl::Status& status) {
    for (const auto& channel : channels_) {
      if (channel) channel->endRead(status);
    }
  }

  const std::shared_ptr<WebSocket> socket_;
  Sender sender_;
  const bool closeSignal_;
  std::vector<std::shared_ptr<Channel>> channels_;
  std::vector<std::pair<size_t, std::string>> greetings_;
  size_t accepted_ = 0;
  // What the client hears when it does not keep to the protocol.
  WebSocket::CloseCode complaint_ = WebSocket::CloseCode::kProtocolError;

  // The message that is being read.
  bool inMessage_ = false;
  bool signal_ = false;
  std::string signalled_;
  Channel* current_ = nullptr;
  Base64Decoder decoder_;
};

template <class Request>
void addCommand(Channels& channels, const Request& request) {
  const auto add = [&channels](bool wanted, Direction direction, const char* type) {
    if (wanted) {
      channels.add(direction, {{"streamtype", type}});
    } else {
      channels.addUnused();
    }
  };
  add(request.stdin(), Direction::kFromClient, "stdin");
  add(request.stdout(), Direction::kToClient, "stdout");
  add(request.stderr(), Direction::kToClient, "stderr");
  add(true, Direction::kToClient, "error");
  add(request.tty(), Direction::kFromClient, "resize");
  // An empty message tells the client that the connection stands.
  channels.greet(request.stdout() ? 1 : request.stderr() ? 2 : 3, {});
}

void addPorts(Channels& channels, const v1::PortForwardRequest& request) {
  for (int i = 0; i < request.port_size(); ++i) {
    const auto port = static_cast<uint16_t>(request.port(i));
    const Headers shared = {{"port", std::to_string(port)}, {"requestid", std::to_string(i)}};
    const std::string number = {static_cast<char>(port & 0xff), static_cast<char>(port >> 8)};
    for (const auto& [type, direction] :
         {std::pair{"data", Direction::kBoth}, std::pair{"error", Direction::kToClient}}) {
      Headers headers = shared;
      headers["streamtype"] = type;
      channels.add(direction, std::move(headers));
    }
    channels.greet(2 * static_cast<size_t>(i), number);
    channels.greet(2 * static_cast<size_t>(i) + 1, number);
  }
}

}  // namespace

std::unique_ptr<StreamConnection> makeChannels(std::shared_ptr<WebSocket> socket,
                                               const Upgrade& upgrade) {
  auto channels =
      std::make_unique<Channels>(std::move(socket), upgrade.base64, upgrade.closeSignal);
  if (const auto* exec = std::get_if<v1::ExecRequest>(&upgrade.request)) {
    addCommand(*channels, *exec);
  } else if (const auto* attach = std::get_if<v1::AttachRequest>(&upgrade.request)) {
    addCommand(*channels, *attach);
  } else {
    addPorts(*channels, std::get<v1::PortForwardRequest>(upgrade.request));
  }
  return channels;
}

}  // namespace berth::streaming
