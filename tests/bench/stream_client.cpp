#include "stream_client.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include "berth/support/process.hpp"
#include "berth/support/status.hpp"
#include "streaming/spdy/frames.hpp"
#include "streaming/spdy/header_block.hpp"

namespace berth::bench {
namespace {

using support::Fd;
namespace spdy = streaming::spdy;

constexpr size_t kBufferBytes = 1u << 20;
constexpr timeval kPatience{60, 0};

absl::Status socketFailure(absl::string_view doing) {
  if (errno == EAGAIN) return absl::DeadlineExceededError(absl::StrCat(doing, ": no answer"));
  return support::errnoStatus(errno, support::fromAbsl(doing));
}

struct Address {
  std::string host;
  std::string port;
  std::string target;
};

absl::StatusOr<Address> addressOf(const std::string& url) {
  absl::string_view rest = url;
  const size_t slash = rest.find('/', 7);
  if (!absl::ConsumePrefix(&rest, "http://") || slash == absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat("\"", url, "\" is no plain URL"));
  }
  const absl::string_view authority = rest.substr(0, slash - 7);
  const size_t colon = authority.rfind(':');
  if (colon == absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat("\"", url, "\" names no port"));
  }
  absl::string_view host = authority.substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) host.remove_suffix(1);
  return Address{std::string(host), std::string(authority.substr(colon + 1)), url.substr(slash)};
}

// A connection whose bytes are looked at where the kernel has put them.
class Wire {
 public:
  static absl::StatusOr<Wire> connect(const Address& address) {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found) != 0) {
      return absl::InvalidArgumentError(absl::StrCat(address.host, " is no address"));
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
    Fd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd || ::connect(fd.get(), found->ai_addr, found->ai_addrlen) != 0) {
      return socketFailure("connect to the streaming server");
    }
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
    return Wire(std::move(fd));
  }

  absl::Status send(absl::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count < 0 && errno != EINTR) return socketFailure("send to the streaming server");
      bytes.remove_prefix(static_cast<size_t>(std::max<ssize_t>(count, 0)));
    }
    return absl::OkStatus();
  }
  // What there is, at least `size` bytes; they stay until taken. OUT_OF_RANGE at the end.
  absl::StatusOr<absl::string_view> peek(size_t size) {
    if (end_ - begin_ < size && begin_ > 0) {
      std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    while (end_ - begin_ < size) {
      const ssize_t count = ::recv(fd_.get(), buffer_.get() + end_, kBufferBytes - end_, 0);
      if (count == 0) return absl::OutOfRangeError("the server has closed the connection");
      if (count < 0 && errno != EINTR) return socketFailure("read from the streaming server");
      end_ += static_cast<size_t>(std::max<ssize_t>(count, 0));
    }
    return absl::string_view(buffer_.get() + begin_, end_ - begin_);
  }
  void taken(size_t size) {
    begin_ += size;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  absl::Status skip(uint64_t size) {
    while (size > 0) {
      BERTH_ASSIGN_OR_RETURN(const absl::string_view there, peek(1));
      const size_t part = static_cast<size_t>(std::min<uint64_t>(size, there.size()));
      taken(part);
      size -= part;
    }
    return absl::OkStatus();
  }

 private:
  explicit Wire(Fd fd) : fd_(std::move(fd)) {}

  Fd fd_;
  std::unique_ptr<char[]> buffer_ = std::make_unique_for_overwrite<char[]>(kBufferBytes);
  size_t begin_ = 0;
  size_t end_ = 0;
};

absl::Status upgrade(Wire& wire, const Address& address, absl::string_view method,
                     absl::string_view headers) {
  BERTH_RETURN_IF_ERROR(
      wire.send(absl::StrCat(method, " ", address.target, " HTTP/1.1\r\nHost: ", address.host, ":",
                             address.port, "\r\nConnection: Upgrade\r\n", headers, "\r\n")));
  std::string head;
  while (!absl::EndsWith(head, "\r\n\r\n")) {
    BERTH_ASSIGN_OR_RETURN(const absl::string_view there, wire.peek(1));
    head.push_back(there.front());
    wire.taken(1);
  }
  if (absl::StartsWith(head, "HTTP/1.1 101")) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("the streaming server answers ", head.substr(0, head.find('\r'))));
}

