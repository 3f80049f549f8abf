#include "berth/streams/io_hub.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <unistd.h>

#include "berth/support/pipe.hpp"

namespace berth::streams {

namespace {
// Bound of what is read of a dead process's terminal; the kernel holds far less.
constexpr size_t kMaxTerminalRest = 1u << 20;
}  // namespace

// One of the process's output pipes, or its terminal.
class IoHub::Output final : Watcher {
 public:
  Output(IoHub& hub, LogStream::Kind kind, Fd fd, LogFile* log)
      : hub_(hub), kind_(kind), fd_(std::move(fd)) {
    if (log != nullptr) log_.emplace(*log, kind);
    setNonBlocking(fd_.get());
    resume();
  }
  ~Output() { close(); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  bool open() const { return static_cast<bool>(fd_); }

  // Unless a session is full: one that leaves must not let more of the output pile up for another.
  void resume() {
    if (fd_ && !watched_ && !hub_.mustPause(kind_))
      watched_ = hub_.loop_.add(fd_.get(), EPOLLIN, *this);
  }

  void drain() {
    if (!fd_) return;
    // A pipe tells how much it holds; others who write on must not keep us here. A terminal tells
    // only what its line discipline has passed on, so it is read until it is empty.
    const int present = isatty(fd_.get()) == 0 ? support::bytesIn(fd_.get()) : -1;
    size_t left = present >= 0 ? static_cast<size_t>(present) : kMaxTerminalRest;
    while (left > 0) {
      const size_t count = readOnce(left);
      if (count == 0) break;
      left -= count;
    }
    if (log_) log_->flush(realtimeNs());
  }

 private:
  void onReady(uint32_t) override {
    readOnce(Scratch::kSize);
    if (fd_ && hub_.mustPause(kind_)) pause();
  }

  // Bytes read; 0 when there is none now, or no more (then it is closed).
  size_t readOnce(size_t most) {
    const ssize_t count = read(fd_.get(), Scratch::bytes, std::min(most, Scratch::kSize));
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (count <= 0) {  // a terminal that all have closed answers EIO
      if (log_) log_->flush(realtimeNs());
      close();
      hub_.outputEnded();
      return 0;
    }
    const std::string_view data(Scratch::bytes, static_cast<size_t>(count));
    if (log_) log_->write(data, realtimeNs());
    hub_.distribute(kind_, data);
    return data.size();
  }

  // Not watched at all: a watched pipe without writers is reported for ever.
  void pause() {
    if (watched_) hub_.loop_.remove(fd_.get(), *this);
    watched_ = false;
  }

  void close() {
    if (!fd_) return;
    pause();
    fd_.reset();
  }

  IoHub& hub_;
  LogStream::Kind kind_;
  Fd fd_;
  std::optional<LogStream> log_;
  bool watched_ = false;
};

class IoHub::Session final : public Mortal, public SinkListener, public SourceListener {
 public:
  Session(IoHub& hub, Fd in, Fd out, Fd err) : hub_(hub) {
    if (out) out_.emplace(hub.loop_, *this, std::move(out), hub.stuckAfterNs_);
    if (err) err_.emplace(hub.loop_, *this, std::move(err), hub.stuckAfterNs_);
    if (in) in_.emplace(hub.loop_, *this, std::move(in));
  }

  void offer(LogStream::Kind kind, std::string_view data) {
    std::optional<Sink>& sink = kind == LogStream::Kind::kStdout ? out_ : err_;
    if (sink) sink->offer(data);
  }
  size_t waiting(LogStream::Kind kind) const {
    const std::optional<Sink>& sink = kind == LogStream::Kind::kStdout ? out_ : err_;
    return sink && !sink->gone() ? sink->waiting() : 0;
  }
  // With outputs it lives until the last of them is closed, else as long as its input.
  bool ended() const {
    if (!out_ && !err_) return !in_ || inputEnded_;
    return (!out_ || out_->gone()) && (!err_ || err_->gone());
  }
  void finish() {
    if (in_ && !inputEnded_) in_->pause();
    inputEnded_ = true;
    if (out_) out_->finish();
    if (err_) err_->finish();
  }
  void pauseInput() {
    if (in_ && !inputEnded_) in_->pause();
  }
  void resumeInput() {
    if (in_ && !inputEnded_) in_->resume();
  }
  // For a session that ends by its outputs: its input must end with it.
  bool inputOpen() const { return in_ && !inputEnded_; }

