// Durable records in one SQLite database.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"
#include "common/outage.hpp"
#include "store/reserve.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace berth::store {

struct Entry {
  std::string id;
  std::string value;
};

// What is to become of a record.
struct Change {
  std::string kind;
  std::string id;
  std::optional<std::string> value;  // none: it is erased
};

struct Damaged {
  std::string kind;
  std::string id;
  std::string reason;
};

// A map from (kind, id) to a value, kept in write-ahead-log mode (SQLite documentation,
// "Write-Ahead Logging"): a change survives the process as soon as the call returns, and a power
// cut once the log has been synced, which a thread of the store does a moment later, for all
// changes of that moment at once and without holding up writers. A cut within it loses the last
// changes and never an earlier one. That suffices, because what pods' records describe does not
// survive a power cut either; what must (image content) syncs its own files and calls sync().
// Thread-safe; calls block on the disk.
//
// A full disk is RESOURCE_EXHAUSTED, and meets changes later than others: "<path>.reserve" holds
// room for those that are needed to free some.
class Store {
 public:
  // Opens or makes the database at `path`. One that is damaged is reported in `setAside`, which is
  // its new name, "<path>.damaged-<time>"; one of what could be read (salvage.hpp) takes its place.
  // One of a newer format than this program's is left as it is: FAILED_PRECONDITION.
  static absl::StatusOr<std::unique_ptr<Store>> open(const std::string& path,
                                                     std::string& setAside);
  // FAILED_PRECONDITION when open() would say so of the database at `path`, which another process
  // may have open. Makes and changes nothing; one that cannot be read is left to open(). Blocks on
  // the disk.
  static absl::Status refuseNewer(const std::string& path);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  absl::Status put(std::string_view kind, std::string_view id, std::string_view value);
  // A missing record is success.
  absl::Status erase(std::string_view kind, std::string_view id);
  // All of them or, on failure, none.
  absl::Status apply(const std::vector<Change>& changes);
  // NOT_FOUND when it is missing.
  absl::StatusOr<std::string> get(std::string_view kind, std::string_view id);
  // In the order of ids.
  absl::StatusOr<std::vector<Entry>> list(std::string_view kind);
  // The same, one in memory at a time. `use` is not to call the store.
  absl::Status each(std::string_view kind, const std::function<void(Entry entry)>& use);
  // Moves a record that cannot be read out of the way, keeping its bytes for people.
  absl::Status setAside(std::string_view kind, std::string_view id, std::string_view reason);
  absl::StatusOr<std::vector<Damaged>> damaged();
  // Forgets those.
  absl::Status forgetDamaged();
  // Reads all of the database, as it is on the disk; DATA_LOSS says what is wrong with it. Holds up
  // no change.
  absl::Status verify() const;
  // Returns once everything put and erased so far survives a power cut. Nobody else waits for it:
  // changes go on meanwhile.
  absl::Status sync();
  // Why no change is kept at present: the last one was refused, or could not be synced, or the file
  // system is read-only. A full disk is no such reason. While there is one the store tries by
  // itself whether it still holds, so that it ends without anybody's change. Waits for no disk.
  std::optional<common::Outage> outage() const;

 private:
  static constexpr size_t kChangesPerCheckpoint = 2000;
  static constexpr std::chrono::milliseconds kBusyLimit{5000};
  // Between two trials of the store's own during an outage.
  static constexpr std::chrono::seconds kTrialPause{5};
  // After the first change that has not been synced.
  static constexpr std::chrono::milliseconds kSyncDelay{50};
  static constexpr int kLogBytes = 4 << 20;  // what the log's file keeps once it is empty

  explicit Store(const std::string& path) : path_(path), reserve_(path + ".reserve") {}
  // The same, trying again with the reserve's room where there is no other.
  static absl::StatusOr<std::unique_ptr<Store>> openWith(const std::string& path);
  absl::Status initialise();
  absl::Status checkFormat();
  absl::Status execute(const char* sql);
  absl::Status prepare(const char* sql, sqlite3_stmt** statement);
  absl::Status failure(std::string_view doing) const;
  // DATA_LOSS when the database opens but cannot be read throughout: better seen before records
  // are relied on than in the middle of a recovery. A few milliseconds for a node's records.
  absl::Status checkPages();
  // Makes a change of `count` records, once more with the reserve's room when the disk is full.
  absl::Status write(size_t count, const std::function<absl::Status()>& change);
  // With the mutex held.
  absl::Status putLocked(std::string_view kind, std::string_view id, std::string_view value);
  absl::Status eraseLocked(std::string_view kind, std::string_view id);
  absl::Status transactLocked(const std::function<absl::Status()>& changes);
  void makeRoomLocked();
  absl::Status openCheckpointer();
  absl::Status openLog();
  static void holdFiles(sqlite3* connection);
  void holdLogRoom() const;
  // Syncs the log and moves it into the database.
  absl::Status checkpoint();
  absl::Status syncLog();
  void syncLoop();
  // A change that leaves everything as it is.
  void tryToChange();
  // What became of a change, or of a sync, with the thread's mutex held.
  static void note(std::optional<common::Outage>& outage, const absl::Status& status);
  bool isOut() const { return unwritable_.has_value() || unsyncable_.has_value(); }

  const std::string path_;
  const Reserve reserve_;
  std::mutex mutex_;
  sqlite3* database_ = nullptr;
  sqlite3_stmt* put_ = nullptr;
  sqlite3_stmt* erase_ = nullptr;
  sqlite3_stmt* get_ = nullptr;
  sqlite3_stmt* list_ = nullptr;
  sqlite3_stmt* setAside_ = nullptr;
  sqlite3_stmt* damaged_ = nullptr;

  // The log's file, for sync(): SQLite offers no sync without a checkpoint, and the first change
  // after each complete checkpoint syncs the log's header before it goes on (SQLite documentation,
  // "PRAGMA synchronous", NORMAL), while all others wait behind it.
  support::Fd log_;

  // Checkpoints have a connection of their own, so that no writer waits for them, and go one at a
  // time: SQLite refuses a second one (SQLITE_BUSY) without waiting.
  std::mutex checkpointMutex_;
  sqlite3* checkpointer_ = nullptr;

  // The thread that makes them when enough has changed, and syncs the log in between.
  mutable std::mutex threadMutex_;
  std::condition_variable wake_;
  size_t changes_ = 0;
  bool unsynced_ = false;
  bool released_ = false;  // the reserve: to be made again
  bool stopping_ = false;
  std::optional<common::Outage> unwritable_;
  std::optional<common::Outage> unsyncable_;
  mutable std::optional<common::Outage> readOnly_;  // since it was seen
  std::thread thread_;
};

}  // namespace berth::store
