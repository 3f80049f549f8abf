#include "isolation/plugin_process.hpp"

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "isolation/end_patience.hpp"

namespace berth::isolation {

using support::errnoStatus;
using support::fromAbsl;
using support::strCat;
using Clock = std::chrono::steady_clock;

namespace {

// A plugin returns within a second after a call's end; a machine may be slow.
constexpr auto kGrace = std::chrono::seconds(5);
// Of calls without an operation: configuring, starting and stopping among them.
constexpr auto kUnlimitedCall = std::chrono::seconds(120);
constexpr auto kLoadTime = std::chrono::seconds(60);
// For a process that has closed its sockets.
constexpr auto kLeaveTime = std::chrono::seconds(2);
constexpr size_t kIdleLines = 4;
constexpr size_t kMostLines = 512;
// A reply holds numbers, short texts and a message; results go by callbacks.
constexpr size_t kMostReplyBytes = 1u << 20;
// What one call may hand back into lists that nothing else bounds.
constexpr size_t kMostCallbackBytes = 256u << 20;
// How often a call may ask again once the host has said no, after which there is only its return.
constexpr size_t kMostRefusals = 1000;

}  // namespace

struct PluginProcess::Line {
  Channel channel;
  support::Fd cancel;  // an eventfd that the plugin sees as berth_op.cancel_fd
  explicit Line(support::Fd socket, support::Fd event)
      : channel(std::move(socket)), cancel(std::move(event)) {}
};

// Waits for the plugin as long as the call may take, tells it when that is over, and then gives it
// some time to return.
class PluginProcess::CallPatience final : public Patience {
 public:
  CallPatience(const berth_op* op, Line& line) : op_(op), line_(line) {
    if (op == nullptr) {
      until_ = Clock::now() + kUnlimitedCall;
    } else if (op->deadline != INT64_MAX) {
      // libstdc++'s steady_clock is CLOCK_MONOTONIC.
      until_ = Clock::time_point(std::chrono::nanoseconds(op->deadline)) + kGrace;
    }
  }
  bool cancelled() const { return cancelled_; }
  bool exhausted() const { return exhausted_; }

  absl::Status wait(int fd, short events) override {
    for (;;) {
      const bool watch = op_ != nullptr && !cancelled_ && op_->cancel_fd >= 0;
      pollfd polled[2] = {{fd, events, 0}, {watch ? op_->cancel_fd : -1, POLLIN, 0}};
      const int ready = ::poll(polled, 2, millisecondsUntil(until_));
      if (ready < 0 && errno != EINTR) return errnoStatus(errno, "wait for the plugin's process");
      if (ready > 0 && polled[1].revents != 0) cancel();
      // Also of one that has always something to say.
      if (Clock::now() >= until_) {
        exhausted_ = true;
        return absl::DeadlineExceededError("did not return");
      }
      if (ready > 0 && polled[0].revents != 0) return absl::OkStatus();
    }
  }

 private:
  void cancel() {
    cancelled_ = true;
    ::eventfd_write(line_.cancel.get(), 1);
    until_ = std::min(until_, Clock::now() + kGrace);
  }

