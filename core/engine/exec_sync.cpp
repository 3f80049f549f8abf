// ExecSync: a command in a running container, with its output in the answer.
#include <array>
#include <fcntl.h>
#include <future>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "berth/support/fd.hpp"
#include "berth/support/status.hpp"
#include "engine/engine.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::Fd;
using support::strCat;

namespace {

// Read at a time of one stream, so that a loud one starves nobody.
constexpr size_t kReadBytes = 256u << 10;

struct Pipe {
  Fd read;
  Fd write;
};

absl::StatusOr<Pipe> makePipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return support::errnoStatus(errno, "make a pipe");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

// Reads both outputs of a command until they end, or until the command has ended and what it wrote
// is read: a process that it left behind may hold them open for ever.
class OutputReader {
 public:
  OutputReader(Fd output, Fd error, size_t limit)
      : streams_{Stream{std::move(output), {}}, Stream{std::move(error), {}}},
        ended_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        limit_(limit) {
    for (Stream& stream : streams_) {
      ::fcntl(stream.fd.get(), F_SETFL, O_NONBLOCK);
    }
  }

  // The command has ended; may be called from another thread.
  void commandEnded() { ::eventfd_write(ended_.get(), 1); }

  void readAll() {
    bool ended = false;
    while (!ended) {
      std::array<pollfd, 3> waits{pollfd{streams_[0].fd.get(), POLLIN, 0},
                                  pollfd{streams_[1].fd.get(), POLLIN, 0},
                                  pollfd{ended_.get(), POLLIN, 0}};
      if (::poll(waits.data(), waits.size(), -1) < 0) continue;
      for (size_t i = 0; i < streams_.size(); ++i) {
        if (waits[i].revents != 0) readSome(streams_[i], kReadBytes);
      }
      ended = waits[2].revents != 0;
    }
    for (Stream& stream : streams_) {
      // What is there now: those that the command left behind may write on.
      int present = 0;
      if (stream.fd && ::ioctl(stream.fd.get(), FIONREAD, &present) == 0) {
        readSome(stream, static_cast<size_t>(present));
      }
      stream.fd.reset();
    }
  }

  std::string& output() { return streams_[0].text; }
  std::string& error() { return streams_[1].text; }

 private:
  struct Stream {
    Fd fd;
    std::string text;
  };

  // Reads no more than `most` bytes; what goes past the limit is read and dropped, so that the
  // command never hangs on a full pipe.
  void readSome(Stream& stream, size_t most) {
    std::array<char, 16384> buffer;
    while (stream.fd && most > 0) {
      const ssize_t count = ::read(stream.fd.get(), buffer.data(), std::min(most, buffer.size()));
      if (count > 0) {
        const size_t room = limit_ - std::min(limit_, stream.text.size());
        stream.text.append(buffer.data(), std::min(room, static_cast<size_t>(count)));
        most -= static_cast<size_t>(count);
      } else if (count == 0) {
        stream.fd.reset();
      } else if (errno != EINTR) {
        if (errno != EAGAIN) stream.fd.reset();
        return;
      }
    }
  }

  std::array<Stream, 2> streams_;
  Fd ended_;
  const size_t limit_;
};

}  // namespace

void fitOutputs(std::string& output, std::string& error, size_t limit) {
  const size_t half = limit / 2;
  if (output.size() + error.size() <= limit) return;
  if (error.size() <= half) return output.resize(limit - error.size());
  if (output.size() > half) output.resize(half);
  error.resize(limit - output.size());
}

absl::StatusOr<v1::ExecSyncResponse> Engine::execSync(const v1::ExecSyncRequest& request,
                                                      plugins::Operation& op) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Container> container,
                         findRunning(request.container_id(), "exec in"));
  BERTH_ASSIGN_OR_RETURN(Pipe output, makePipe());
  BERTH_ASSIGN_OR_RETURN(Pipe error, makePipe());
  ExecOptions options;
  options.command.assign(request.cmd().begin(), request.cmd().end());
  options.streams = {-1, output.write.get(), error.write.get()};
  BERTH_ASSIGN_OR_RETURN(const ExecProcess process, startExec(op, *container, options));
  output.write.reset();
  error.write.reset();

  op.setStage("wait for the command to end");
  OutputReader reader(std::move(output.read), std::move(error.read), settings_.execSyncOutputBytes);
  std::promise<void> read;
  workers_.post([&] {
    reader.readAll();
    read.set_value();
  });
  auto exitCode = process.wait(op);
  reader.commandEnded();
  read.get_future().wait();
  if (!exitCode.ok()) return exitCode.status();
  fitOutputs(reader.output(), reader.error(), settings_.execSyncOutputBytes);
  v1::ExecSyncResponse response;
  response.set_stdout(std::move(reader.output()));
  response.set_stderr(std::move(reader.error()));
  response.set_exit_code(*exitCode);
  return response;
}

}  // namespace berth::engine
