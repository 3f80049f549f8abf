#include "tool.h"

#include <berth/helpers.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  MOST_WORDS = 32,
  NOT_FOUND = 127, /* setpriv's status when there is no such program */
};

typedef struct tool {
  const berth_op* op;
  const char* name;
  pid_t pid;
  int input;  /* our end of its standard input; -1: none */
  int output; /* what it says */
} tool;

berth_code native_wanted(const berth_op* op, berth_error* error) {
  if (op->cancelled(op) == 0) return BERTH_OK;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (now.tv_sec * INT64_C(1000000000) + now.tv_nsec >= op->deadline)
    return berth_failf(error, BERTH_DEADLINE_EXCEEDED, "the deadline has passed");
  return berth_failf(error, BERTH_CANCELLED, "cancelled");
}

/* Waits until `fd` has one of `events`, or the call is not wanted any more. */
static berth_code wait_for(const tool* self, int fd, short events, berth_error* error) {
  for (;;) {
    berth_code code = native_wanted(self->op, error);
    if (code != BERTH_OK) return code;
    struct pollfd fds[2] = {{fd, events, 0}, {self->op->cancel_fd, POLLIN, 0}};
    /* The deadline makes no descriptor readable: look now and then. */
    if (poll(fds, 2, 200) > 0 && fds[0].revents != 0) return BERTH_OK;
  }
}

/* Runs it on a leash: it is killed when the thread that started it ends, and that waits for it. */
static void on_leash(const char* command[MOST_WORDS], const char* const* argv) {
  static const char* const leash[] = {"setpriv", "--pdeathsig", "KILL", "--"};
  size_t count = 0;
  for (size_t i = 0; i < sizeof leash / sizeof leash[0]; ++i) command[count++] = leash[i];
  while (*argv != NULL && count + 1 < MOST_WORDS) command[count++] = *argv++;
  command[count] = NULL;
}

static berth_code start(tool* self, const char* const* argv, int lock, bool with_input,
                        berth_error* error) {
  int ends[2] = {-1, -1};
  const char* command[MOST_WORDS];
  on_leash(command, argv);
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  self->output = memfd_create("output", MFD_CLOEXEC);
  /* A socket, not a pipe: a pipe that nobody reads any more would raise SIGPIPE in the host. */
  if (null < 0 || self->output < 0 ||
      (with_input && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)) {
    int reason = errno;
    if (null >= 0) close(null);
    return berth_failf(error, BERTH_RESOURCE_EXHAUSTED, "start %s: %s", self->name,
                       strerror(reason));
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, with_input ? ends[1] : null, 0);
  posix_spawn_file_actions_adddup2(&actions, self->output, 1);
  posix_spawn_file_actions_adddup2(&actions, self->output, 2);
  posix_spawn_file_actions_adddup2(&actions, lock, 3);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  char language[] = "LC_ALL=C";
  char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  char* environment[] = {language, path, NULL};
  int reason = posix_spawnp(&self->pid, command[0], &actions, &attributes, (char* const*)command,
                            environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(null);
  if (with_input) close(ends[1]);
  self->input = ends[0];
  if (reason == 0) return BERTH_OK;
  self->pid = -1;
  return berth_failf(error, BERTH_FAILED_PRECONDITION, "start %s: %s", command[0],
                     strerror(reason));
}

static berth_code feed(tool* self, berth_stream* input, berth_error* error) {
  for (bool reads = true;;) {
    berth_code code = native_wanted(self->op, error);
    if (code != BERTH_OK) return code;
    berth_bytes piece = {NULL, 0};
    code = input->next(input, &piece);
    if (code != BERTH_OK) return berth_failf(error, code, "the layer's bytes ended early");
    if (piece.size == 0) return BERTH_OK;
    const char* at = piece.data;
    /* A program that has ended is judged by its status; the stream is read to its end. */
    while (reads && piece.size > 0) {
      code = wait_for(self, self->input, POLLOUT, error);
      if (code != BERTH_OK) return code;
      ssize_t sent = send(self->input, at, piece.size, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && errno != EAGAIN && errno != EINTR) reads = false;
      if (sent > 0) {
        at += sent;
        piece.size -= (size_t)sent;
      }
    }
  }
}

static berth_code wait_end(tool* self, int* status, berth_error* error) {
  int fd = (int)syscall(SYS_pidfd_open, self->pid, 0);
  if (fd < 0)
    return berth_failf(error, BERTH_RESOURCE_EXHAUSTED, "wait for %s: %s", self->name,
                       strerror(errno));
  berth_code code = wait_for(self, fd, POLLIN, error);
  close(fd);
  if (code != BERTH_OK) return code;
  while (waitpid(self->pid, status, 0) < 0 && errno == EINTR) continue;
  self->pid = -1;
  return BERTH_OK;
}

/* What the program said, in one line. */
static berth_code judge(const tool* self, int status, berth_code refused, berth_error* error) {
  char text[600];
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return BERTH_OK;
  ssize_t length = pread(self->output, text, sizeof text - 1, 0);
  text[length > 0 ? length : 0] = 0;
  for (char* at = text; *at != 0; ++at)
    if (*at == '\n') *at = at[1] == 0 ? 0 : ';';
  if (strstr(text, "No space left on device") != NULL) refused = BERTH_RESOURCE_EXHAUSTED;
  if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND) refused = BERTH_FAILED_PRECONDITION;
  return berth_failf(error, refused, "%s failed: %s", self->name, text);
}

berth_code native_run(const berth_op* op, const char* const* argv, int lock, berth_stream* input,
                      berth_code refused, berth_error* error) {
  tool self = {op, argv[0], -1, -1, -1};
  int status = 0;
  berth_code code = start(&self, argv, lock, input != NULL, error);
  if (code == BERTH_OK && input != NULL) code = feed(&self, input, error);
  if (self.input >= 0) close(self.input);
  if (code == BERTH_OK) code = wait_end(&self, &status, error);
  if (self.pid > 0) {
    kill(self.pid, SIGKILL);
    while (waitpid(self.pid, NULL, 0) < 0 && errno == EINTR) continue;
  }
  if (code == BERTH_OK) code = judge(&self, status, refused, error);
  if (self.output >= 0) close(self.output);
  return code;
}
