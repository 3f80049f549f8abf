// berth-keeper: holds what a pod's shim needs somebody to hold, while the daemon comes and goes:
// the other ends of its processes' streams, with their logs, its own log, and a server for its
// events. Under the name `pause` it is the first process of a pod's sandbox.
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>

#include "berth/streams/detach.hpp"
#include "berth/support/durable.hpp"
#include "keeper.hpp"

namespace {

using namespace berth::kata::keeper;
namespace streams = berth::streams;

constexpr char kReady = '+';

// False when nobody is there who would read it.
bool say(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    text.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

// Does nothing, and reaps what its pod's other processes leave to the first one. Asked to end, it
// does so as the last of its PID namespace: who asks all processes, as a node does that is shut
// down, means those of the containers to take their time.
int pauseForEver() {
  const bool isFirst = getpid() == 1;  // else the PID namespace is the host's
  constexpr timespec kLook{.tv_sec = 0, .tv_nsec = 100'000'000};
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&signals, number);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  for (bool asked = false;;) {
    siginfo_t from{};
    const int number = sigtimedwait(&signals, &from, asked ? &kLook : nullptr);
    // Those of its own PID namespace have no say in it.
    const bool isFromOutside = !isFirst || from.si_pid == 0;
    asked = asked || (isFromOutside && (number == SIGTERM || number == SIGINT));
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    // kill(2): of all processes but this one, also of those that it may send nothing.
    if (asked && (!isFirst || (kill(-1, 0) != 0 && errno == ESRCH))) return 0;
  }
}

void setOomScore(const char* score) {
  // Lowering it needs CAP_SYS_RESOURCE, which is not everywhere; then it stays as it is.
  const streams::Fd file(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (file) say(file.get(), score);
}

int serve(const Places& places, streams::Fd starter) {
  signal(SIGPIPE, SIG_IGN);
  // Its end is the process's.
  auto& keeper = *new Keeper;
  const streams::Status status = keeper.open(places);
  const std::string_view answer = isOk(status) ? std::string_view(&kReady, 1) : status.message;
  // When the starter has died, whoever has started that undoes what the keeper is for, and does not
  // know of it.
  if (!say(starter.get(), answer) || !isOk(status)) {
    keeper.close();
    return 1;
  }
  starter.reset();
  keeper.run();
  keeper.close();
  return 0;
}

// Returns once the keeper serves; else the reason is on stderr.
int start(const Places& places) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return 1;
  const streams::Fd reader(ends[0]);
  streams::Fd writer(ends[1]);
  // Twice, so that the keeper is neither the caller's descendant nor leads a session.
  const pid_t middle = fork();
  if (middle < 0) return 1;
  if (middle == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    _exit(serve(places, streams::detach(std::move(writer))));
  }
  writer.reset();
  while (waitpid(middle, nullptr, 0) < 0 && errno == EINTR) {
  }
  berth::support::durableStep("fork", "keeper");
  char answer[512];
  ssize_t count = 0;
  while ((count = read(reader.get(), answer, sizeof answer)) < 0 && errno == EINTR) {
  }
  if (count == 1 && answer[0] == kReady) return 0;
  say(STDERR_FILENO, count > 0 ? std::string_view(answer, static_cast<size_t>(count))
                               : std::string_view("the keeper ended at once"));
  return 1;
}

int usage() {
  say(STDERR_FILENO,
      "usage: berth-keeper version\n"
      "       berth-keeper start POD DIRECTORY EVENTS_SOCKET LOG_FIFO LOG_FILE OOM_SCORE_ADJ\n");
  return 2;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string_view program = count > 0 ? arguments[0] : "";
  if (program.ends_with("/pause")) return pauseForEver();
  const std::string_view command = count > 1 ? arguments[1] : "";
  if (command == "version" && count == 2) {
    say(STDOUT_FILENO, "berth-keeper " BERTH_VERSION "\n");
    return 0;
  }
  if (command != "start" || count != 8) return usage();
  setOomScore(arguments[7]);
  return start({arguments[3], arguments[4], arguments[5], arguments[6]});
}
