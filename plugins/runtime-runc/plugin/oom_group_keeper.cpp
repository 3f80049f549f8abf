#include "oom_group_keeper.hpp"

#include <array>
#include <cerrno>
#include <poll.h>
#include <set>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>
#include <utility>

#include <absl/strings/ascii.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "container_update.hpp"

namespace berth::runc {

using support::strCat;

namespace {

constexpr char kFile[] = "memory.oom.group";

}  // namespace

void OomGroupKeeper::keep(const std::string& bundle, const std::string& cgroup) {
  const std::lock_guard lock(mutex_);
  if (end_) return;
  if (!std::exchange(begun_, true)) {
    if (const absl::Status started = startLocked(); !started.ok())
      host_.warn("systemd may set memory.oom.group of containers back",
                 {{"error", support::fromAbsl(started.message())}});
  }
  if (!thread_.joinable()) return;
  new_.push_back({bundle, strCat(cgroup, "/", kFile)});
  (void)::eventfd_write(changed_.get(), 1);
}

void OomGroupKeeper::stop() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  if (!thread_.joinable()) return;
  (void)::eventfd_write(changed_.get(), 1);
  thread_.join();
}

absl::Status OomGroupKeeper::startLocked() {
  changed_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!changed_) return support::errnoStatus(errno, "make an eventfd");
  inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify_)
    return support::errnoStatus(errno,
                                "make an inotify instance (see fs.inotify.max_user_instances)");
  BERTH_ASSIGN_OR_RETURN(thread_, support::startThread([this] {
                           support::returnThrown([this] {
                             run();
                             return absl::OkStatus();
                           }).IgnoreError();
                         }));
  return absl::OkStatus();
}

void OomGroupKeeper::run() {
  for (;;) {
    std::array<pollfd, 2> watched = {{{inotify_.get(), POLLIN, 0}, {changed_.get(), POLLIN, 0}}};
    if (::poll(watched.data(), watched.size(), -1) < 0) continue;
    eventfd_t ignored = 0;
    (void)::eventfd_read(changed_.get(), &ignored);
    {
      const std::lock_guard lock(mutex_);
      if (end_) return;
    }
    takeNew();
    readEvents();
  }
}

void OomGroupKeeper::takeNew() {
  std::vector<Kept> taken;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(new_);
  }
  for (Kept& one : taken) {
    // The same file has the same watch. A container that has ended has none.
    const int watch = ::inotify_add_watch(inotify_.get(), one.file.c_str(), IN_MODIFY);
    if (watch < 0) continue;
    settle(one);
    kept_.insert_or_assign(watch, std::move(one));
  }
}

void OomGroupKeeper::readEvents() {
  alignas(inotify_event) std::array<char, 4096> buffer;
  std::set<int> changed;
  for (;;) {
    const ssize_t size = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      at += static_cast<ssize_t>(sizeof *event + event->len);
      if ((event->mask & IN_Q_OVERFLOW) != 0) {
        for (const auto& [watch, kept] : kept_) changed.insert(watch);
      } else if ((event->mask & IN_IGNORED) != 0) {
        kept_.erase(event->wd);
      } else {
        changed.insert(event->wd);
      }
    }
  }
  for (const int watch : changed) {
    if (const auto found = kept_.find(watch); found != kept_.end()) settle(found->second);
  }
}

// Its own writing is an event too, after which nothing is left to be done.
void OomGroupKeeper::settle(const Kept& kept) const {
  const auto wanted = settingsBesideUnit(kept.bundle);
  if (!wanted.ok()) return;  // the container is being removed
  const auto setting = wanted->find(kFile);
  if (setting == wanted->end()) return;
  const auto found = support::readFile(kept.file);
  if (!found.ok() || absl::StripAsciiWhitespace(*found) == setting->second) return;
  const absl::Status written = support::writeControlFile(kept.file, setting->second);
  if (!written.ok() && !absl::IsNotFound(written) && support::pathExists(kept.file))
    host_.warn("memory.oom.group was set back and stays so",
               {{"file", kept.file}, {"error", support::fromAbsl(written.message())}});
}

}  // namespace berth::runc
