// Runs a foreign program, an OCI runtime or a CNI plugin, and kills it where it is asked to.
//
//   berth-crash-tracer REQUEST NAME PROGRAM ARGUMENT…
//
// REQUEST is a file of five lines: a NAME; a word, which must be one of the arguments or what
// CNI_COMMAND says; what is to be done; and for "at" a number n and a step's name:
//
//   list     nothing is killed; the steps are written to REQUEST.steps, a name in each line
//   before   killed before it has done anything
//   at       killed once its n-th step of that name is done
//   after    killed when it has ended, and so has said all it has to say
//
// Who finds the request that is meant for it takes it away, so that it is met once; REQUEST.met
// says that somebody was killed. For everybody else this is PROGRAM. Steps are the system calls of
// steps.cpp that have succeeded, of the program and of all that it starts; killed is the program
// alone, as it would be elsewhere: what it has started goes on.
//
// Such programs are often linked statically, so nothing can be put between them and the kernel but
// ptrace(2).
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <string>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "steps.hpp"

namespace {

using berth::crash::Call;

struct Request {
  std::string target;
  std::string word;
  std::string what;
  std::string occurrence;
  std::string name;
};

[[noreturn]] void fail(const char* doing) {
  perror((std::string("berth-crash-tracer: ") + doing).c_str());
  _exit(125);
}

[[noreturn]] void endBy(int signal) {
  kill(getpid(), signal);
  for (;;) pause();
}

void note(const std::string& path, const std::string& text) {
  std::ofstream stream(path, std::ios::app);
  stream << text;
  if (!stream.flush()) fail(path.c_str());
}

bool isMeant(const Request& request, const char* name, char** arguments) {
  if (request.target != name) return false;
  const char* command = getenv("CNI_COMMAND");
  if (command != nullptr && request.word == command) return true;
  for (; *arguments != nullptr; ++arguments) {
    if (request.word == *arguments) return true;
  }
  return false;
}

// The request, if it is meant for this program and nobody else has taken it.
bool take(const char* path, const char* name, char** arguments, Request& request) {
  std::ifstream stream(path);
  for (std::string* line :
       {&request.target, &request.word, &request.what, &request.occurrence, &request.name}) {
    std::getline(stream, *line);
  }
  return isMeant(request, name, arguments) && unlink(path) == 0;
}

class Tracer {
 public:
  Tracer(std::string path, Request request)
      : path_(std::move(path)),
        request_(std::move(request)),
        countdown_(request_.what == "at" ? atol(request_.occurrence.c_str()) : 0) {}

  [[noreturn]] void run(char** arguments) {
    start(arguments);
    for (;;) {
      int status = 0;
      const pid_t thread = waitpid(-1, &status, __WALL);
      if (thread < 0) fail("wait for the program");
      if (WIFSTOPPED(status)) {
        stopped(thread, status);
      } else if (thread == main_) {
        ended(status);
      } else {
        calls_.erase(thread);
      }
    }
  }

 private:
  // It waits until it is traced, so that none of its steps is missed.
  void start(char** arguments) {
    int gate[2];
    if (pipe2(gate, O_CLOEXEC) != 0) fail("make a pipe");
    main_ = fork();
    if (main_ < 0) fail("fork");
    if (main_ == 0) {
      char byte;
      if (read(gate[0], &byte, 1) != 1) _exit(125);
      execv(arguments[0], arguments);
      fail(arguments[0]);
    }
    // By SEIZE what it starts is left alone when this process ends, wherever it is then.
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                         PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;
    if (ptrace(PTRACE_SEIZE, main_, nullptr, options) != 0 ||
        ptrace(PTRACE_INTERRUPT, main_, nullptr, nullptr) != 0) {
      kill(main_, SIGKILL);
      fail("trace the program");
    }
    if (write(gate[1], "", 1) != 1) fail("let the program begin");
    close(gate[0]);
    close(gate[1]);
    program_ = arguments[0];
    ownMounts_ = berth::crash::linkOf(getpid(), "ns/mnt");
  }

