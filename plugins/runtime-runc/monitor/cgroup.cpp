#include "cgroup.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files.hpp"

namespace berth::runc::monitor {

namespace {

constexpr int kMaxDepth = 32;
constexpr int kMaxRounds = 1000;
constexpr size_t kVictimsAtOnce = 64;
constexpr size_t kMaxProcs = 4u << 20;
constexpr int64_t kPatienceNs = 10'000'000'000;

void listInto(const std::string& directory, int depth, std::vector<pid_t>& out) {
  const std::string content =
      readSmall(AT_FDCWD, concat({directory, "/cgroup.procs"}).c_str(), kMaxProcs);
  std::string_view rest = content;
  for (std::string_view word = takeWord(rest); !word.empty(); word = takeWord(rest)) {
    uint64_t pid = 0;
    // A process of a PID namespace that is not below ours is told as 0.
    if (parseNumber(word, pid) && pid != 0) out.push_back(static_cast<pid_t>(pid));
  }
  // cgroupfs counts the folders below in the link count: usually there are none to look for.
  struct stat info {};
  if (stat(directory.c_str(), &info) != 0 || info.st_nlink <= 2 || depth >= kMaxDepth) return;
  DIR* stream = opendir(directory.c_str());
  if (stream == nullptr) return;
  while (const dirent* entry = readdir(stream)) {
    if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
    listInto(concat({directory, "/", entry->d_name}), depth + 1, out);
  }
  closedir(stream);
}

int openPidfd(pid_t pid) {
  return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

struct Target {
  pid_t pid;
  Fd pidfd;
};

// Holds the processes by descriptor and then looks again who is still in the cgroup: a number that
// was used anew in between belongs to somebody else.
std::vector<Target> holdProcesses(const Cgroup& cgroup, size_t most) {
  std::vector<Target> held;
  for (pid_t pid : cgroupProcesses(cgroup)) {
    if (held.size() == most) break;
    const int fd = openPidfd(pid);
    if (fd >= 0) held.push_back({pid, Fd(fd)});
  }
  if (held.empty()) return held;
  const std::vector<pid_t> present = cgroupProcesses(cgroup);
  std::erase_if(held, [&present](const Target& target) {
    return std::find(present.begin(), present.end(), target.pid) == present.end();
  });
  return held;
}

bool killByKernel(const Cgroup& cgroup) {
  return cgroup.kind == protocol::CgroupKind::kV2 &&
         writeControl(concat({cgroup.directory, "/cgroup.kill"}).c_str(), "1") == 0;
}

}  // namespace

std::vector<pid_t> cgroupProcesses(const Cgroup& cgroup) {
  std::vector<pid_t> pids;
  if (cgroup.kind != protocol::CgroupKind::kNone && !cgroup.directory.empty()) {
    listInto(cgroup.directory, 0, pids);
  }
  return pids;
}

void signalCgroup(const Cgroup& cgroup, int signal) {
  if (signal == SIGKILL && killByKernel(cgroup)) return;
  for (const Target& target : holdProcesses(cgroup, SIZE_MAX)) {
    syscall(SYS_pidfd_send_signal, target.pidfd.get(), signal, nullptr, 0);
  }
}

class Leftovers::Victim final : Watcher {
 public:
  Victim(Leftovers& owner, Target target) : owner_(owner), target_(std::move(target)) {}
  ~Victim() {
    if (watched_) owner_.loop_.remove(target_.pidfd.get(), *this);
  }
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  bool kill() {
    syscall(SYS_pidfd_send_signal, target_.pidfd.get(), SIGKILL, nullptr, 0);
    watched_ = owner_.loop_.add(target_.pidfd.get(), EPOLLIN, *this);
    return watched_;
  }

 private:
  void onReady(uint32_t) override {
    owner_.loop_.remove(target_.pidfd.get(), *this);
    watched_ = false;
    owner_.onVictimGone();
  }

  Leftovers& owner_;
  Target target_;
  bool watched_ = false;
};

Leftovers::Leftovers(Loop& loop, LeftoversListener& listener) : loop_(loop), listener_(listener) {}

Leftovers::~Leftovers() {
  loop_.disarm(*this);
}

void Leftovers::kill(const Cgroup& cgroup) {
  cgroup_ = cgroup;
  rounds_ = 0;
  loop_.arm(*this, kPatienceNs);
  round();
}

void Leftovers::round() {
  victims_.clear();
  std::vector<Target> targets = holdProcesses(cgroup_, kVictimsAtOnce);
  if (targets.empty()) return finish({});
  if (++rounds_ > kMaxRounds) return onTimer();
  killByKernel(cgroup_);
  for (Target& target : targets) {
    auto victim = std::make_unique<Victim>(*this, std::move(target));
    if (!victim->kill()) {
      return finish(errnoFailure(errno, {"watch the processes left in ", cgroup_.directory}));
    }
    victims_.push_back(std::move(victim));
  }
  alive_ = victims_.size();
}

void Leftovers::onVictimGone() {
  if (--alive_ == 0) round();
}

void Leftovers::onTimer() {
  const std::vector<pid_t> pids = cgroupProcesses(cgroup_);
  if (pids.empty()) return finish({});
  finish(failure(Code::kDeadlineExceeded,
                 {"kill what is left in ", cgroup_.directory, ": ", Number(pids.size()),
                  " processes do not die (the first is ", Number(pids.front()),
                  "); a frozen cgroup must be thawed, a process in D state waits for its device"}));
}

void Leftovers::finish(Status status) {
  loop_.disarm(*this);
  listener_.onLeftoversGone(std::move(status));
}

}  // namespace berth::runc::monitor
