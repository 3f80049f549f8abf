// run(): a process from start to end with its output captured.
#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "berth/support/durable.hpp"
#include "berth/support/files.hpp"
#include "berth/support/process.hpp"
#include "berth/support/status.hpp"

namespace berth::support {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kTailBytes = 512;

struct Pipe {
  Fd reader;
  Fd writer;
};

absl::StatusOr<Pipe> makePipe() {
  std::array<int, 2> ends = {-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return errnoStatus(errno, "make a pipe");
  Pipe result{Fd(ends[0]), Fd(ends[1])};
  // Only our end: the flag belongs to the open file, and the child expects blocking writes.
  if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return errnoStatus(errno, "set up a pipe");
  return result;
}

// All input is there from the start, so it goes into a file in memory: nothing to feed while the
// process runs, and no SIGPIPE when it does not read.
absl::StatusOr<Fd> inputFile(std::string_view input) {
  Fd file(::memfd_create("stdin", MFD_CLOEXEC));
  if (!file) return errnoStatus(errno, "make a file in memory for the input");
  BERTH_RETURN_IF_ERROR(annotate(writeAll(file.get(), input), "write the input"));
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return errnoStatus(errno, "rewind the input");
  return file;
}

// One captured stream.
struct Capture {
  std::string_view name;
  Fd reader;
  std::string* text;
};

enum class Event { kNone, kExited, kCancelled, kExpired };

class Runner {
 public:
  Runner(std::string program, const RunLimits& limits)
      : program_(std::move(program)), limits_(limits) {}

  absl::StatusOr<Output> run(Command command, std::string_view input) {
    BERTH_RETURN_IF_ERROR(checkLimits());
    BERTH_RETURN_IF_ERROR(start(command, input));
    absl::Status status = capture();
    if (!status.ok()) {
      stop(command);
      return explain(status);
    }
    BERTH_ASSIGN_OR_RETURN(output_.exitCode, process_.wait());
    durableStep("end of process", program_.c_str());
    return std::move(output_);
  }

 private:
  absl::Status checkLimits() const {
    if (limits_.deadline <= Clock::now())
      return absl::DeadlineExceededError(
          strCat("run ", program_, ": the deadline passed before it was started"));
    pollfd cancel{.fd = limits_.cancelFd, .events = POLLIN, .revents = 0};
    if (limits_.cancelFd >= 0 && ::poll(&cancel, 1, 0) > 0)
      return absl::CancelledError(strCat("run ", program_, ": cancelled before it started"));
    return absl::OkStatus();
  }

  absl::Status start(Command& command, std::string_view input) {
    Fd standardInput;
    if (!input.empty()) {
      BERTH_ASSIGN_OR_RETURN(standardInput, inputFile(input));
    }
    BERTH_ASSIGN_OR_RETURN(Pipe out, makePipe());
    BERTH_ASSIGN_OR_RETURN(Pipe err, makePipe());
    command.standardInput = standardInput.get();
    command.standardOutput = out.writer.get();
    command.standardError = err.writer.get();
    BERTH_ASSIGN_OR_RETURN(process_, spawn(command));
    captures_ = {Capture{"standard output", std::move(out.reader), &output_.standardOutput},
                 Capture{"standard error", std::move(err.reader), &output_.standardError}};
    return absl::OkStatus();
  }

  absl::Status capture() {
    for (;;) {
      BERTH_ASSIGN_OR_RETURN(const Event event, waitForEvent());
      // Also after the exit: what the process has written is all in the pipes by then. What a
      // grandchild that keeps them open may still write is not waited for.
      for (Capture& stream : captures_) BERTH_RETURN_IF_ERROR(drain(stream));
      switch (event) {
        case Event::kNone:
          break;
        case Event::kExited:
          return absl::OkStatus();
        case Event::kCancelled:
          return absl::CancelledError("cancelled, so it was killed");
        case Event::kExpired:
          return absl::DeadlineExceededError("it did not end before the deadline and was killed");
      }
    }
  }

  absl::StatusOr<Event> waitForEvent() const {
    // poll() passes over negative descriptors.
    std::array<pollfd, 4> watched = {{{process_.pidfd(), POLLIN, 0},
                                      {limits_.cancelFd, POLLIN, 0},
                                      {captures_[0].reader.get(), POLLIN, 0},
                                      {captures_[1].reader.get(), POLLIN, 0}}};
    timespec timeout = {};
    const bool bounded = limits_.deadline != Clock::time_point::max();
    if (bounded) {
      const auto left = std::max(limits_.deadline - Clock::now(), Clock::duration::zero());
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
      timeout.tv_sec = seconds.count();
      timeout.tv_nsec = std::chrono::nanoseconds(left - seconds).count();
    }
    const int ready =
        ::ppoll(watched.data(), watched.size(), bounded ? &timeout : nullptr, nullptr);
    if (ready < 0 && errno != EINTR) return errnoStatus(errno, "poll");
    if (ready > 0 && watched[0].revents != 0) return Event::kExited;
    if (ready > 0 && watched[1].revents != 0) return Event::kCancelled;
    // Looked at whatever was ready: a process that never stops writing has a deadline too.
    if (bounded && Clock::now() >= limits_.deadline) return Event::kExpired;
    return Event::kNone;
  }

  absl::Status drain(Capture& stream) {
    // More than any pipe holds by default settings, and an end to it: the other stream, the
    // deadline and cancellation get their turn with a writer that never pauses.
    constexpr int kRounds = 256;
    std::array<char, 16384> buffer;
    for (int round = 0; round < kRounds && stream.reader; ++round) {
      const ssize_t count = ::read(stream.reader.get(), buffer.data(), buffer.size());
      if (count > 0) {
        if (stream.text->size() + static_cast<size_t>(count) > limits_.outputBytes)
          return absl::ResourceExhaustedError(strCat("it wrote more than ", limits_.outputBytes,
                                                     " bytes to its ", stream.name,
                                                     " and was killed"));
        stream.text->append(buffer.data(), static_cast<size_t>(count));
      } else if (count == 0) {
        stream.reader.reset();
      } else if (errno == EAGAIN) {
        break;
      } else if (errno != EINTR) {
        return errnoStatus(errno, strCat("read its ", stream.name));
      }
    }
    return absl::OkStatus();
  }

  void stop(const Command& command) {
    // Not yet reaped, so the number still is its own, and with a session of its own it is the
    // number of its process group as well.
    if (command.newSession) (void)::kill(-process_.pid(), SIGKILL);
    process_ = Process();
  }

  // The last words of a process that was stopped often say what it was waiting for.
  absl::Status explain(const absl::Status& status) const {
    absl::Status named = annotate(status, strCat("run ", program_));
    std::string_view tail = output_.standardError;
    while (!tail.empty() && tail.back() == '\n') tail.remove_suffix(1);
    if (tail.empty()) return named;
    if (tail.size() > kTailBytes) tail.remove_prefix(tail.size() - kTailBytes);
    return absl::Status(named.code(), strCat(named.message(), "; its standard error ends: ", tail));
  }

  std::string program_;
  const RunLimits& limits_;
  Process process_;
  Output output_;
  std::array<Capture, 2> captures_;
};

}  // namespace

absl::StatusOr<Output> run(const Command& command, std::string_view input,
                           const RunLimits& limits) {
  return Runner(command.argv.empty() ? std::string() : command.argv[0], limits).run(command, input);
}

}  // namespace berth::support
