#include "watcher.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"

namespace berth::cni {
namespace {

using support::errnoStatus;
using support::strCat;

constexpr uint32_t kMask = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                           IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
// An add-on writes several files in a row: one look at them is enough.
constexpr int kQuietMilliseconds = 20;
constexpr auto kLongestWait = std::chrono::milliseconds(500);

bool isDirectory(const std::string& path) {
  struct stat info = {};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::string parentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

std::string nameOf(const std::string& path) {
  return path.substr(path.find_last_of('/') + 1);
}

std::string withoutTrailingSlashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

absl::Status Watcher::start() {
  stopped_ = support::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stopped_) return errnoStatus(errno, "make an event descriptor");
  inotify_ = support::Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify_)
    return errnoStatus(errno, "make an inotify instance (see fs.inotify.max_user_instances)");
  watchAll();
  BERTH_ASSIGN_OR_RETURN(thread_, support::startThread([this] {
                           // Out of memory. Changes are still noticed, when the network is next
                           // used or asked for.
                           support::returnThrown([this] {
                             run();
                             return absl::OkStatus();
                           }).IgnoreError();
                         }));
  return absl::OkStatus();
}

void Watcher::stop() {
  if (!thread_.joinable()) return;
  (void)::eventfd_write(stopped_.get(), 1);
  thread_.join();
}

// Adds every watch anew. The kernel gives a directory that is watched already the same descriptor,
// and drops the watch of one that was removed.
void Watcher::watchAll() {
  const auto before = std::move(interests_);
  interests_.clear();
  for (const std::string& directory : watched_.directories) watch(directory);
  for (const std::string& directory : watched_.withFolders) {
    watch(directory);
    const auto names = support::listDirectory(directory);
    if (!names.ok()) continue;
    for (const std::string& name : *names)
      if (isDirectory(strCat(directory, "/", name))) (void)add(strCat(directory, "/", name), {});
  }
  for (const auto& [descriptor, interests] : before)
    if (!interests_.contains(descriptor)) (void)::inotify_rm_watch(inotify_.get(), descriptor);
}

// Also watches the parent for the directory's own name: it may be removed and made again, or be
// replaced by a link. A parent that does not exist is waited for in the same way.
void Watcher::watch(const std::string& directory) {
  const std::string path = withoutTrailingSlashes(directory);
  // What is made before its watch stands is not reported, so that has to be looked at again.
  constexpr int kAttempts = 8;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::string at = path;
    while (at != "/" && !add(parentOf(at), nameOf(at))) at = parentOf(at);
    if (at == path || at == "/" || !isDirectory(at)) break;
  }
  (void)add(path, {});
}

bool Watcher::add(const std::string& directory, const std::string& name) {
  const int descriptor = ::inotify_add_watch(inotify_.get(), directory.c_str(), kMask);
  if (descriptor < 0) return false;
  interests_[descriptor].push_back({name});
  return true;
}

bool Watcher::waitForEvent(int milliseconds) const {
  std::array<pollfd, 2> watched = {{{inotify_.get(), POLLIN, 0}, {stopped_.get(), POLLIN, 0}}};
  return ::poll(watched.data(), watched.size(), milliseconds) > 0;
}

// Takes what is there; true when any of it matters.
bool Watcher::readEvents() {
  alignas(inotify_event) std::array<char, 16384> buffer;
  bool matters = false;
  for (;;) {
    const ssize_t size = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return matters;
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      at += static_cast<ssize_t>(sizeof *event + event->len);
      const auto found = interests_.find(event->wd);
      // Events were lost: anything may have happened.
      if ((event->mask & IN_Q_OVERFLOW) != 0) matters = true;
      if (found == interests_.end() || (event->mask & IN_IGNORED) != 0) continue;
      const std::string_view name = event->len > 0 ? event->name : std::string_view();
      for (const Interest& interest : found->second)
        matters = matters || name.empty() || interest.name.empty() || interest.name == name;
    }
  }
}

void Watcher::run() {
  const auto isStopped = [this] {
    pollfd stopped{stopped_.get(), POLLIN, 0};
    return ::poll(&stopped, 1, 0) > 0;
  };
  while (!isStopped()) {
    if (!waitForEvent(-1) || !readEvents()) continue;
    const auto end = std::chrono::steady_clock::now() + kLongestWait;
    while (!isStopped() && std::chrono::steady_clock::now() < end &&
           waitForEvent(kQuietMilliseconds))
      (void)readEvents();
    if (isStopped()) return;
    watchAll();
    changed_();
  }
}

}  // namespace berth::cni
