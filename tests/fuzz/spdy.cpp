// A SPDY connection, from a client's first byte to its last.
//
// The input is a row of steps: a byte that says what, and what belongs to it. Header blocks are
// compressed here, or hardly any would be; raw bytes make everything else.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "../unit/streaming/memory_connection.hpp"
#include "streaming/spdy/connection.hpp"
#include "streaming/spdy/header_block.hpp"
#include "target.hpp"

namespace berth::fuzz {

namespace asio = boost::asio;
using namespace streaming;

namespace {

enum Step : uint8_t { kRaw, kSyn, kHeadersOf, kData, kReset, kWindow, kSettings, kRead, kSteps };

// Serves what the client opens: hands back each byte, in some order, and lets go of some early.
class Echo {
 public:
  Echo(asio::io_context& context, StreamConnection& connection)
      : context_(context), connection_(connection) {}

  Task<void> accept() {
    for (;;) {
      auto stream = co_await connection_.accept();
      if (!stream.ok()) co_return;
      asio::co_spawn(context_, serve(*std::move(stream)), asio::detached);
    }
  }

 private:
  static Task<void> serve(std::shared_ptr<Stream> stream) {
    char buffer[257];
    for (;;) {
      const auto count = co_await stream->read(asio::buffer(buffer));
      if (!count.ok()) co_return;
      if (*count == 0) break;
      demand(*count <= sizeof buffer, "a read stays within its buffer");
      if (buffer[0] == 'r') stream->reset();
      if (buffer[0] == 'd') co_return;
      const absl::Status written = co_await stream->write(asio::buffer(buffer, *count));
      if (!written.ok()) co_return;
    }
    (void)co_await stream->closeWrite();
  }

  asio::io_context& context_;
  StreamConnection& connection_;
};

class Conversation {
 public:
  void run(Input input) {
    spdy::Limits limits;
    limits.flush = limits.linger = limits.probe = std::chrono::milliseconds(1);
    limits.streamWindow = 4096;
    limits.connectionWindow = 80000;
    const auto connection = spdy::makeConnection(
        std::make_unique<MemoryConnection>(context_.get_executor(), wire_), limits);
    bool ended = false;
    Echo echo(context_, *connection);
    asio::co_spawn(context_, connection->run(),
                   [&](const std::exception_ptr& thrown, const absl::Status&) {
                     demand(thrown == nullptr, "run() does not throw");
                     ended = true;
                   });
    asio::co_spawn(context_, echo.accept(), asio::detached);
    wire_->outputRoom = input.number();
    for (int steps = 0; !input.empty() && steps < 400; ++steps) take(input);
    wire_->inputEnded = true;
    wire_->readable.notify();
    wire_->outputRoom = SIZE_MAX;
    wire_->writable.notify();
    // A stream that is full, and whose client gives no window for the answer, keeps the end from
    // being read. That the client has gone altogether shows when it is written to.
    runUntil(ended, std::chrono::milliseconds(20));
    wire_->broken = true;
    runUntil(ended, std::chrono::seconds(20));
    demand(ended, "the connection ends with its client");
    poll();
  }

 private:
  void runUntil(const bool& ended, std::chrono::milliseconds most) {
    const auto late = std::chrono::steady_clock::now() + most;
    while (!ended && std::chrono::steady_clock::now() < late) {
      context_.restart();
      context_.run_one_for(std::chrono::milliseconds(1));
    }
  }
  void poll() {
    context_.restart();
    context_.poll();
  }
  void give(const std::vector<uint8_t>& bytes) {
    wire_->input.insert(wire_->input.end(), bytes.begin(), bytes.end());
    wire_->readable.notify();
    poll();
  }
  std::vector<uint8_t> block(std::string_view plain) {
    auto compressed =
        deflater_.deflate({reinterpret_cast<const uint8_t*>(plain.data()), plain.size()});
    return compressed.ok() ? *std::move(compressed) : std::vector<uint8_t>();
  }

