// What makes a program one for crash tests: the definition of berth_durable_step (durable.hpp of
// the SDK), which the released programs do not have.
//
// The folder that BERTH_CRASH_FOLDER names holds a control file for each program, by its name:
//
//   int64    how many more steps until the process kills itself; 0 or less: never
//   uint64   bytes of the trace that have been claimed
//   uint64   the process that killed itself, 0: none
//   uint64   where the line of its last step begins in the trace
//   char[32] the primitive whose steps alone are counted; empty: all are
//   ...      from byte 64 on: the trace, a line "PRIMITIVE<tab>SUBJECT" for each step
//
// The driver (suite.py) makes and arms it. Without the variable or the file nothing happens.
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

extern "C" __attribute__((visibility("default"))) void berth_durable_step(const char* primitive,
                                                                          const char* subject);

namespace {

struct Control {
  std::atomic<int64_t> countdown;
  std::atomic<uint64_t> used;
  std::atomic<uint64_t> killed;
  std::atomic<uint64_t> last;
  char primitive[32];
};
static_assert(std::atomic<int64_t>::is_always_lock_free, "it is shared between processes");

constexpr size_t kTraceAt = 64;
static_assert(sizeof(Control) <= kTraceAt);

Control* control = nullptr;
size_t size = 0;

// Before any thread; children made by fork() share the mapping.
__attribute__((constructor)) void open() {
  const char* folder = getenv("BERTH_CRASH_FOLDER");
  if (folder == nullptr) return;
  const int directory = ::open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return;
  const int file = openat(directory, program_invocation_short_name, O_RDWR | O_CLOEXEC);
  close(directory);
  if (file < 0) return;
  struct stat info {};
  if (fstat(file, &info) == 0 && static_cast<size_t>(info.st_size) > kTraceAt) {
    size = static_cast<size_t>(info.st_size);
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory != MAP_FAILED) control = static_cast<Control*>(memory);
  }
  close(file);
}

// Where the line begins.
uint64_t trace(const char* primitive, const char* subject) {
  const size_t first = strlen(primitive);
  const size_t second = strlen(subject);
  const size_t length = first + second + 2;
  const uint64_t begin = control->used.fetch_add(length);
  const size_t at = kTraceAt + begin;
  if (at + length > size) return begin;
  char* line = reinterpret_cast<char*>(control) + at;
  memcpy(line, primitive, first);
  line[first] = '\t';
  memcpy(line + first + 1, subject, second);
  line[length - 1] = '\n';
  return begin;
}

}  // namespace

void berth_durable_step(const char* primitive, const char* subject) {
  if (control == nullptr) return;
  const int error = errno;
  const uint64_t line = trace(primitive, subject);
  const bool counts = control->primitive[0] == '\0' || strcmp(primitive, control->primitive) == 0;
  // Below zero it counts on, far from coming round.
  if (counts && control->countdown.fetch_sub(1) == 1) {
    control->last = line;
    control->killed = static_cast<uint64_t>(getpid());
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  errno = error;
}