  void resume(pid_t thread, int signal = 0) {
    // It may have been killed meanwhile.
    (void)ptrace(PTRACE_SYSCALL, thread, nullptr, static_cast<long>(signal));
  }

  void stopped(pid_t thread, int status) {
    const int signal = WSTOPSIG(status);
    const int event = status >> 16;
    if (signal == (SIGTRAP | 0x80)) {
      atCall(thread);
      resume(thread);
    } else if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
      (void)ptrace(PTRACE_LISTEN, thread, nullptr, nullptr);  // it is to stay stopped
    } else if (event == PTRACE_EVENT_EXEC) {
      atExec(thread);
    } else {
      resume(thread, event == 0 ? signal : 0);
    }
  }

  void atCall(pid_t thread) {
    struct __ptrace_syscall_info info = {};
    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) <= 0) return;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
      Call call;
      call.number = info.entry.nr;
      memcpy(call.arguments, info.entry.args, sizeof call.arguments);
      calls_[thread] = berth::crash::nameOf(thread, call);
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
      const std::string name = std::exchange(calls_[thread], "");
      if (!name.empty() && info.exit.is_error == 0) step(name);
    }
  }

  void atExec(pid_t thread) {
    // The call may have been another thread's, which has that of the first one now.
    unsigned long former = 0;
    if (ptrace(PTRACE_GETEVENTMSG, thread, nullptr, &former) == 0 &&
        static_cast<pid_t>(former) != thread) {
      calls_[thread] = std::exchange(calls_[static_cast<pid_t>(former)], "");
    }
    // A container's own program is nothing of the runtime's.
    const std::string file = berth::crash::linkOf(thread, "exe");
    const std::string own = program_.substr(program_.rfind('/') + 1);
    if (thread != main_ && file.find(own) == std::string::npos &&
        berth::crash::linkOf(thread, "ns/mnt") != ownMounts_) {
      const std::string name = std::exchange(calls_[thread], "");
      if (!name.empty()) step(name);
      (void)ptrace(PTRACE_DETACH, thread, nullptr, nullptr);
      return;
    }
    resume(thread);
  }

  void step(const std::string& name) {
    if (request_.what == "list") {
      note(path_ + ".steps", name + "\n");
    } else if (name == request_.name && countdown_-- == 1) {
      note(path_ + ".met", "at\n");
      kill(main_, SIGKILL);
      // Its threads end only as somebody asks for their status.
      pid_t thread;
      do {
        int status = 0;
        thread = waitpid(-1, &status, __WALL);
        if (thread == main_ && WIFSTOPPED(status)) thread = 0;
      } while (thread >= 0 && thread != main_);
      endBy(SIGKILL);
    }
  }

  [[noreturn]] void ended(int status) {
    if (request_.what == "after") {
      note(path_ + ".met", "after\n");
      endBy(SIGKILL);
    }
    if (WIFSIGNALED(status)) endBy(WTERMSIG(status));
    _exit(WEXITSTATUS(status));
  }

  std::string path_;
  Request request_;
  long countdown_;
  std::string program_;
  std::string ownMounts_;
  pid_t main_ = -1;
  std::map<pid_t, std::string> calls_;  // thread → name of the step that it is in
};

}  // namespace

int main(int count, char** arguments) {
  if (count < 4) {
    fprintf(stderr, "usage: berth-crash-tracer REQUEST NAME PROGRAM ARGUMENT...\n");
    return 2;
  }
  const std::string path = arguments[1];
  Request request;
  if (!take(arguments[1], arguments[2], arguments + 3, request)) {
    execv(arguments[3], arguments + 3);
    fail(arguments[3]);
  }
  if (request.what == "before") {
    note(path + ".met", "before\n");
    endBy(SIGKILL);
  }
  Tracer(path, request).run(arguments + 3);
}
