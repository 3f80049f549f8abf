#include "process.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/steps.hpp"

namespace berth::kata::keeper {

using streams::Code;
using streams::LogStream;
using streams::Status;

namespace {

constexpr int64_t kNsPerMs = 1'000'000;

// Neither end waits for the other: a reader without a writer is what O_NONBLOCK is for, and a
// writer needs a reader that is there before it (fifo(7)).
Status openFifo(const std::string& path, int flags, Fd& fifo) {
  fifo.reset(::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  if (!fifo) return streams::errnoFailure(errno, {"open the FIFO ", path});
  struct stat info {};
  if (::fstat(fifo.get(), &info) != 0 || !S_ISFIFO(info.st_mode)) {
    return streams::failure(Code::kInvalidArgument, {path, " is no FIFO"});
  }
  return {};
}

}  // namespace

Process::Process(streams::Loop& loop, ProcessListener& listener, std::string key,
                 std::string oomFile, bool bound)
    : loop_(loop),
      listener_(listener),
      key_(std::move(key)),
      oomFile_(std::move(oomFile)),
      bound_(bound),
      hub_(loop, *this, bound ? streams::kNeverStuck : streams::kStuckAfterNs),
      memory_(loop, *this) {}

Process::~Process() {
  loop_.disarm(*this);
}

Status Process::open(const Request& request) {
  oomKilled_ = ::access(oomFile_.c_str(), F_OK) == 0;
  if (Status status = log_.open(request.log); !isOk(status)) return status;
  const std::pair<const std::string&, LogStream::Kind> outputs[] = {
      {request.output, LogStream::Kind::kStdout}, {request.error, LogStream::Kind::kStderr}};
  for (const auto& [path, kind] : outputs) {
    if (path.empty()) continue;
    Fd fifo;
    if (Status status = openFifo(path, O_RDONLY, fifo); !isOk(status)) return status;
    hub_.openOutput(kind, std::move(fifo), &log_);
  }
  watchMemory(request.cgroup);
  if (request.input.empty()) return {};
  Fd standIn, fifo;
  if (Status status = openFifo(request.input, O_RDONLY, standIn); !isOk(status)) return status;
  if (Status status = openFifo(request.input, O_WRONLY, fifo); !isOk(status)) return status;
  hub_.openInput(std::move(fifo),
                 request.inputMode == Input::kWithFirstSession
                     ? streams::InputEnd::kWithFirstSession
                     : streams::InputEnd::kStays,
                 std::move(standIn));
  return {};
}

Status Process::reopenLog(const std::string& path) {
  return log_.open(path.empty() ? log_.path() : path);
}

void Process::finish(uint32_t timeoutMs, bool awaitExit, std::function<void()> done) {
  // At once: what the parent's count rises by later is not this one's.
  if (awaitExit && !oomKilled_) memory_.checkAtExit(SIGKILL);
  waiting_.push_back(std::move(done));
  awaitExit_ = awaitExit;
  timeIsUp_ = false;
  hub_.awaitRest();
  loop_.arm(*this, timeoutMs * kNsPerMs);
  finishIfOver();
}

void Process::noteOomEvent() {
  memory_.check();
  if (memory_.kills() == 0) noteOom();
}

// It is told also when it cannot be kept.
void Process::noteOom() {
  oomKilled_ = true;
  const Fd file(support::steps::create(oomFile_.c_str(), O_WRONLY | O_CLOEXEC, 0600));
  listener_.onOomKilled(key_);
}

void Process::forget() {
  loop_.disarm(*this);
  waiting_.clear();
  memory_.stop();
  hub_.closeOutputs();
  hub_.endSessions();
  if (oomKilled_) support::steps::unlink(oomFile_.c_str());
}

void Process::noteExit() {
  memory_.noteExit();
  exitSeen_ = true;
  finishIfOver();
}

bool Process::isOver() const {
  return timeIsUp_ || (!hub_.outputsOpen() && (!awaitExit_ || exitSeen_));
}

void Process::finishIfOver() {
  if (waiting_.empty() || !isOver()) return;
  hub_.drain();
  hub_.endSessions();
  // Who waits for it reads only what is there when its end is told.
  if (!bound_ || !hasSessions()) answer();
}

void Process::onTimer() {
  timeIsUp_ = true;
  finishIfOver();
}

void Process::answer() {
  loop_.disarm(*this);
  std::vector<std::function<void()>> waiting;
  waiting.swap(waiting_);
  for (const auto& done : waiting) done();
}

void Process::onSessionsGone() {
  finishIfOver();
  listener_.onSessionsGone(*this);
}

void Process::onInputEnded() {
  inputEnded_ = true;
  listener_.onInputEnded(key_);
}

Entry Process::entry() const {
  return {.key = key_, .inputEnded = inputEnded_ ? 1u : 0u, .oomKilled = oomKilled_ ? 1u : 0u};
}

}  // namespace berth::kata::keeper