  void take(Input& input) {
    const uint8_t step = input.byte() % kSteps;
    std::vector<uint8_t> bytes;
    const uint32_t id = input.byte();
    switch (step) {
      case kRaw: {
        const std::string_view raw = input.bytes(id);
        bytes.assign(raw.begin(), raw.end());
        break;
      }
      case kSyn: {
        const uint8_t flags = input.byte();
        const auto compressed = block(input.bytes(input.byte()));
        append(bytes, spdy::SynStream{.streamId = id,
                                      .fin = (flags & 1) != 0,
                                      .unidirectional = (flags & 2) != 0,
                                      .block = compressed});
        break;
      }
      case kHeadersOf: {
        const bool fin = (input.byte() & 1) != 0;
        const auto compressed = block(input.bytes(input.byte()));
        append(bytes, spdy::HeadersFrame{.streamId = id, .fin = fin, .block = compressed});
        break;
      }
      case kData: {
        const auto fin = (input.byte() & 1) != 0 ? spdy::Fin::yes : spdy::Fin::no;
        const size_t size = input.number() % 20000;
        bytes.resize(spdy::kHeaderSize);
        spdy::writeDataHeader(std::span<uint8_t, spdy::kHeaderSize>(bytes), id,
                              static_cast<uint32_t>(size), fin);
        bytes.insert(bytes.end(), size, input.byte());
        break;
      }
      case kReset:
        append(bytes, spdy::RstStream{.streamId = id, .code = spdy::ResetCode::cancel});
        break;
      case kWindow:
        append(bytes, spdy::WindowUpdate{.streamId = id,
                                         .delta = static_cast<uint32_t>(input.number()) << 15});
        break;
      case kSettings:
        append(bytes, spdy::Settings{
                          .entries = {{.id = id, .value = static_cast<uint32_t>(input.number())}}});
        break;
      default:
        wire_->outputRoom = input.number();
        wire_->writable.notify();
    }
    give(bytes);
  }

  asio::io_context context_;
  const std::shared_ptr<Wire> wire_ = std::make_shared<Wire>(context_.get_executor());
  spdy::HeaderDeflater deflater_;
};

void run(std::string_view input) {
  Conversation().run(Input(input));
}

// A step that opens a stream of this type.
std::string syn(char id, const std::string& type) {
  std::vector<uint8_t> block;
  spdy::appendHeaderBlock(block, {{"streamtype", type}});
  std::string step{kSyn, id, 0, static_cast<char>(block.size())};
  step.append(block.begin(), block.end());
  return step;
}

std::vector<std::string> seeds() {
  const std::string room("\xff\xff", 2);
  const std::string opened = room + syn(1, "error") + syn(3, "stdin");
  return {
      opened + std::string("\3\3\0\0\5x\3\3\1\0\0x", 11),                   // data, and the end
      opened + std::string("\3\3\0\x4e\0y\3\3\0\x4e\0y\3\3\0\x4e\0y", 18),  // more than a window
      opened + std::string("\4\3\3\3\0\0\5x", 8),                           // data after a reset
      opened + std::string("\5\0\0\1\5\3\0\1\6\7\0\0\3\3\0\1\0z", 18),  // the client keeps windows
      opened + std::string("\2\3\1\0", 4),                              // HEADERS with FIN
      room +
          std::string("\0\x0c\x80\3\0\6\0\0\0\4\0\0\0\1\0\x10\x80\3\0\7\0\0\0\x08\0\0\0\0\0\0\0\0",
                      32),  // PING, GOAWAY
      // More than a window for a stream whose answers get none.
      opened + std::string("\5\0\0\1\6\7\0\0\3\3\0\x7a\0", 13),
      std::string("\0\0", 2) + syn(1, "data") + std::string("\3\1\0\0\5x\7\0\xff\xff", 10),
  };
}

}  // namespace

const Target kSpdy{run, seeds};

}  // namespace berth::fuzz