// ---- SPDY --------------------------------------------------------------------------------------

class SpdyReader {
 public:
  explicit SpdyReader(Wire& wire) : wire_(wire) {}

  absl::StatusOr<uint64_t> run(const StreamOptions& options, absl::string_view input) {
    std::vector<uint8_t> out;
    BERTH_RETURN_IF_ERROR(open(out, kErrors, "error"));
    if (options.input) BERTH_RETURN_IF_ERROR(open(out, kInput, "stdin"));
    BERTH_RETURN_IF_ERROR(open(out, kOutput, "stdout"));
    if (options.input) {
      const size_t at = out.size();
      out.resize(at + spdy::kHeaderSize);
      spdy::writeDataHeader(
          std::span<uint8_t, spdy::kHeaderSize>(out.data() + at, spdy::kHeaderSize), kInput,
          static_cast<uint32_t>(input.size()), spdy::Fin::no);
      out.insert(out.end(), input.begin(), input.end());
    }
    BERTH_RETURN_IF_ERROR(wire_.send({reinterpret_cast<const char*>(out.data()), out.size()}));
    return readOutput(options.bytes);
  }

 private:
  enum : uint32_t { kErrors = 1, kInput = 3, kOutput = 5 };

  absl::Status open(std::vector<uint8_t>& out, uint32_t id, const std::string& type) {
    std::vector<uint8_t> plain;
    spdy::appendHeaderBlock(plain, {{"streamtype", type}});
    BERTH_ASSIGN_OR_RETURN(const std::vector<uint8_t> block, deflater_.deflate(plain));
    append(out, spdy::SynStream{.streamId = id, .block = block});
    return absl::OkStatus();
  }
  absl::StatusOr<uint64_t> readOutput(uint64_t enough) {
    for (uint64_t bytes = 0;;) {
      BERTH_ASSIGN_OR_RETURN(const absl::string_view there, wire_.peek(spdy::kHeaderSize));
      const spdy::FrameHeader header =
          spdy::parseFrameHeader(std::span<const uint8_t, spdy::kHeaderSize>(
              reinterpret_cast<const uint8_t*>(there.data()), spdy::kHeaderSize));
      wire_.taken(spdy::kHeaderSize);
      BERTH_RETURN_IF_ERROR(wire_.skip(header.length));
      if (header.control || header.streamId != kOutput) continue;
      bytes += header.length;
      if (header.fin() || bytes >= enough) return bytes;
    }
  }

  Wire& wire_;
  spdy::HeaderDeflater deflater_;
};

// ---- WebSocket ---------------------------------------------------------------------------------

class WebSocketReader {
 public:
  explicit WebSocketReader(Wire& wire) : wire_(wire) {}

  absl::StatusOr<uint64_t> run(const StreamOptions& options, absl::string_view input) {
    if (options.input) {
      std::string message(1, '\0');  // the channel's number
      absl::StrAppend(&message, input);
      std::string frame{'\x82', static_cast<char>(0x80 | message.size())};
      frame.append(4, '\0').append(message);  // masked with zeros
      BERTH_RETURN_IF_ERROR(wire_.send(frame));
    }
    return readOutput(options.bytes);
  }

 private:
  static constexpr char kOutput = 1;
  static constexpr unsigned kClose = 8;