  const berth_op* const op_;
  Line& line_;
  Clock::time_point until_ = Clock::time_point::max();
  bool cancelled_ = false;
  bool exhausted_ = false;
};

absl::StatusOr<std::shared_ptr<PluginProcess>> PluginProcess::start(const Launch& launch) {
  BERTH_ASSIGN_OR_RETURN(auto control, socketPair());
  support::Command command;
  command.argv = {launch.program, launch.request.path};
  command.standardError = STDERR_FILENO;
  command.descriptors = {{control.second.get(), kControlDescriptor}};
  BERTH_ASSIGN_OR_RETURN(support::Process process, support::spawn(command));
  control.second.reset();
  support::Fd pidfd(::fcntl(process.pidfd(), F_DUPFD_CLOEXEC, 0));
  if (!pidfd) return errnoStatus(errno, "watch the process of a plugin");
  std::shared_ptr<PluginProcess> started(
      new PluginProcess(std::move(process), std::move(pidfd), std::move(control.first)));
  BERTH_RETURN_IF_ERROR(started->load(launch));
  BERTH_ASSIGN_OR_RETURN(started->watcher_,
                         support::startThread([self = started.get()] { self->watch(); }));
  return started;
}

absl::Status PluginProcess::load(const Launch& launch) {
  const LoadRequest& request = launch.request;
  Encoder out;
  encode(out, request);
  if (launch.file != nullptr) out.descriptor(launch.file->get());
  for (size_t i = 0; i < kHostChannels; ++i) {
    BERTH_ASSIGN_OR_RETURN(auto ends, socketPair());
    hostChannels_.push_back(std::make_unique<Channel>(std::move(ends.first)));
    out.descriptor(std::move(ends.second));
  }
  EndPatience patience(pidfd_.get(), Clock::now() + kLoadTime);
  absl::Status sent = control_.send(Kind::kLoad, 0, out, &patience);
  absl::StatusOr<Frame> loaded =
      sent.ok() ? control_.receive(&patience) : absl::StatusOr<Frame>(sent);
  if (!loaded.ok()) {
    kill();
    reap();
    return absl::FailedPreconditionError(strCat("plugin file ", request.path, ": its process ",
                                                end_, " while it was loaded (",
                                                fromAbsl(loaded.status().message()), ")"));
  }
  Decoder in(loaded->bytes, loaded->descriptors);
  const auto code = in.raw<berth_code>();
  const std::string message(in.text());
  if (code == BERTH_OK) decode(in, description_);
  if (loaded->kind != Kind::kLoaded || !in.finished() || code < BERTH_OK ||
      code > BERTH_UNAUTHENTICATED)
    return absl::FailedPreconditionError(
        strCat("plugin file ", request.path, ": its process does not say what it has loaded"));
  return absl::Status(static_cast<absl::StatusCode>(code), message);
}

PluginProcess::~PluginProcess() {
  control_.shutDown();
  if (watcher_.joinable()) watcher_.join();
  for (std::thread& thread : hostThreads_) thread.join();
}

absl::StatusOr<std::shared_ptr<PluginProcess::Line>> PluginProcess::takeLine() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::shared_ptr<Line> line = std::move(idle_.back());
      idle_.pop_back();
      return line;
    }
    if (lines_.size() >= kMostLines)
      return absl::ResourceExhaustedError(strCat("more than ", kMostLines, " calls at once"));
  }
  BERTH_ASSIGN_OR_RETURN(auto ends, socketPair());
  support::Fd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return errnoStatus(errno, "make what cancels a call");
  Encoder out;
  out.descriptor(std::move(ends.second));
  out.descriptor(event.get());
  {
    const std::lock_guard lock(sendMutex_);
    EndPatience patience(pidfd_.get(), Clock::now() + kGrace);
    BERTH_RETURN_IF_ERROR(control_.send(Kind::kOpen, 0, out, &patience));
  }
  auto line = std::make_shared<Line>(std::move(ends.first), std::move(event));
  const std::lock_guard lock(mutex_);
  if (!end_.empty()) return absl::UnavailableError(end_);
  lines_.insert(line);
  return line;
}

void PluginProcess::giveBack(const std::shared_ptr<Line>& line) {
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kIdleLines && end_.empty()) {
    idle_.push_back(line);
  } else {
    lines_.erase(line);
  }
}

void PluginProcess::drop(const std::shared_ptr<Line>& line) {
  // What the plugin has begun on behalf of the call, in the host too, is for nobody any more.
  ::eventfd_write(line->cancel.get(), 1);
  const std::lock_guard lock(mutex_);
  lines_.erase(line);
}

absl::StatusOr<Frame> PluginProcess::exchange(const Request& request) {
  absl::StatusOr<std::shared_ptr<Line>> line = takeLine();
  if (!line.ok())
    return absl::IsResourceExhausted(line.status()) ? line.status() : blame("took no call");
  CallPatience patience(request.op, **line);
  absl::StatusOr<Frame> reply{Frame()};
  // Memory runs out, above all.
  const absl::Status thrown = support::returnThrown([&] {
    reply = converse(**line, request, patience);
    return absl::OkStatus();
  });
  if (!thrown.ok()) reply = thrown;
  if (reply.ok() && !patience.cancelled()) {
    giveBack(*line);
  } else {
    drop(*line);
  }
  if (reply.ok() || absl::IsResourceExhausted(reply.status())) return reply;
  if (patience.exhausted())
    return blame(strCat("did not return within ", kGrace / std::chrono::seconds(1),
                        " s after the call had to end"));
  return blame(strCat("broke the protocol: ", fromAbsl(reply.status().message())));
}

