// The one thread that reads from all monitors.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"

namespace berth::runc {

class Readable {
 public:
  virtual ~Readable() = default;
  // From the reader thread. False: nothing more will come; it is not called again.
  virtual bool onReadable() = 0;
};

class Reader {
 public:
  // Started at the first use; lives as long as the process.
  static absl::StatusOr<Reader*> instance();

  // Watches the descriptor, which must stay open until remove(). Any thread.
  absl::StatusOr<uint64_t> add(int fd, std::weak_ptr<Readable> readable);
  void remove(uint64_t id, int fd);

 private:
  Reader() = default;
  absl::Status start();
  void run();
  std::shared_ptr<Readable> find(uint64_t id);

  support::Fd epoll_;
  std::mutex mutex_;
  std::map<uint64_t, std::weak_ptr<Readable>> readables_;
  uint64_t lastId_ = 0;
};

}  // namespace berth::runc