  absl::StatusOr<uint64_t> readOutput(uint64_t enough) {
    uint64_t bytes = 0;
    char channel = 0;
    while (bytes < enough) {
      auto there = wire_.peek(2);
      // No message ends a channel: the connection ends, with or without a goodbye.
      if (absl::IsOutOfRange(there.status())) return bytes;
      BERTH_RETURN_IF_ERROR(there.status());
      const unsigned opcode = static_cast<uint8_t>(there->front()) & 0x0fu;
      const unsigned length = static_cast<uint8_t>((*there)[1]) & 0x7fu;
      const size_t more = length == 126 ? 2 : length == 127 ? 8 : 0;
      BERTH_ASSIGN_OR_RETURN(*there, wire_.peek(2 + more));
      uint64_t size = more == 0 ? length : 0;
      for (size_t i = 0; i < more; ++i) size = size << 8 | static_cast<uint8_t>((*there)[2 + i]);
      wire_.taken(2 + more);
      if (opcode == kClose) return bytes;
      if (opcode != 0 && size > 0) {
        BERTH_ASSIGN_OR_RETURN(*there, wire_.peek(1));
        channel = there->front();
        wire_.taken(1);
        --size;
      }
      if (opcode <= 2 && channel == kOutput) bytes += size;
      BERTH_RETURN_IF_ERROR(wire_.skip(size));
    }
    return bytes;
  }

  Wire& wire_;
};

}  // namespace

std::vector<std::string> zeroes(uint64_t bytes) {
  return {"dd", "if=/dev/zero", "bs=65536", absl::StrCat("count=", bytes / 65536), "status=none"};
}

absl::StatusOr<uint64_t> readStream(const std::string& url, const StreamOptions& options,
                                    absl::string_view input) {
  BERTH_ASSIGN_OR_RETURN(const Address address, addressOf(url));
  BERTH_ASSIGN_OR_RETURN(Wire wire, Wire::connect(address));
  if (options.transport == StreamTransport::kSpdy) {
    BERTH_RETURN_IF_ERROR(
        upgrade(wire, address, "POST",
                "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n"));
    return SpdyReader(wire).run(options, input);
  }
  // Old servers want to know where the page came from.
  BERTH_RETURN_IF_ERROR(upgrade(
      wire, address, "GET",
      absl::StrCat("Upgrade: websocket\r\nOrigin: http://", address.host,
                   "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                   "\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n")));
  return WebSocketReader(wire).run(options, input);
}

absl::StatusOr<double> readCopy(uint64_t bytes) {
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) return support::errnoStatus(errno, "make a pipe");
  const Fd from(pipe[0]);
  Fd into(pipe[1]);
  const Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      ::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return support::errnoStatus(errno, "listen on a loopback address");
  }
  BERTH_ASSIGN_OR_RETURN(
      Wire wire, Wire::connect({"127.0.0.1", std::to_string(ntohs(address.sin_port)), "/"}));
  Fd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!server) return support::errnoStatus(errno, "accept a connection");
  BERTH_ASSIGN_OR_RETURN(const auto writer,
                         support::spawn({.argv = zeroes(bytes), .standardOutput = into.get()}));
  into.reset();
  double seconds = 0;
  std::thread copier([&] {
    const auto buffer = std::make_unique_for_overwrite<char[]>(kBufferBytes);
    for (ssize_t count; (count = ::read(from.get(), buffer.get(), kBufferBytes)) > 0;) {
      for (ssize_t sent = 0, part = 0; sent < count; sent += part) {
        part = ::send(server.get(), buffer.get() + sent, static_cast<size_t>(count - sent),
                      MSG_NOSIGNAL);
        if (part < 0) return;
      }
    }
    server.reset();
    timespec used{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    seconds = static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
  });
  const absl::Status read = wire.skip(bytes);
  const auto end = read.ok() ? wire.peek(1).status() : read;
  ::shutdown(server.get(), SHUT_RDWR);
  copier.join();
  if (!absl::IsOutOfRange(end)) return end.ok() ? absl::DataLossError("too many bytes") : end;
  return seconds;
}

}  // namespace berth::bench
