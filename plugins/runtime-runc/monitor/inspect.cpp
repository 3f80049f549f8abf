// `berth-monitor inspect FOLDER`: what a pod's run folder says, for people.
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "../protocol/exit_record.hpp"
#include "commands.hpp"
#include "context.hpp"
#include "files.hpp"
#include "streams.hpp"

namespace berth::runc::monitor {

namespace {

constexpr size_t kMaxFile = 1u << 20;

void say(std::string_view text) {
  writeFully(STDOUT_FILENO, text);
}

void sayExits(int runDir) {
  const std::string folder(protocol::kExitsFolder);
  const int fd = openat(runDir, folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* stream = fd >= 0 ? fdopendir(fd) : nullptr;
  if (stream == nullptr) return;
  while (const dirent* entry = readdir(stream)) {
    if (entry->d_name[0] == '.') continue;
    say(concat({"\nexit record ", entry->d_name, "\n",
                readSmall(dirfd(stream), entry->d_name, kMaxFile)}));
  }
  closedir(stream);
}

}  // namespace

int inspectCommand(const char* path) {
  const Fd runDir(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!runDir) {
    const Status status = errnoFailure(errno, {"open the run folder ", path});
    writeFully(STDERR_FILENO, concat({"berth-monitor: ", status.message, "\n"}));
    return 1;
  }
  Fd socket;
  const bool alive = isOk(connectAt(runDir.get(), kSocketName, SOCK_SEQPACKET, socket));
  say(alive ? "monitor: serving\n" : "monitor: none\n");
  say(readSmall(runDir.get(), "state", kMaxFile));
  sayExits(runDir.get());
  const std::string errors = readSmall(runDir.get(), "monitor.log", kMaxFile, Part::kTail);
  if (!errors.empty()) say(concat({"\nmonitor.log\n", errors}));
  return 0;
}

}  // namespace berth::runc::monitor
