// Durable records in one SQLite database.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

struct sqlite3;
struct sqlite3_stmt;

namespace berth::store {

struct Entry {
  std::string id;
  std::string value;
};

struct Damaged {
  std::string kind;
  std::string id;
  std::string reason;
};

// A map from (kind, id) to a value, kept in write-ahead-log mode (SQLite documentation,
// "Write-Ahead Logging"): a change survives the process as soon as the call returns, and a power
// cut once the log has been synced, which a thread of the store does without holding up writers.
// That suffices, because what pods' records describe does not survive a power cut either; what
// must (image content) syncs its own files and calls sync(). Thread-safe; calls block on the disk.
class Store {
 public:
  // Opens or makes the database at `path`. One that is damaged beyond opening is renamed to
  // "<path>.damaged-<time>" and reported in `setAside`, and an empty one takes its place.
  static absl::StatusOr<std::unique_ptr<Store>> open(const std::string& path,
                                                     std::string& setAside);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  absl::Status put(std::string_view kind, std::string_view id, std::string_view value);
  // A missing record is success.
  absl::Status erase(std::string_view kind, std::string_view id);
  // NOT_FOUND when it is missing.
  absl::StatusOr<std::string> get(std::string_view kind, std::string_view id);
  // In the order of ids.
  absl::StatusOr<std::vector<Entry>> list(std::string_view kind);
  // Moves a record that cannot be read out of the way, keeping its bytes for people.
  absl::Status setAside(std::string_view kind, std::string_view id, std::string_view reason);
  absl::StatusOr<std::vector<Damaged>> damaged();
  // Returns once everything put so far survives a power cut.
  absl::Status sync();

 private:
  Store() = default;
  absl::Status initialise(const std::string& path);
  absl::Status execute(const char* sql);
  absl::Status prepare(const char* sql, sqlite3_stmt** statement);
  absl::Status failure(std::string_view doing) const;
  // DATA_LOSS when the database opens but cannot be read throughout: better seen before records
  // are relied on than in the middle of a recovery. A few milliseconds for a node's records.
  absl::Status checkPages();
  absl::Status openCheckpointer();
  // Syncs the log and moves it into the database.
  absl::Status checkpoint();
  void checkpointLoop();

  std::string path_;
  std::mutex mutex_;
  sqlite3* database_ = nullptr;
  sqlite3_stmt* put_ = nullptr;
  sqlite3_stmt* erase_ = nullptr;
  sqlite3_stmt* get_ = nullptr;
  sqlite3_stmt* list_ = nullptr;
  sqlite3_stmt* setAside_ = nullptr;
  sqlite3_stmt* damaged_ = nullptr;

  // Checkpoints have a connection of their own, so that no writer waits for them, and go one at a
  // time: SQLite refuses a second one (SQLITE_BUSY) without waiting.
  std::mutex checkpointMutex_;
  sqlite3* checkpointer_ = nullptr;

  // The thread that makes them when enough has changed.
  std::mutex threadMutex_;
  std::condition_variable wake_;
  size_t changes_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace berth::store
