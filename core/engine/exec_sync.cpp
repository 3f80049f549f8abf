// ExecSync: a command in a running container, with its output in the answer.
#include <array>
#include <fcntl.h>
#include <future>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "berth/support/fd.hpp"
#include "berth/support/ids.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "engine/engine.hpp"
#include "engine/spec/process.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::Fd;
using support::strCat;

namespace {

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
    while (streams_[0].fd || streams_[1].fd) {
      if (ended) {
        for (Stream& stream : streams_) {
          drain(stream);
          stream.fd.reset();
        }
        return;
      }
      std::array<pollfd, 3> waits{pollfd{streams_[0].fd.get(), POLLIN, 0},
                                  pollfd{streams_[1].fd.get(), POLLIN, 0},
                                  pollfd{ended_.get(), POLLIN, 0}};
      if (::poll(waits.data(), waits.size(), -1) < 0) continue;
      for (size_t i = 0; i < streams_.size(); ++i) {
        if (waits[i].revents != 0) drain(streams_[i]);
      }
      ended = waits[2].revents != 0;
    }
  }

  std::string& output() { return streams_[0].text; }
  std::string& error() { return streams_[1].text; }

 private:
  struct Stream {
    Fd fd;
    std::string text;
  };

  // Reads what is there; what goes past the limit is read and dropped, so that the command never
  // hangs on a full pipe.
  void drain(Stream& stream) {
    std::array<char, 16384> buffer;
    while (stream.fd) {
      const ssize_t count = ::read(stream.fd.get(), buffer.data(), buffer.size());
      if (count > 0) {
        const size_t room = limit_ - std::min(limit_, stream.text.size());
        stream.text.append(buffer.data(), std::min(room, static_cast<size_t>(count)));
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

absl::StatusOr<v1::ExecSyncResponse> Engine::execSync(const v1::ExecSyncRequest& request,
                                                      Deadline deadline) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Container> container,
                         findContainer(request.container_id()));
  if (container->state() != v1::CONTAINER_RUNNING) {
    return absl::FailedPreconditionError(
        strCat("exec in container ", container->id(), ": it does not run"));
  }
  const std::vector<std::string> command(request.cmd().begin(), request.cmd().end());
  BERTH_ASSIGN_OR_RETURN(
      const boost::json::object process,
      support::parseJsonObject(
          container->peek([](const records::ContainerRecord& r) { return r.process(); }),
          "the container's process"));
  BERTH_ASSIGN_OR_RETURN(
      const boost::json::object added,
      spec::execProcess(boost::json::object{{"process", process}}, command, spec::Terminal::kNo));
  BERTH_ASSIGN_OR_RETURN(plugins::Runtime * runtime, runtimeOf(container->pod()));

  if (request.timeout() > 0) {
    deadline = std::min(deadline, Deadline::clock::now() + std::chrono::seconds(request.timeout()));
  }
  plugins::Operation op(strCat("ExecSync in container ", container->id()), deadline);
  op.setStage("start the command");
  BERTH_ASSIGN_OR_RETURN(Pipe output, makePipe());
  BERTH_ASSIGN_OR_RETURN(Pipe error, makePipe());
  plugins::ExecSpec spec;
  spec.pod = container->pod().id();
  spec.container = container->id();
  spec.id = support::randomId();
  spec.process = boost::json::serialize(added);
  spec.stdoutFd = output.write.get();
  spec.stderrFd = error.write.get();
  BERTH_RETURN_IF_ERROR(runtime->startExec(op, spec));
  output.write.reset();
  error.write.reset();

  op.setStage("wait for the command to end");
  OutputReader reader(std::move(output.read), std::move(error.read), settings_.execSyncOutputBytes);
  std::promise<void> read;
  workers_.post([&] {
    reader.readAll();
    read.set_value();
  });
  auto exitCode = runtime->waitExec(op, spec.pod, spec.container, spec.id);
  reader.commandEnded();
  read.get_future().wait();
  if (!exitCode.ok()) {
    return support::annotate(exitCode.status(), strCat("exec in container ", container->id()));
  }
  v1::ExecSyncResponse response;
  response.set_stdout(std::move(reader.output()));
  response.set_stderr(std::move(reader.error()));
  response.set_exit_code(*exitCode);
  return response;
}

}  // namespace berth::engine
