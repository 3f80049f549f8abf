// Checks of runtimes: processes that are executed in a running container.
#include <atomic>
#include <fcntl.h>
#include <poll.h>
#include <thread>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "plugin_check/check.hpp"
#include "plugin_check/runtime_bed.hpp"

namespace berth::check {

using support::strCat;

namespace {

constexpr int kStreamPatience = 20000;  // milliseconds
// More than pipes hold.
constexpr size_t kMuch = 400'000;

struct Pipe {
  support::Fd read, write;
};

absl::StatusOr<Pipe> makePipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return support::errnoStatus(errno, "pipe");
  return Pipe{support::Fd(ends[0]), support::Fd(ends[1])};
}

std::string readToEnd(int fd) {
  std::string text;
  char buffer[4096];
  for (;;) {
    pollfd polled{.fd = fd, .events = POLLIN};
    if (::poll(&polled, 1, kStreamPatience) != 1) return text + " (and is not at its end)";
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got <= 0) return text;
    text.append(buffer, static_cast<size_t>(got));
  }
}

// Reads as the host does: while the process runs, and then what is there; but it takes its time.
class SlowReader {
 public:
  explicit SlowReader(support::Fd fd) : fd_(std::move(fd)) {
    ::fcntl(fd_.get(), F_SETFL, O_NONBLOCK);
    thread_ = std::thread([this] {
      while (!ended_) {
        std::this_thread::sleep_for(kPause);
        readSome();
      }
      while (readSome()) {
      }
    });
  }
  ~SlowReader() { finish(); }
  SlowReader(const SlowReader&) = delete;
  SlowReader& operator=(const SlowReader&) = delete;

  // The process has ended. Bytes that came.
  size_t finish() {
    ended_ = true;
    if (thread_.joinable()) thread_.join();
    return bytes_;
  }

 private:
  static constexpr std::chrono::milliseconds kPause{10};

  bool readSome() {
    char buffer[32'768];
    const ssize_t count = ::read(fd_.get(), buffer, sizeof buffer);
    if (count > 0) bytes_ += static_cast<size_t>(count);
    return count > 0;
  }

  const support::Fd fd_;
  std::atomic<bool> ended_ = false;
  size_t bytes_ = 0;  // of the thread until it is joined
  std::thread thread_;
};

void checkExec(RuntimeBed& bed, const plugins::ContainerSpec& container) {
  Probe& probe = bed.probe();
  auto output = makePipe();
  if (!probe.succeeds(output.status(), "make a pipe")) return;
  plugins::ExecSpec exec{.pod = container.pod, .container = container.id, .id = "first"};
  exec.process = RuntimeBed::processDocument({"sh", "-c", "echo from-exec; exit 5"}, false);
  exec.stdoutFd = output->write.get();
  probe.step("exec_start");
  if (!probe.succeeds(bed.plugin().startExec(bed.op(), exec), "exec_start")) return;
  output->write.reset();
  // What it has written is less than a pipe holds.
  probe.step("exec_wait");
  const auto code = bed.plugin().waitExec(bed.op(), container.pod, container.id, "first");
  if (probe.succeeds(code.status(), "exec_wait"))
    probe.expect(*code == 5, strCat("an exec that exits with 5 has the exit code ", *code));
  probe.step("read what the exec has written");
  const std::string said = readToEnd(output->read.get());
  probe.expect(said == "from-exec\n", strCat("exec writes \"", said, "\""));
  exec.id = "missing";
  exec.stdoutFd = -1;
  exec.process = RuntimeBed::processDocument({"/no/such/program"}, false);
  probe.step("exec_start of a program that is not there");
  probe.fails(bed.plugin().startExec(bed.op(), exec), "exec_start of a program that is not there");
  exec.id = "long";
  exec.process = RuntimeBed::processDocument({"sleep", "600"}, false);
  if (!probe.succeeds(bed.plugin().startExec(bed.op(), exec), "exec_start")) return;
  judgeCancelledDuring(probe, "exec_wait", [&](const plugins::Operation& op) {
    return bed.plugin().waitExec(op, container.pod, container.id, "long").status();
  });
}

void checkOutput(RuntimeBed& bed, const plugins::ContainerSpec& container) {
  Probe& probe = bed.probe();
  auto output = makePipe();
  if (!probe.succeeds(output.status(), "make a pipe")) return;
  SlowReader reader(std::move(output->read));
  plugins::ExecSpec exec{.pod = container.pod, .container = container.id, .id = "loud"};
  const std::string line(999, 'x');
  exec.process =
      RuntimeBed::processDocument({"sh", "-c",
                                   strCat("i=0; while [ $i -lt ", kMuch / (line.size() + 1),
                                          " ]; do echo ", line, "; i=$((i+1)); done")},
                                  false);
  exec.stdoutFd = output->write.get();
  probe.step("exec_start of a program that writes much");
  if (!probe.succeeds(bed.plugin().startExec(bed.op(), exec), "exec_start")) return;
  output->write.reset();
  probe.step("exec_wait");
  const auto code = bed.plugin().waitExec(bed.op(), container.pod, container.id, "loud");
  const size_t bytes = reader.finish();
  if (probe.succeeds(code.status(), "exec_wait"))
    probe.expect(bytes == kMuch, strCat("when exec_wait returns, ", bytes, " bytes of ", kMuch,
                                        " that were written stand in the descriptor"));
}

}  // namespace

std::vector<Check> runtimeExecChecks() {
  return {
      runtimeCheck("runtime.exec", "Processes run in a container, and are killed when not wanted.",
                   "runtime.h: exec_start, exec_wait (on cancellation the process is killed)",
                   &inContainer<checkExec>),
      runtimeCheck("runtime.exec-output",
                   "What a process has written is there when its end is told.",
                   "runtime.h, exec_wait: the host reads what is there, and no more",
                   &inContainer<checkOutput>),
  };
}

}  // namespace berth::check
