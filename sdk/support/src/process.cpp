#include "berth/support/process.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <mutex>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <absl/strings/str_split.h>

#include "berth/support/durable.hpp"
#include "berth/support/open_files.hpp"
#include "berth/support/status.hpp"
#include "child.hpp"

// The C library's own name for clone(): ThreadSanitizer takes what goes through the public one for
// a fork and then refuses to start threads.
// NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" int __clone(int (*function)(void*), void* stack, int flags, void* argument, ...);

namespace berth::support {
namespace {

// A killed process is gone within milliseconds, or nobody knows when.
constexpr int kKillPatience = 500;  // milliseconds
constexpr size_t kStackBytes = 65536;
constexpr std::string_view kDefaultPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// The child's stack, with a page below it that no one may touch.
class Stack {
 public:
  static absl::StatusOr<Stack> create() {
    const size_t guard = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    const size_t size = kStackBytes + guard;
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return errnoStatus(errno, "allocate the stack of a new process");
    Stack stack(memory, size);
    if (::mprotect(memory, guard, PROT_NONE) != 0)
      return errnoStatus(errno, "protect the stack of a new process");
    return stack;
  }
  Stack(Stack&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)), size_(other.size_) {}
  Stack& operator=(Stack&&) = delete;
  ~Stack() {
    if (memory_ != nullptr) ::munmap(memory_, size_);
  }
  void* top() const { return static_cast<char*>(memory_) + size_; }

 private:
  Stack(void* memory, size_t size) : memory_(memory), size_(size) {}
  void* memory_;
  size_t size_;
};

// While the child shares our memory no signal handler may run in either of the two. The raw call
// also covers the signals that the C library keeps for itself.
class SignalBlocker {
 public:
  SignalBlocker() { exchangeSignalMask(~uint64_t{0}, &old_); }
  SignalBlocker(const SignalBlocker&) = delete;
  SignalBlocker& operator=(const SignalBlocker&) = delete;
  ~SignalBlocker() { exchangeSignalMask(old_, nullptr); }

 private:
  uint64_t old_ = 0;
};

// Looks argv[0] up before there is a child: the search allocates.
absl::StatusOr<std::string> findProgram(const std::string& name) {
  if (name.empty())
    return absl::InvalidArgumentError("start a process: the program's name is empty");
  if (name.find('/') != std::string::npos) return name;
  const char* variable = ::getenv("PATH");
  const std::string_view path = variable != nullptr ? std::string_view(variable) : kDefaultPath;
  std::string refused;
  for (const absl::string_view folder : absl::StrSplit(toAbsl(path), ':')) {
    // An empty or relative folder would run whatever lies in the current directory.
    if (folder.empty() || folder.front() != '/') continue;
    std::string candidate = strCat(folder, "/", name);
    struct stat info = {};
    if (::stat(candidate.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    if (::faccessat(AT_FDCWD, candidate.c_str(), X_OK, AT_EACCESS) == 0) return candidate;
    if (refused.empty()) refused = std::move(candidate);
  }
  if (!refused.empty())
    return absl::PermissionDeniedError(
        strCat("start ", name, ": ", refused, " may not be executed"));
  return absl::NotFoundError(strCat("start ", name, ": no such program in the folders of PATH (",
                                    path, "); install it or give its full path"));
}

absl::Status checkCommand(const Command& command) {
  if (command.argv.empty()) return absl::InvalidArgumentError("start a process: argv is empty");
  std::vector<int> targets = {0, 1, 2};
  for (const auto& [ours, theirs] : command.descriptors) {
    if (ours < 0 || theirs < 0)
      return absl::InvalidArgumentError(
          strCat("start ", command.argv[0], ": cannot pass descriptor ", ours, " as ", theirs));
    if (std::find(targets.begin(), targets.end(), theirs) != targets.end())
      return absl::InvalidArgumentError(strCat("start ", command.argv[0], ": descriptor ", theirs,
                                               " of the child is given twice"));
    targets.push_back(theirs);
  }
  return absl::OkStatus();
}

std::vector<char*> pointersTo(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

absl::Status childFailure(const Command& command, const std::string& program,
                          const ChildReport& report) {
  const std::string start = strCat("start ", program);
  switch (report.stage) {
    case ChildStage::kNamespace:
      return errnoStatus(report.error,
                         strCat(start, ": join the namespace of descriptor ", report.detail));
    case ChildStage::kSession:
      return errnoStatus(report.error, start + ": start a new session");
    case ChildStage::kLife:
      return errnoStatus(report.error, start + ": have it end with the thread that starts it");
    case ChildStage::kDirectory:
      return errnoStatus(report.error, strCat(start, ": change to directory ", command.directory));
    case ChildStage::kDescriptors:
      return errnoStatus(report.error, strCat(start, ": pass descriptor ", report.detail, " on"));
    case ChildStage::kExecute:
      break;
  }
  struct stat info = {};
  if (report.error == ENOENT && ::stat(program.c_str(), &info) == 0)
    return absl::NotFoundError(strCat(
        start, ": the file is there, but the interpreter or loader that it names is missing"));
  if (report.error == ENOEXEC)
    return absl::FailedPreconditionError(
        strCat(start, ": not a program for this machine, or a script without a \"#!\" line"));
  return errnoStatus(report.error, start);
}

// <sys/pidfd.h> of glibc 2.36 declares this without C linkage.
int sendSignal(int pidfd, int number) {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0));
}

// Waits until the child has ended and takes its status; 128 + signal number when it was killed.
absl::StatusOr<int> reap(int pidfd, pid_t pid) {
  siginfo_t info = {};
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED) != 0)
    if (errno != EINTR) return errnoStatus(errno, strCat("wait for process ", pid));
  return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

// Children that do not end though they were killed: one sits in a system call that cannot be cut
// off, another is being traced. They are reaped when the next process is started or killed.
class Unreaped {
 public:
  static Unreaped& instance() {
    static Unreaped& one = *new Unreaped;  // no destructor while threads may still start processes
    return one;
  }
  void add(Fd pidfd) {
    const std::lock_guard lock(mutex_);
    pidfds_.push_back(std::move(pidfd));
    any_ = true;
  }
  void sweep() {
    if (!any_) return;
    const std::lock_guard lock(mutex_);
    std::erase_if(pidfds_, [](const Fd& pidfd) { return reapNow(pidfd.get()); });
    any_ = !pidfds_.empty();
  }
  // False while it has not ended.
  static bool reapNow(int pidfd) {
    siginfo_t info = {};
    const int result = ::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG);
    return result != 0 ? errno != EINTR : info.si_pid != 0;
  }

