#include "runtime_call.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "berth/support/durable.hpp"
#include "berth/support/pipe.hpp"
#include "berth/support/steps.hpp"
#include "files.hpp"

namespace berth::runc::monitor {

namespace {
constexpr size_t kLogTail = 16u << 10;
// Blocks and inodes; what failed for want of them has given some back since.
constexpr uint64_t kLittle = 16;

// Whether the runtime may have found no room for its log either, which it tells of errors in.
bool hasLittleRoom(int folder) {
  struct statvfs info = {};
  if (fstatvfs(folder, &info) != 0) return false;
  // 0 of all: there is no limit.
  return (info.f_blocks != 0 && info.f_bavail < kLittle) ||
         (info.f_files != 0 && info.f_favail < kLittle);
}
}  // namespace

RuntimeCall::~RuntimeCall() {
  if (!running()) return;
  context_.reaper.forget(pid_);
  context_.reaper.endCall(reaped_);
}

Status RuntimeCall::start(const std::string& what, const std::string& log,
                          const std::vector<std::string>& arguments, const Stdio& stdio,
                          int stderrReader) {
  const protocol::StartRequest& config = context_.config;
  what_ = what;
  log_ = log;
  stderrReader_ = stderrReader;
  aborted_ = false;

  std::vector<std::string> argv = {config.runtimePath, "--root", config.runtimeRoot};
  argv.insert(argv.end(), config.runtimeArgs.begin(), config.runtimeArgs.end());
  for (const char* argument : {"--log", log.c_str(), "--log-format", "json"}) {
    argv.emplace_back(argument);
  }
  argv.insert(argv.end(), arguments.begin(), arguments.end());

  Stdio used = stdio;
  stderr_.reset();
  if (used.err < 0) {
    stderr_.reset(memfd_create("runtime-stderr", MFD_CLOEXEC));
    used.err = stderr_.get();
  }
  Status status = context_.runtime.spawn(argv, used, pid_);
  if (!isOk(status)) {
    pid_ = 0;
    return status;
  }
  reaped_ = context_.reaper.beginCall();
  context_.reaper.watch(pid_, *this);
  return {};
}

void RuntimeCall::abort() {
  if (!running()) return;
  aborted_ = true;
  killTree(pid_, pid_, {});
}

void RuntimeCall::onChildExit(pid_t, int status, int64_t) {
  pid_ = 0;
  support::durableStep("end of process", "OCI runtime");
  Reaper& reaper = context_.reaper;
  const UnknownExits::Call reaped = reaped_;
  listener_.onRuntimeDone(statusOf(status));
  // After the listener, which may adopt an orphan whose exit was already seen.
  reaper.endCall(reaped);
}

std::string RuntimeCall::errorText() const {
  std::string text = lastErrorIn(readSmall(AT_FDCWD, log_.c_str(), kLogTail, Part::kTail));
  if (text.empty() && stderr_) text = lastErrorIn(readOpen(stderr_.get(), kLogTail));
  if (text.empty() && stderrReader_ >= 0) {
    // Others may hold the pipe open: only what is in it.
    char buffer[4096];
    if (support::bytesIn(stderrReader_) > 0) {
      const ssize_t count = read(stderrReader_, buffer, sizeof buffer);
      if (count > 0) text = lastErrorIn({buffer, static_cast<size_t>(count)});
    }
  }
  return text;
}

Status RuntimeCall::statusOf(int status) const {
  if (aborted_) return failure(Code::kCancelled, {what_, ": aborted by a kill request"});
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  std::string text = errorText();
  if (WIFSIGNALED(status)) {
    return failure(Code::kInternal,
                   {what_, ": ", context_.config.runtimePath, " was killed by signal ",
                    Number(WTERMSIG(status)), text.empty() ? "" : ": ", text});
  }
  if (text.empty()) {
    text = concat({"exit code ", Number(WEXITSTATUS(status)), " without a message"});
    if (hasLittleRoom(context_.runDir.get()))
      text += concat({"; no space left on device: ", context_.config.runDir, " is full"});
  }
  // A program that is missing or may not run is the image's or the request's fault.
  const bool program = text.find("executable file not found") != std::string::npos ||
                       text.find("no such file or directory") != std::string::npos ||
                       text.find("permission denied") != std::string::npos;
  // Its files lie in the run folder and its root; Go and libc have a word each for a full one.
  const bool noRoom = text.find("o space left on device") != std::string::npos;
  return failure(noRoom    ? Code::kResourceExhausted
                 : program ? Code::kFailedPrecondition
                           : Code::kInternal,
                 {what_, ": ", context_.config.runtimePath, ": ", text});
}

PidFile::PidFile(Context& context) : context_(context) {
  name_ = concat({"operation-", Number(context.nextSerial()), ".pid"});
}

PidFile::~PidFile() {
  support::steps::unlinkat(context_.runDir.get(), name_.c_str(), 0);
}

std::string PidFile::path() const {
  return concat({context_.config.runDir, "/", name_});
}

pid_t PidFile::pid() const {
  const std::string content = readSmall(context_.runDir.get(), name_.c_str(), 32);
  std::string_view rest = content;
  uint64_t pid = 0;
  return parseNumber(takeWord(rest), pid) ? static_cast<pid_t>(pid) : 0;
}

}  // namespace berth::runc::monitor
