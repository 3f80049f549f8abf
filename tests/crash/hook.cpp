// What makes a program one for crash tests: the definition of berth_durable_step (durable.hpp of
// the SDK), which the released programs do not have.
//
// The folder that BERTH_CRASH_FOLDER names holds a control file for each program, by its name:
//
//   int64     how many more steps of the name until the process kills itself; 0 or less: never
//   uint64    bytes of the trace that have been claimed
//   uint64    the process that killed itself, 0: none
//   char[232] the name of the steps that are counted
//   ...       from byte 256 on: the trace, a line for each step, its name; while no name is to be
//             counted, then a tab and the places that it may have been told from
//
// A step's name is "PRIMITIVE<tab>SUBJECT", as canonical.hpp writes the subject: it is the same in
// each run, and so is the n-th step of a name where the n-th of all is another one each time, since
// threads work side by side.
//
// A place is "MODULE+OFFSET", in hexadecimal digits and without a name for the program itself. The
// first is where the call of berth_durable_step returns to, the others are words above it on the
// stack that may be such addresses: which are is for places.py to say. Programs without unwind
// tables have no better ones.
//
// The driver (control.py) makes and arms it. Without the variable or the file nothing happens.
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
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

constexpr size_t kPage = 4096;
constexpr size_t kWords = 2 * kPage / sizeof(uintptr_t);
constexpr size_t kMostPlaces = 48;

// Words of the stack from `at` on, as far as there are any.
size_t readStack(const void* at, uintptr_t (&words)[kWords]) {
  const auto begin = reinterpret_cast<uintptr_t>(at);
  const size_t first = kPage - begin % kPage;
  // A read stops before a page that is not there.
  iovec parts[3] = {{const_cast<void*>(at), first}, {nullptr, kPage}, {nullptr, kPage - first}};
  parts[1].iov_base = static_cast<char*>(parts[0].iov_base) + first;
  parts[2].iov_base = static_cast<char*>(parts[1].iov_base) + kPage;
  const iovec to{words, sizeof words};
  const ssize_t got = process_vm_readv(getpid(), &to, 1, parts, 3, 0);
  return got < 0 ? 0 : static_cast<size_t>(got) / sizeof(uintptr_t);
}

// The line of one step. Allocates nothing.
class Line {
 public:
  void add(char letter) {
    if (length_ < sizeof text_) text_[length_++] = letter;
  }
  void add(const char* text) {
    for (; *text != '\0'; ++text) add(*text);
  }
  void addHex(uintptr_t value) {
    int shift = 60;
    while (shift > 0 && (value >> shift) == 0) shift -= 4;
    for (; shift >= 0; shift -= 4) add("0123456789abcdef"[value >> shift & 15]);
  }
  void addPlaces(const void* stack) {
    static thread_local uintptr_t words[kWords];
    const size_t count = readStack(stack, words);
    size_t places = 0;
    for (size_t i = 0; i < count && places < kMostPlaces; ++i) {
      dl_find_object object;
      if (_dl_find_object(reinterpret_cast<void*>(words[i]), &object) != 0) continue;
      const char* path = object.dlfo_link_map->l_name;
      const char* slash = strrchr(path, '/');
      add(places++ == 0 ? '\t' : ' ');
      add(slash == nullptr ? path : slash + 1);
      add('+');
      addHex(words[i] - object.dlfo_link_map->l_addr);
    }
  }
  const char* text() const { return text_; }
  size_t length() const { return length_; }

 private:
  char text_[berth::crash::kNameSize + kMostPlaces * 64];
  size_t length_ = 0;
};

void trace(const Line& line) {
  const size_t at = kTraceAt + control->used.fetch_add(line.length());
  if (at + line.length() > size) return;
  memcpy(reinterpret_cast<char*>(control) + at, line.text(), line.length());
}

}  // namespace

void berth_durable_step(const char* primitive, const char* subject) {
  if (control == nullptr) return;
  const int error = errno;
  berth::crash::Name name;
  name.add(primitive);
  name.add('\t');
  name.addCanonical(subject);
  Line line;
  line.add(name.text());
  // Above the frame's address lies where it returns to.
  if (control->name[0] == '\0') line.addPlaces(static_cast<void**>(__builtin_frame_address(0)) + 1);
  line.add('\n');
  trace(line);
  // Below zero it counts on, far from coming round.
  if (strcmp(name.text(), control->name) == 0 && control->countdown.fetch_sub(1) == 1) {
    control->killed = static_cast<uint64_t>(getpid());
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  errno = error;
}
