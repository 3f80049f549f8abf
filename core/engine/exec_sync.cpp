// ExecSync: a command in a running container, with its output in the answer.
#include <array>
#include <fcntl.h>
#include <future>
#include <memory>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "berth/support/fd.hpp"
#include "berth/support/pipe.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
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

// Reads both outputs of a command until the command has ended and what it wrote is read: a process
// that it left behind may hold them open for ever. On a thread of its own, which shares this.
class OutputReader {
 public:
  // RESOURCE_EXHAUSTED when there are no more descriptors or threads.
  static absl::StatusOr<std::shared_ptr<OutputReader>> start(Workers& workers, size_t limit) {
    const auto reader = std::make_shared<OutputReader>(limit);
    reader->ended_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!reader->ended_) return support::errnoStatus(errno, "make an eventfd");
    for (Stream& stream : reader->streams_) {
      BERTH_ASSIGN_OR_RETURN(stream.pipe, makePipe());
      ::fcntl(stream.pipe.read.get(), F_SETFL, O_NONBLOCK);
    }
    BERTH_RETURN_IF_ERROR(workers.post([reader] { reader->run(); }));
    return reader;
  }
  explicit OutputReader(size_t limit) : limit_(limit) {}
  OutputReader(const OutputReader&) = delete;
  OutputReader& operator=(const OutputReader&) = delete;

  // The ends to write to are borrowed, until finish().
  int outputEnd() const { return streams_[0].pipe.write.get(); }
  int errorEnd() const { return streams_[1].pipe.write.get(); }

  // The command has ended, or was never started. Returns when what it wrote is read;
  // RESOURCE_EXHAUSTED when there was no memory for it. Once.
  absl::Status finish() {
    ::eventfd_write(ended_.get(), 1);
    return done_.get_future().get();
  }

  // After finish().
  std::string& output() { return streams_[0].text; }
  std::string& error() { return streams_[1].text; }

 private:
  struct Stream {
    Pipe pipe;
    std::string text;
  };

  void run() {
    // Who waits must hear of the end in any case.
    done_.set_value(support::returnThrown([this] {
      readAll();
      return absl::OkStatus();
    }));
    // This waits, like all that changes a pipe, for a killed process that splices into it and is
    // held by the kernel; nobody waits for this.
    for (Stream& stream : streams_) stream.pipe.read.reset();
  }

  void readAll() {
    bool ended = false;
    while (!ended) {
      std::array<pollfd, 3> waits{pollfd{streams_[0].pipe.read.get(), POLLIN, 0},
                                  pollfd{streams_[1].pipe.read.get(), POLLIN, 0},
                                  pollfd{ended_.get(), POLLIN, 0}};
      if (::poll(waits.data(), waits.size(), -1) < 0) continue;
      for (size_t i = 0; i < streams_.size(); ++i) {
        if (waits[i].revents != 0) readSome(streams_[i], kReadBytes);
      }
      ended = waits[2].revents != 0;
    }
    for (Stream& stream : streams_) {
      // What is there now: those that the command left behind may write on.
      Fd& fd = stream.pipe.read;
      const int present = fd ? support::bytesIn(fd.get()) : 0;
      if (present > 0) readSome(stream, static_cast<size_t>(present));
    }
  }

  // Reads no more than `most` bytes; what goes past the limit is read and dropped, so that the
  // command never hangs on a full pipe.
  void readSome(Stream& stream, size_t most) {
    std::array<char, 16384> buffer;
    Fd& fd = stream.pipe.read;
    while (fd && most > 0) {
      const ssize_t count = ::read(fd.get(), buffer.data(), std::min(most, buffer.size()));
      if (count > 0) {
        const size_t room = limit_ - std::min(limit_, stream.text.size());
        stream.text.append(buffer.data(), std::min(room, static_cast<size_t>(count)));
        most -= static_cast<size_t>(count);
      } else if (count == 0) {
        fd.reset();
      } else if (errno != EINTR) {
        if (errno != EAGAIN) fd.reset();
        return;
      }
    }
  }

  std::array<Stream, 2> streams_;
  Fd ended_;
  const size_t limit_;
  std::promise<absl::Status> done_;
};

// Ends the reading on every way out.
class ReadingGuard {
 public:
  explicit ReadingGuard(OutputReader& reader) : reader_(reader) {}
  ~ReadingGuard() {
    if (!finished_) reader_.finish().IgnoreError();
  }
  ReadingGuard(const ReadingGuard&) = delete;
  ReadingGuard& operator=(const ReadingGuard&) = delete;
  absl::Status finish() {
    finished_ = true;
    return reader_.finish();
  }

 private:
  OutputReader& reader_;
  bool finished_ = false;
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
  const size_t limit = preferences()->execSyncOutputBytes;
  // It reads before the command is started: for one that runs there must be nothing left to fail.
  auto started = OutputReader::start(workers_, limit);
  if (!started.ok()) {
    return support::annotate(started.status(),
                             strCat("exec in container ", request.container_id()));
  }
  OutputReader& reader = **started;
  ReadingGuard reading(reader);
  ExecOptions options;
  options.command.assign(request.cmd().begin(), request.cmd().end());
  options.streams = {-1, reader.outputEnd(), reader.errorEnd()};
  BERTH_ASSIGN_OR_RETURN(const ExecProcess process, startExec(op, *container, options));
  op.setStage("wait for the command to end");
  const auto exitCode = process.wait(op);
  const absl::Status read = reading.finish();
  if (!exitCode.ok()) return exitCode.status();
  BERTH_RETURN_IF_ERROR(support::annotate(read, "read the output of the command"));
  fitOutputs(reader.output(), reader.error(), limit);
  v1::ExecSyncResponse response;
  response.set_stdout(std::move(reader.output()));
  response.set_stderr(std::move(reader.error()));
  response.set_exit_code(*exitCode);
  return response;
}

}  // namespace berth::engine