absl::StatusOr<Frame> PluginProcess::converse(Line& line, const Request& request,
                                              CallPatience& patience) {
  BERTH_RETURN_IF_ERROR(
      line.channel.send(request.kind, request.number, request.content, &patience));
  size_t called = 0;
  size_t refused = 0;
  for (;;) {
    BERTH_ASSIGN_OR_RETURN(Frame frame, line.channel.receive(&patience));
    if (frame.kind == Kind::kReply) {
      if (frame.number != request.number || frame.bytes.size() > kMostReplyBytes)
        return absl::InvalidArgumentError("a reply to what was not asked");
      // It would be taken for what belongs to the next call.
      if (!line.channel.isEmpty()) return absl::InvalidArgumentError("more than a reply");
      return frame;
    }
    Decoder in(frame.bytes, frame.descriptors);
    if (frame.kind == Kind::kStage && request.op != nullptr) {
      const std::string_view stage = in.text();
      if (in.finished()) request.op->stage(request.op, str(stage));
    } else if (frame.kind == Kind::kProgress && request.op != nullptr) {
      const auto done = in.raw<uint64_t>();
      const auto total = in.raw<uint64_t>();
      if (in.finished()) request.op->progress(request.op, done, total);
    } else if (frame.kind == Kind::kLog || frame.kind == Kind::kEvent) {
      hear(frame.kind, in);
    } else if (frame.kind == Kind::kCallback && request.callback != nullptr) {
      Encoder answer;
      BERTH_ASSIGN_OR_RETURN(const bool answered, (*request.callback)(frame.number, in, answer));
      // A sink that takes the bytes says itself when it has enough; the others do not.
      if (answered) {
        if (Decoder(answer.bytes()).raw<berth_code>() != BERTH_OK && ++refused > kMostRefusals)
          return absl::InvalidArgumentError("it goes on although it was refused");
        BERTH_RETURN_IF_ERROR(line.channel.send(Kind::kAnswer, frame.number, answer, &patience));
      } else if ((called += frame.bytes.size()) > kMostCallbackBytes) {
        return absl::InvalidArgumentError("one call handed back too much");
      }
    } else {
      in.fail();
    }
    if (!in.finished())
      return absl::InvalidArgumentError(
          strCat("a frame of kind ", static_cast<int>(frame.kind), " that is not understood"));
  }
}

absl::Status PluginProcess::blame(const std::string& reason) {
  std::unique_lock lock(mutex_);
  // Where it has ended by itself, that is what is seen of it first.
  changed_.wait_for(lock, std::chrono::milliseconds(100), [this] { return !end_.empty(); });
  if (end_.empty()) {
    if (reason_.empty()) reason_ = reason;
    kill();
    changed_.wait_for(lock, kLeaveTime, [this] { return !end_.empty(); });
  }
  return absl::UnavailableError(strCat("its process ", pid_, " ", end_.empty() ? reason_ : end_));
}

void PluginProcess::awaitStopped() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kLeaveTime, [this] { return stopped_ || !end_.empty(); });
}

bool PluginProcess::ended() const {
  const std::lock_guard lock(mutex_);
  return !end_.empty();
}

std::string PluginProcess::end() const {
  const std::lock_guard lock(mutex_);
  return end_;
}

bool PluginProcess::awaitEnd(Clock::time_point until) {
  std::unique_lock lock(mutex_);
  const auto over = [this] { return !end_.empty() || released_; };
  if (until != Clock::time_point::max()) return changed_.wait_until(lock, until, over);
  changed_.wait(lock, over);
  return true;
}

void PluginProcess::release() {
  {
    const std::lock_guard lock(mutex_);
    released_ = true;
  }
  changed_.notify_all();
}

void PluginProcess::kill() const {
  // <sys/pidfd.h> of glibc 2.36 declares this without C linkage.
  ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
}

// Called once, by whoever is alone with the process.
void PluginProcess::reap() {
  const absl::StatusOr<int> code = process_.wait();
  const std::lock_guard lock(mutex_);
  end_ = !code.ok()    ? "was lost"
         : *code > 128 ? strCat("was ended by signal ", *code - 128)
                       : strCat("exited with code ", *code);
  if (!reason_.empty()) end_ = strCat(reason_, " and ", end_);
  for (const auto& line : lines_) {
    line->channel.shutDown();
    ::eventfd_write(line->cancel.get(), 1);
  }
  for (const auto& channel : hostChannels_) channel->shutDown();
  idle_.clear();
  lines_.clear();
}

}  // namespace berth::isolation
