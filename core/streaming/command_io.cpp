#include "streaming/command_io.hpp"

#include <algorithm>

#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "streaming/terminal_size.hpp"

namespace berth::streaming {

namespace asio = boost::asio;
using support::Fd;
using support::strCat;
using namespace std::chrono_literals;

namespace {

// In the order of CommandIo::Slot.
constexpr std::array<std::string_view, 5> kTypes = {"error", "stdin", "stdout", "stderr", "resize"};

// A terminal's output is copied by the runtime, which ends it after the command has ended. One that
// does not is not waited for for ever.
constexpr auto kTerminalQuiet = 5s;
// What a client gets to take the last message of a session that has to end.
constexpr auto kLastWords = 2s;

}  // namespace

CommandIo::CommandIo(Session& session, CommandStreams wanted)
    : session_(session), terminal_(wanted.terminal), tasks_(session.executor()) {
  places_[kErrors].wanted = true;
  places_[kInput].wanted = wanted.input;
  places_[kOutput].wanted = wanted.output;
  places_[kErrorOutput].wanted = wanted.error && !wanted.terminal;
  places_[kResize].wanted =
      wanted.terminal && session.protocol().resize == CommandProtocol::Resize::kStream;
}

Task<absl::Status> CommandIo::openStreams() {
  tasks_.spawn(acceptStreams());
  bool late = false;
  const std::chrono::seconds most = session_.services().settings.handshakeTimeout;
  const Ticker timeout(session_.executor(), most, [this, &late] {
    late = true;
    session_.notify();
  });
  co_await session_.until(
      [&] { return missing().empty() || late || !noMoreStreams_.ok() || session_.interrupted(); });
  if (missing().empty()) co_return absl::OkStatus();
  if (session_.interrupted()) co_return session_.why();
  if (!noMoreStreams_.ok()) {
    co_return support::annotate(noMoreStreams_,
                                strCat("the client did not open its streams: ", missing()));
  }
  co_return absl::DeadlineExceededError(
      strCat("the client has not opened all streams in ", most.count(), " s: missing ", missing()));
}

// Goes on after all wanted streams are there, to refuse others.
Task<void> CommandIo::acceptStreams() {
  for (;;) {
    absl::StatusOr<std::shared_ptr<Stream>> stream = co_await session_.connection().accept();
    if (!stream.ok()) {
      noMoreStreams_ = stream.status();
      session_.notify();
      co_return;
    }
    if (Place* place = placeFor(**stream)) {
      place->stream = *std::move(stream);
      session_.touch();
      session_.notify();
    } else {
      (*stream)->reset();
    }
  }
}

CommandIo::Place* CommandIo::placeFor(const Stream& stream) {
  const auto type = stream.headers().find("streamtype");
  if (type == stream.headers().end()) return nullptr;
  const auto known = std::find(kTypes.begin(), kTypes.end(), type->second);
  if (known == kTypes.end()) return nullptr;
  Place& place = places_[static_cast<size_t>(known - kTypes.begin())];
  return place.wanted && place.stream == nullptr ? &place : nullptr;
}

std::string CommandIo::missing() const {
  std::string names;
  for (size_t slot = 0; slot < kSlots; ++slot) {
    if (!places_[slot].wanted || places_[slot].stream != nullptr) continue;
    if (!names.empty()) names += ", ";
    names += kTypes[slot];
  }
  return names;
}

absl::Status CommandIo::openPipes() {
  BERTH_RETURN_IF_ERROR(openPipe(kInput, input_));
  BERTH_RETURN_IF_ERROR(openPipe(kOutput, output_));
  return openPipe(kErrorOutput, error_);
}

absl::Status CommandIo::openPipe(Slot slot, Copied& pipe) {
  if (!places_[slot].wanted) return absl::OkStatus();
  BERTH_ASSIGN_OR_RETURN(Pipe ends, makePipe());
  Fd& ours = slot == kInput ? ends.write : ends.read;
  pipe.processEnd = slot == kInput ? std::move(ends.read) : std::move(ends.write);
  BERTH_ASSIGN_OR_RETURN(pipe.ours, AsyncFd::adopt(session_.executor(), std::move(ours)));
  return absl::OkStatus();
}

ProcessEnds CommandIo::ends() const {
  return {input_.processEnd.get(), output_.processEnd.get(), error_.processEnd.get()};
}

void CommandIo::releaseEnds() {
  for (Copied* pipe : {&input_, &output_, &error_}) pipe->processEnd.reset();
}

void CommandIo::start() {
  if (input_.ours) {
    tasks_.spawn(copyInput());
    tasks_.spawn(watchInput());
  }
  // Counted here: a task begins some time after it is spawned.
  outputsOpen_ = (output_.ours ? 1u : 0u) + (error_.ours ? 1u : 0u);
  if (output_.ours) tasks_.spawn(copyOutput(output_, *places_[kOutput].stream));
  if (error_.ours) tasks_.spawn(copyOutput(error_, *places_[kErrorOutput].stream));
}

Task<void> CommandIo::copyInput() {
  Stream& client = *places_[kInput].stream;
  const CopyEnd end = co_await copyFromClient(session_, client, *input_.ours);
  input_.ours->close();
  inputEnded_ = true;
  session_.notify();
  if (end != CopyEnd::kSinkFailed) co_return;
  // Nobody reads it any more: the client is told, and kept from waiting for room.
  (void)co_await client.closeWrite();
  co_await discard(session_, client);
}

Task<void> CommandIo::watchInput() {
  co_await input_.ours->broken();
  inputEnded_ = true;
  session_.notify();
}

Task<void> CommandIo::copyOutput(Copied& pipe, Stream& stream) {
  const CopyEnd end = co_await copyToClient(session_, *pipe.ours, stream);
  // A process that goes on writing gets the signal that its reader is gone.
  pipe.ours->close();
  if (end != CopyEnd::kSinkFailed) (void)co_await stream.closeWrite();
  --outputsOpen_;
  session_.notify();
}

void CommandIo::startResizing(std::function<absl::Status(TerminalSize)> resize) {
  if (places_[kResize].stream != nullptr) tasks_.spawn(followSizes(std::move(resize)));
}

Task<void> CommandIo::followSizes(std::function<absl::Status(TerminalSize)> resize) {
  Stream& stream = *places_[kResize].stream;
  TerminalSizeReader reader;
  std::array<char, 512> buffer;
  for (;;) {
    const absl::StatusOr<size_t> count = co_await stream.read(asio::buffer(buffer));
    if (!count.ok() || *count == 0) co_return;
    session_.touch();
    const auto size = reader.feed({buffer.data(), *count});
    if (!size.ok()) {
      common::logDebug("a client's terminal size is ignored",
                       {{"error", support::fromAbsl(size.status().message())}});
      break;
    }
    if (!*size) continue;
    const absl::Status resized =
        co_await session_.block([&resize, to = **size] { return resize(to); });
    if (!resized.ok()) {
      common::logDebug("a terminal was not resized",
                       {{"error", support::fromAbsl(resized.message())}});
    }
  }
  co_await discard(session_, stream);
}

void CommandIo::processEnded() {
  if (input_.ours) input_.ours->close();
  for (Copied* pipe : {&output_, &error_}) {
    if (!pipe->ours) continue;
    if (terminal_) {
      pipe->ours->endWhenQuiet(kTerminalQuiet);
    } else {
      pipe->ours->endAfterPresent();
    }
  }
}

void CommandIo::abandon() {
  for (Copied* pipe : {&input_, &output_, &error_}) {
    if (pipe->ours) pipe->ours->close();
  }
}

Task<void> CommandIo::sendStatus(std::string message) {
  if (places_[kErrors].stream == nullptr) co_return;
  tasks_.spawn(writeStatus(std::move(message)));
  co_await session_.until([this] { return statusSent_ || session_.interrupted(); });
  if (statusSent_) co_return;
  bool late = false;
  const Ticker patience(session_.executor(), kLastWords, [this, &late] {
    late = true;
    session_.notify();
  });
  co_await session_.until([&] { return statusSent_ || late; });
}

Task<void> CommandIo::writeStatus(std::string message) {
  if (places_[kInput].stream) (void)co_await places_[kInput].stream->closeWrite();
  Stream& errors = *places_[kErrors].stream;
  // Fails only when the client is gone: there is nobody else to tell.
  if (!message.empty()) (void)co_await errors.write(asio::buffer(message));
  (void)co_await errors.closeWrite();
  statusSent_ = true;
  session_.notify();
}

Task<void> CommandIo::join() {
  abandon();
  co_await session_.connection().shutdown();
  co_await tasks_.join();
}

}  // namespace berth::streaming
