#include "reader.hpp"

#include <cerrno>
#include <sys/epoll.h>

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"

namespace berth::runc {

absl::StatusOr<Reader*> Reader::instance() {
  static std::mutex mutex;
  static Reader* started = nullptr;  // never destroyed: its thread ends with the process
  const std::lock_guard lock(mutex);
  if (started == nullptr) {
    std::unique_ptr<Reader> reader(new Reader);
    BERTH_RETURN_IF_ERROR(reader->start());  // the next call tries again
    started = reader.release();
  }
  return started;
}

absl::Status Reader::start() {
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_)
    return support::errnoStatus(errno, "make the epoll instance of the monitors' reader");
  BERTH_ASSIGN_OR_RETURN(std::thread thread, support::startThread([this] { run(); }));
  thread.detach();
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> Reader::add(int fd, std::weak_ptr<Readable> readable) {
  const std::lock_guard lock(mutex_);
  const uint64_t id = ++lastId_;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = id;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return support::errnoStatus(errno, "watch the connection to a monitor");
  }
  readables_.emplace(id, std::move(readable));
  return id;
}

void Reader::remove(uint64_t id, int fd) {
  const std::lock_guard lock(mutex_);
  if (readables_.erase(id) > 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

std::shared_ptr<Readable> Reader::find(uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto found = readables_.find(id);
  return found == readables_.end() ? nullptr : found->second.lock();
}

void Reader::run() {
  pthread_setname_np(pthread_self(), "monitor-reader");
  constexpr int kBatch = 32;
  epoll_event events[kBatch];
  for (;;) {
    const int count = epoll_wait(epoll_.get(), events, kBatch, -1);
    for (int i = 0; i < count; ++i) {
      // An event of a connection that was removed meanwhile finds nothing: ids are not reused.
      if (const auto readable = find(events[i].data.u64)) readable->onReadable();
    }
  }
}

}  // namespace berth::runc
