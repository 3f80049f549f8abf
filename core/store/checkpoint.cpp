// What makes the store's changes survive a power cut.
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <utility>

#include <sqlite3.h>

#include "berth/support/durable.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "store/parts.hpp"
#include "store/store.hpp"

namespace berth::store {

using support::strCat;

namespace {
constexpr std::chrono::seconds kReserveRetry{10};
}  // namespace

absl::Status Store::openCheckpointer() {
  const auto failed = [&] {
    return absl::InternalError(
        strCat("open the database ", path_, " for checkpoints: ",
               checkpointer_ == nullptr ? "out of memory" : sqlite3_errmsg(checkpointer_)));
  };
  if (sqlite3_open_v2(path_.c_str(), &checkpointer_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                      nullptr) != SQLITE_OK) {
    return failed();
  }
  // A connection that has read nothing does not know yet that there is a log: a checkpoint of its
  // would do nothing, and say so to no one.
  if (sqlite3_exec(checkpointer_, "SELECT count(*) FROM sqlite_schema", nullptr, nullptr,
                   nullptr) != SQLITE_OK) {
    return failed();
  }
  holdFiles(checkpointer_);
  return absl::OkStatus();
}

// So that a full disk neither keeps the next start from opening the log, nor a checkpoint from
// writing the few pages that a change adds to the database.
void Store::holdFiles(sqlite3* connection) {
  int persistent = 1;
  sqlite3_file_control(connection, "main", SQLITE_FCNTL_PERSIST_WAL, &persistent);
  int chunk = 1 << 20;
  sqlite3_file_control(connection, "main", SQLITE_FCNTL_CHUNK_SIZE, &chunk);
}

// Room beyond the log's end, which is the log's alone, unlike that of the reserve once it is given
// back: on a disk that stays full, changes go on in it from one checkpoint to the next.
void Store::holdLogRoom() const {
  if (!log_) return;
  // A file system that cannot do it, or is full, has done without before.
  (void)::fallocate(log_.get(), FALLOC_FL_KEEP_SIZE, 0, kLogBytes);
}

absl::Status Store::openLog() {
  auto log = support::openFile(strCat(path_, "-wal"), O_RDWR);
  if (absl::IsNotFound(log.status())) {
    return absl::FailedPreconditionError(
        strCat("the file system of ", path_, " cannot hold a write-ahead log of SQLite"));
  }
  BERTH_RETURN_IF_ERROR(log.status());
  log_ = *std::move(log);
  holdLogRoom();
  // From here on it is the content alone that is synced.
  return syncDirectoryOf(path_);
}

absl::Status Store::syncLog() {
  const absl::Status status =
      ::fdatasync(log_.get()) == 0
          ? absl::OkStatus()
          : support::errnoStatus(errno, strCat("sync the log of the database ", path_));
  const std::lock_guard lock(threadMutex_);
  note(unsyncable_, status);
  return status;
}

// All that was committed is in the log, or has been synced with the database before the log began
// anew.
absl::Status Store::sync() {
  BERTH_RETURN_IF_ERROR(syncLog());
  support::durableStep("sync records");
  return absl::OkStatus();
}

absl::Status Store::checkpoint() {
  // A passive checkpoint syncs the log before it copies pages (SQLite documentation, "PRAGMA
  // synchronous", NORMAL), so everything committed before it is durable after it.
  std::lock_guard lock(checkpointMutex_);
  const auto limit = std::chrono::steady_clock::now() + kBusyLimit;
  for (;;) {
    const int result = sqlite3_wal_checkpoint_v2(checkpointer_, nullptr, SQLITE_CHECKPOINT_PASSIVE,
                                                 nullptr, nullptr);
    if (result == SQLITE_OK) return absl::OkStatus();
    const std::string message =
        strCat("sync the database ", path_, ": ", sqlite3_errmsg(checkpointer_));
    if (result != SQLITE_BUSY) return absl::InternalError(message);
    // It met a writer in the middle of its commit; a passive checkpoint has no busy handler.
    if (std::chrono::steady_clock::now() > limit) return absl::UnavailableError(message);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void Store::note(std::optional<common::Outage>& outage, const absl::Status& status) {
  // A disk that is full takes changes that make room; and that there is no memory, or that another
  // connection is at work, says nothing of the disk.
  if (status.ok() || absl::IsResourceExhausted(status)) {
    outage.reset();
  } else if (!absl::IsUnavailable(status) && !outage) {
    outage = common::Outage{std::chrono::steady_clock::now(), std::string(status.message())};
  }
}

std::optional<common::Outage> Store::outage() const {
  struct statvfs system {};
  const bool readOnly = ::fstatvfs(log_.get(), &system) == 0 && (system.f_flag & ST_RDONLY) != 0;
  const std::lock_guard lock(threadMutex_);
  if (!readOnly) {
    readOnly_.reset();
  } else if (!readOnly_) {
    readOnly_ = common::Outage{std::chrono::steady_clock::now(),
                               strCat("the file system of ", path_, " is read-only")};
  }
  std::optional<common::Outage> earliest;
  for (const auto& one : {unwritable_, unsyncable_, readOnly_})
    if (one && (!earliest || one->since < earliest->since)) earliest = one;
  return earliest;
}

void Store::tryToChange() {
  absl::Status status;
  {
    const std::lock_guard lock(mutex_);
    status = execute(strCat("PRAGMA user_version=", kFormat).c_str());
  }
  const std::lock_guard lock(threadMutex_);
  note(unwritable_, status);
}

void Store::syncLoop() {
  const auto isUrgent = [this] {
    return stopping_ || released_ || changes_ >= kChangesPerCheckpoint;
  };
  const auto isDue = [this, &isUrgent] { return unsynced_ || isUrgent(); };
  bool reserved = true;
  std::unique_lock lock(threadMutex_);
  for (;;) {
    bool toTry = false;
    if (isOut()) {
      toTry = !wake_.wait_for(lock, kTrialPause, isDue);
    } else if (reserved) {
      wake_.wait(lock, [&] { return isDue() || isOut(); });
      if (!isDue()) continue;
    } else {
      wake_.wait_for(lock, kReserveRetry, isDue);
    }
    // Changes come in groups, and one sync does for all of them.
    if (unsynced_) wake_.wait_for(lock, kSyncDelay, isUrgent);
    if (stopping_) return;
    const bool toReserve = std::exchange(released_, false) || !reserved;
    const bool toSync = std::exchange(unsynced_, false);
    const bool enough = changes_ >= kChangesPerCheckpoint;
    if (enough) changes_ = 0;
    lock.unlock();
    if (toReserve || enough) reserved = reserve_.make();
    if (toTry) tryToChange();
    // A failure leaves the log as it is: the next one, or the next start, sees to it. Nobody is
    // told of a step: it falls between those of any operation, and changes nothing but what a power
    // cut does.
    if (enough) {
      checkpoint().IgnoreError();
    } else if (toSync || toTry) {
      syncLog().IgnoreError();
    }
    lock.lock();
  }
}

}  // namespace berth::store
