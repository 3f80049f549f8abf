// What makes a program one for crash tests: the definition of berth_durable_step (durable.hpp of
// the SDK), which the released programs do not have.
//
// The folder that BERTH_CRASH_FOLDER names holds a control file for each program, by its name:
//
//   int64     how many more steps of the name until the process kills itself; 0 or less: never
//   uint64    bytes of the trace that have been claimed
//   uint64    the process that killed itself, 0: none
//   char[232] the name of the steps that are counted
//   ...       from byte 256 on: the trace, a line for each step, its name
//
// A step's name is "PRIMITIVE<tab>SUBJECT", as canonical.hpp writes the subject: it is the same in
// each run, and so is the n-th step of a name where the n-th of all is another one each time, since
// threads work side by side.
//
// The driver (control.py) makes and arms it. Without the variable or the file nothing happens.
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

#include "canonical.hpp"

extern "C" __attribute__((visibility("default"))) void berth_durable_step(const char* primitive,
                                                                          const char* subject);

namespace {

struct Control {
  std::atomic<int64_t> countdown;
  std::atomic<uint64_t> used;
  std::atomic<uint64_t> killed;
  char name[berth::crash::kNameSize];
};
static_assert(std::atomic<int64_t>::is_always_lock_free, "it is shared between processes");

constexpr size_t kTraceAt = 256;
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

void trace(berth::crash::Name& name) {
  const size_t length = name.length() + 1;
  const size_t at = kTraceAt + control->used.fetch_add(length);
  if (at + length > size) return;
  char* line = reinterpret_cast<char*>(control) + at;
  memcpy(line, name.text(), name.length());
  line[length - 1] = '\n';
}

}  // namespace

void berth_durable_step(const char* primitive, const char* subject) {
  if (control == nullptr) return;
  const int error = errno;
  berth::crash::Name name;
  name.add(primitive);
  name.add('\t');
  name.addCanonical(subject);
  trace(name);
  // Below zero it counts on, far from coming round.
  if (strcmp(name.text(), control->name) == 0 && control->countdown.fetch_sub(1) == 1) {
    control->killed = static_cast<uint64_t>(getpid());
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  errno = error;
}