 private:
  void onSinkSpace() override { hub_.resumeOutputs(); }
  void onSinkGone() override {
    hub_.resumeOutputs();
    hub_.dropEndedSessions();
  }
  void onSourceData(std::string_view data) override { hub_.pushInput(data); }
  void onSourceEnd() override {
    inputEnded_ = true;
    hub_.sessionInputEnded();
    hub_.dropEndedSessions();
  }

  IoHub& hub_;
  std::optional<Sink> out_;
  std::optional<Sink> err_;
  std::optional<Source> in_;
  bool inputEnded_ = false;
};

IoHub::IoHub(Loop& loop, HubListener& listener, int64_t stuckAfterNs)
    : loop_(loop), listener_(listener), stuckAfterNs_(stuckAfterNs) {}
IoHub::~IoHub() = default;

void IoHub::openOutput(LogStream::Kind kind, Fd fd, LogFile* log) {
  outputs_.push_back(std::make_unique<Output>(*this, kind, std::move(fd), log));
}

void IoHub::openInput(Fd fd, InputEnd end, Fd standIn) {
  input_ = std::make_unique<InputPipe>(loop_, *this, std::move(fd), std::move(standIn));
  inputEnd_ = end;
}

void IoHub::closeInput() {
  if (input_) input_->finish();
  tellInputEnd();
}

void IoHub::attach(Fd in, Fd out, Fd err) {
  sessions_.push_back(
      std::make_unique<Session>(*this, std::move(in), std::move(out), std::move(err)));
  if (exited_) sessions_.back()->finish();
  dropEndedSessions();
}

size_t IoHub::sessions() const {
  return sessions_.size();
}

bool IoHub::outputsOpen() const {
  return std::any_of(outputs_.begin(), outputs_.end(),
                     [](const auto& output) { return output->open(); });
}

void IoHub::outputEnded() {
  if (!outputsOpen()) listener_.onOutputsEnded();
}

// Once, when it has come to that.
void IoHub::tellInputEnd() {
  if (!input_ || input_->isOpen() || inputEndTold_) return;
  inputEndTold_ = true;
  listener_.onInputEnded();
}

void IoHub::awaitRest() {
  pausesAt_ = kRestLimit;
  resumeOutputs();
}

void IoHub::drain() {
  for (const auto& output : outputs_) output->drain();
}

void IoHub::endSessions() {
  exited_ = true;
  input_.reset();
  ++busy_;
  for (const auto& session : sessions_) session->finish();
  --busy_;
  dropEndedSessions();
}

void IoHub::closeOutputs() {
  outputs_.clear();
}

void IoHub::distribute(LogStream::Kind kind, std::string_view data) {
  if (exited_) return;
  ++busy_;
  for (const auto& session : sessions_) session->offer(kind, data);
  --busy_;
  dropEndedSessions();
}

bool IoHub::mustPause(LogStream::Kind kind) const {
  if (exited_) return false;
  return std::any_of(sessions_.begin(), sessions_.end(), [this, kind](const auto& session) {
    return session->waiting(kind) >= pausesAt_;
  });
}

void IoHub::resumeOutputs() {
  for (const auto& output : outputs_) output->resume();
}

void IoHub::pushInput(std::string_view data) {
  if (!input_) return;
  input_->push(data);
  if (input_->full()) {
    for (const auto& session : sessions_) session->pauseInput();
  }
}

void IoHub::onInputSpace() {
  tellInputEnd();
  for (const auto& session : sessions_) session->resumeInput();
}

void IoHub::sessionInputEnded() {
  if (inputEnd_ == InputEnd::kWithFirstSession) closeInput();
}

void IoHub::dropEndedSessions() {
  if (busy_ > 0 || sessions_.empty()) return;
  bool inputLost = false;
  for (auto& session : sessions_) {
    if (!session->ended()) continue;
    inputLost = inputLost || session->inputOpen();
    loop_.bury(std::move(session));
  }
  std::erase(sessions_, nullptr);
  if (inputLost) sessionInputEnded();
  if (sessions_.empty()) listener_.onSessionsGone();
}

}  // namespace berth::streams