 private:
  std::mutex mutex_;
  std::vector<Fd> pidfds_;
  std::atomic<bool> any_ = false;
};

}  // namespace

absl::StatusOr<Process> spawn(const Command& command) {
  BERTH_RETURN_IF_ERROR(checkCommand(command));
  BERTH_ASSIGN_OR_RETURN(const std::string program, findProgram(command.argv[0]));
  Unreaped::instance().sweep();

  Fd null;
  if (std::min({command.standardInput, command.standardOutput, command.standardError}) < 0) {
    null.reset(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null) return errnoStatus(errno, strCat("start ", program, ": open /dev/null"));
  }
  const auto orNull = [&null](int fd) { return fd >= 0 ? fd : null.get(); };
  std::vector<Descriptor> descriptors = {{orNull(command.standardInput), 0},
                                         {orNull(command.standardOutput), 1},
                                         {orNull(command.standardError), 2}};
  int highest = 2;
  for (const auto& [ours, theirs] : command.descriptors) {
    descriptors.push_back({ours, theirs});
    highest = std::max(highest, theirs);
  }

  const std::vector<char*> arguments = pointersTo(command.argv);
  const std::vector<char*> environment =
      command.environment ? pointersTo(*command.environment) : std::vector<char*>();
  struct rlimit64 openFiles = {};
  const uint64_t softLimit = childOpenFiles();
  const bool limited = softLimit != 0 && ::getrlimit64(RLIMIT_NOFILE, &openFiles) == 0;
  openFiles.rlim_cur = std::min<uint64_t>(softLimit, openFiles.rlim_max);
  ChildReport report;
  ChildPlan plan{.program = program.c_str(),
                 .arguments = arguments.data(),
                 .environment = command.environment ? environment.data() : ::environ,
                 .directory = command.directory.empty() ? nullptr : command.directory.c_str(),
                 .descriptors = descriptors.data(),
                 .descriptorCount = descriptors.size(),
                 .firstFree = highest + 1,
                 .namespaces = command.namespaces.data(),
                 .namespaceCount = command.namespaces.size(),
                 .newSession = command.newSession,
                 .endsWith = command.endsWithThread ? ::getpid() : 0,
                 .openFiles = limited ? &openFiles : nullptr,
                 .report = &report};
  BERTH_ASSIGN_OR_RETURN(Stack stack, Stack::create());

  int pidfd = -1;
  pid_t pid = -1;
  int error = 0;
  {
    SignalBlocker blocked;
    pid = ::__clone(runChild, stack.top(), CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &plan,
                    &pidfd);
    error = errno;
  }
  if (pid < 0) return errnoStatus(error, strCat("start ", program, ": make a process"));

  Process process(pid, Fd(pidfd));
  if (report.error != 0) {
    (void)process.wait();
    return childFailure(command, program, report);
  }
  durableStep("start process", program.c_str());
  return process;
}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    killAndReap();
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::move(other.pidfd_);
  }
  return *this;
}

Process::~Process() {
  killAndReap();
}

void Process::killAndReap() {
  if (!pidfd_) return;
  Unreaped::instance().sweep();
  (void)sendSignal(pidfd_.get(), SIGKILL);
  pollfd ended{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
  (void)::poll(&ended, 1, kKillPatience);
  if (!Unreaped::reapNow(pidfd_.get())) Unreaped::instance().add(std::move(pidfd_));
  pidfd_.reset();
}

absl::Status Process::signal(int number) const {
  if (!pidfd_)
    return absl::NotFoundError(
        strCat("send signal ", number, " to process ", pid_, ": it has been waited for"));
  if (sendSignal(pidfd_.get(), number) == 0) return absl::OkStatus();
  return errnoStatus(errno, strCat("send signal ", number, " to process ", pid_));
}

absl::StatusOr<int> Process::wait() {
  if (!pidfd_)
    return absl::FailedPreconditionError(
        strCat("wait for process ", pid_, ": it has been waited for already"));
  absl::StatusOr<int> code = reap(pidfd_.get(), pid_);
  pidfd_.reset();
  return code;
}

pid_t Process::release() {
  pidfd_.reset();
  return std::exchange(pid_, -1);
}

}  // namespace berth::support
