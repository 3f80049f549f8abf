// A client's WebSocket frames: the channels in them, base64, and the sizes of terminals.
#include "streaming/websocket.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "berth/support/fd.hpp"
#include "streaming/base64.hpp"
#include "streaming/terminal_size.hpp"
#include "streaming/websocket_channels.hpp"
#include "target.hpp"

namespace berth::fuzz {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using namespace streaming;

namespace {

enum Options : uint8_t { kBase64 = 1, kCloseSignal = 2, kPorts = 4, kTerminal = 8 };

HttpRequest handshake() {
  HttpRequest request(http::verb::get, "/", 11);
  request.set(http::field::host, "node");
  request.set(http::field::connection, "Upgrade");
  request.set(http::field::upgrade, "websocket");
  request.set(http::field::sec_websocket_version, "13");
  request.set(http::field::sec_websocket_key, "dGhlIHNhbXBsZSBub25jZQ==");
  return request;
}

Upgrade upgradeOf(uint8_t options) {
  Upgrade upgrade{.carrier = Carrier::kWebSocket,
                  .base64 = (options & kBase64) != 0,
                  .closeSignal = (options & kCloseSignal) != 0};
  if ((options & kPorts) != 0) {
    runtime::v1::PortForwardRequest ports;
    ports.add_port(80);
    ports.add_port(65535);
    upgrade.request = ports;
  } else {
    runtime::v1::ExecRequest exec;
    exec.set_stdin(true);
    exec.set_stdout(true);
    exec.set_tty((options & kTerminal) != 0);
    upgrade.request = exec;
  }
  return upgrade;
}

// Reads each channel to its end, as a session does.
Task<void> consume(std::shared_ptr<Stream> stream) {
  char buffer[61];
  TerminalSizeReader sizes;
  bool sizesAreSound = true;
  for (;;) {
    const auto count = co_await stream->read(asio::buffer(buffer));
    if (!count.ok() || *count == 0) co_return;
    if (!sizesAreSound) continue;
    sizesAreSound = sizes.feed({buffer, *count}).ok();
  }
}

Task<void> serve(std::shared_ptr<WebSocket> socket, Upgrade upgrade, bool& ended) {
  const HttpRequest request = handshake();
  if ((co_await socket->accept(request, "")).ok()) {
    const auto executor = co_await asio::this_coro::executor;
    const std::unique_ptr<StreamConnection> channels = makeChannels(socket, upgrade);
    TaskGroup readers(executor);
    for (;;) {
      auto stream = co_await channels->accept();
      if (!stream.ok()) break;
      readers.spawn(consume(*std::move(stream)));
    }
    (void)co_await channels->run();
    co_await channels->shutdown();
    co_await readers.join();
  }
  ended = true;
}

// One masked frame of a client's; the mask is zero, and changes nothing.
std::string frameOf(uint8_t head, std::string_view payload) {
  std::string frame{static_cast<char>(head)};
  if (payload.size() < 126) {
    frame.push_back(static_cast<char>(0x80 | payload.size()));
  } else {
    frame.push_back(static_cast<char>(0x80 | 126));
    frame.push_back(static_cast<char>(payload.size() >> 8));
    frame.push_back(static_cast<char>(payload.size()));
  }
  return frame.append(4, '\0').append(payload);
}

// Frames as the input lists them: first byte, length, payload; first bytes of no sense give raw
// bytes.
std::string framesOf(Input& input) {
  std::string bytes;
  while (!input.empty() && bytes.size() < 60000) {
    const uint8_t head = input.byte();
    const std::string_view payload = input.bytes(input.number() % 4096);
    bytes += (head & 0x70) == 0x70 ? std::string(payload) : frameOf(head, payload);
  }
  return bytes;
}

void run(std::string_view text) {
  Input input(text);
  const Upgrade upgrade = upgradeOf(input.byte());
  int ends[2];
  demand(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0,
         "there are sockets");
  const support::Fd client(ends[0]);
  asio::io_context context;
  asio::ip::tcp::socket server(context, asio::ip::tcp::v4(), ends[1]);
  const std::string frames = framesOf(input);
  // All that it sends, and that it will send no more.
  demand(
      ::send(client.get(), frames.data(), frames.size(), 0) == static_cast<ssize_t>(frames.size()),
      "a socket takes so much");
  ::shutdown(client.get(), SHUT_WR);
  bool ended = false;
  asio::co_spawn(
      context,
      serve(std::make_shared<WebSocket>(Transport(std::move(server), nullptr)), upgrade, ended),
      [](const std::exception_ptr& thrown) {
        demand(thrown == nullptr, "serving does not throw");
      });
  const auto late = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!ended && std::chrono::steady_clock::now() < late) {
    context.run_one_for(std::chrono::milliseconds(10));
    char answers[65536];
    while (::recv(client.get(), answers, sizeof answers, 0) > 0) continue;
  }
  demand(ended, "the connection ends with its client");
}

std::string frame(uint8_t head, const std::string& payload) {
  return std::string{static_cast<char>(head), static_cast<char>(payload.size() >> 8),
                     static_cast<char>(payload.size())} +
         payload;
}

std::vector<std::string> seeds() {
  const auto options = [](uint8_t value) { return std::string(1, static_cast<char>(value)); };
  const std::string size = "\4{\"Width\":80,\"Height\":24}";
  const std::string zero(1, '\0');
  return {
      options(0) + frame(0x82, zero + "input") + frame(0x88, std::string("\3\xe8", 2)),
      options(kCloseSignal) + frame(0x82, zero + "input") + frame(0x82, std::string("\xff\0", 2)),
      options(kTerminal) + frame(0x82, size) + frame(0x02, size.substr(0, 9)) +
          frame(0x80, size.substr(9)),
      options(kBase64) + frame(0x81, "0" + encodeBase64("plain")) + frame(0x81, "0YQ=="),
      options(kPorts) + frame(0x82, zero + "ask") + frame(0x82, "\2other") + frame(0x89, "ping"),
      options(kPorts | kBase64) + frame(0x81, "0" + encodeBase64(std::string(300, 'x'))),
      options(0) + frame(0x72, std::string("\x82\xff\0\0\0\0\0\0\0\5\0\0\0\0", 14)),
  };
}

}  // namespace

const Target kWebSocket{run, seeds};

}  // namespace berth::fuzz
