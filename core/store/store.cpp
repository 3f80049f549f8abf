#include "store/store.hpp"

#include <chrono>
#include <utility>

#include <sqlite3.h>

#include "berth/support/clock.hpp"
#include "berth/support/durable.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "common/refusal.hpp"
#include "store/parts.hpp"
#include "store/salvage.hpp"

namespace berth::store {

using support::strCat;

namespace {

absl::Status refuseFormat(const std::string& path, int format) {
  if (format <= kFormat) return absl::OkStatus();
  return common::refusal(absl::FailedPreconditionError(
      strCat("the database ", path, " has the format ", format, " of a newer berthd; this one ",
             "knows those up to ", kFormat, ": run the newer one, or move the database away")));
}

// For reading alone. The log beside it may have what the database has not yet, but to read it
// without its index one would have to make that; a log without an index was left empty.
std::string readOnlyUri(const std::string& path) {
  std::string uri = "file:";
  for (const char letter : path) {
    if (letter == '%' || letter == '?' || letter == '#') {
      uri += letter == '%' ? "%25" : letter == '?' ? "%3f" : "%23";
    } else {
      uri += letter;
    }
  }
  return uri + (support::pathExists(path + "-shm") ? "?mode=ro" : "?immutable=1");
}

void tell(const char* step, std::string_view kind) {
  support::durableStep(step, std::string(kind).c_str());
}

// Makes a prepared statement ready for its next use however the current one ends.
class Use {
 public:
  explicit Use(sqlite3_stmt* statement) : statement_(statement) {}
  ~Use() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

 private:
  sqlite3_stmt* statement_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> Store::open(const std::string& path, std::string& setAside) {
  BERTH_ASSIGN_OR_RETURN(setAside, replaceBySalvaged(path));
  absl::StatusOr<std::unique_ptr<Store>> store = openWith(path);
  if (!absl::IsDataLoss(store.status())) return store;
  absl::Status salvaged = salvage(path);
  if (!salvaged.ok() && !Reserve::hasRoom(path) && Reserve(path + ".reserve").release()) {
    salvaged = salvage(path);
  }
  BERTH_RETURN_IF_ERROR(salvaged);
  BERTH_ASSIGN_OR_RETURN(setAside, replaceBySalvaged(path));
  return openWith(path);
}

absl::StatusOr<std::unique_ptr<Store>> Store::openWith(const std::string& path) {
  std::unique_ptr<Store> store(new Store(path));
  absl::Status status = store->initialise();
  // SQLite has several words for a full disk while it opens its files.
  const bool settled = status.ok() || absl::IsDataLoss(status) || absl::IsUnavailable(status);
  if (!settled && !Reserve::hasRoom(path) && store->reserve_.release()) {
    store.reset(new Store(path));
    status = store->initialise();
  }
  if (!status.ok()) return status;
  return store;
}

absl::Status Store::initialise() {
  const int result =
      sqlite3_open_v2(path_.c_str(), &database_,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (result != SQLITE_OK) return failure(strCat("open the database ", path_));
  sqlite3_busy_timeout(database_, static_cast<int>(kBusyLimit.count()));
  BERTH_RETURN_IF_ERROR(checkFormat());
  BERTH_RETURN_IF_ERROR(execute("PRAGMA journal_mode=WAL"));
  BERTH_RETURN_IF_ERROR(execute("PRAGMA synchronous=NORMAL"));
  // The checkpoint is what syncs: the thread does it, never a writer.
  BERTH_RETURN_IF_ERROR(execute("PRAGMA wal_autocheckpoint=0"));
  BERTH_RETURN_IF_ERROR(execute("PRAGMA cache_size=-512"));
  BERTH_RETURN_IF_ERROR(execute(strCat("PRAGMA journal_size_limit=", kLogBytes).c_str()));
  holdFiles(database_);
  BERTH_RETURN_IF_ERROR(execute(kSchema));
  BERTH_RETURN_IF_ERROR(checkPages());
  BERTH_RETURN_IF_ERROR(prepare("REPLACE INTO records VALUES(?1, ?2, ?3)", &put_));
  BERTH_RETURN_IF_ERROR(prepare("DELETE FROM records WHERE kind = ?1 AND id = ?2", &erase_));
  BERTH_RETURN_IF_ERROR(prepare("SELECT value FROM records WHERE kind = ?1 AND id = ?2", &get_));
  BERTH_RETURN_IF_ERROR(
      prepare("SELECT id, value FROM records WHERE kind = ?1 ORDER BY id", &list_));
  BERTH_RETURN_IF_ERROR(
      prepare("INSERT INTO damaged SELECT kind, id, value, ?3, ?4 FROM records"
              " WHERE kind = ?1 AND id = ?2",
              &setAside_));
  BERTH_RETURN_IF_ERROR(
      prepare("SELECT kind, id, reason FROM damaged ORDER BY time, id", &damaged_));
  BERTH_RETURN_IF_ERROR(openCheckpointer());
  BERTH_RETURN_IF_ERROR(openLog());
  released_ = !reserve_.make();
  BERTH_ASSIGN_OR_RETURN(thread_, support::startThread([this] { syncLoop(); }));
  return absl::OkStatus();
}

// Before anything is written, so that a newer database stays what it is.
absl::Status Store::checkFormat() {
  sqlite3_stmt* statement = nullptr;
  BERTH_RETURN_IF_ERROR(prepare("PRAGMA user_version", &statement));
  const int result = sqlite3_step(statement);
  const int format = result == SQLITE_ROW ? sqlite3_column_int(statement, 0) : 0;
  const absl::Status read =
      result == SQLITE_ROW ? absl::OkStatus() : failure(strCat("read the database ", path_));
  sqlite3_finalize(statement);
  BERTH_RETURN_IF_ERROR(read);
  BERTH_RETURN_IF_ERROR(refuseFormat(path_, format));
  if (format == kFormat) return absl::OkStatus();
  // A new database, or one from before formats were numbered, which is the first. That a full disk
  // does not take the number now is no reason not to start.
  const absl::Status numbered = execute(strCat("PRAGMA user_version=", kFormat).c_str());
  return absl::IsResourceExhausted(numbered) ? absl::OkStatus() : numbered;
}

absl::Status Store::refuseNewer(const std::string& path) {
  sqlite3* database = nullptr;
  sqlite3_stmt* statement = nullptr;
  int format = 0;
  const int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(readOnlyUri(path).c_str(), &database, flags, nullptr) == SQLITE_OK &&
      sqlite3_busy_timeout(database, static_cast<int>(kBusyLimit.count())) == SQLITE_OK &&
      sqlite3_prepare_v2(database, "PRAGMA user_version", -1, &statement, nullptr) == SQLITE_OK &&
      sqlite3_step(statement) == SQLITE_ROW) {
    format = sqlite3_column_int(statement, 0);
  }
  sqlite3_finalize(statement);
  sqlite3_close(database);
  return refuseFormat(path, format);
}

absl::Status Store::checkPages() {
  sqlite3_stmt* statement = nullptr;
  BERTH_RETURN_IF_ERROR(prepare("PRAGMA quick_check(1)", &statement));
  const int result = sqlite3_step(statement);
  const std::string found = result == SQLITE_ROW ? column(statement, 0) : std::string();
  absl::Status status;
  if (result != SQLITE_ROW) {
    status = failure(strCat("check the database ", path_));
  } else if (found != "ok") {
    status = absl::DataLossError(strCat("check the database ", path_, ": ", found));
  }
  sqlite3_finalize(statement);
  return status;
}

Store::~Store() {
  if (thread_.joinable()) {
    {
      std::lock_guard lock(threadMutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  for (sqlite3_stmt* statement : {put_, erase_, get_, list_, setAside_, damaged_}) {
    sqlite3_finalize(statement);
  }
  sqlite3_close(checkpointer_);
  sqlite3_close(database_);
  // SQLite has emptied the log.
  holdLogRoom();
}

absl::Status Store::failure(std::string_view doing) const {
  return failureOf(database_, doing);
}

absl::Status Store::execute(const char* sql) {
  if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    return failure(strCat("prepare the database ", path_));
  }
  return absl::OkStatus();
}

absl::Status Store::prepare(const char* sql, sqlite3_stmt** statement) {
  if (sqlite3_prepare_v3(database_, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, nullptr) !=
      SQLITE_OK) {
    return failure(strCat("prepare the database ", path_));
  }
  return absl::OkStatus();
}

absl::Status Store::write(size_t count, const std::function<absl::Status()>& change) {
  absl::Status status;
  {
    std::lock_guard lock(mutex_);
    status = change();
    if (absl::IsResourceExhausted(status)) {
      makeRoomLocked();
      status = change();
    }
  }
  std::lock_guard lock(threadMutex_);
  note(unwritable_, status);
  if (!status.ok()) {
    wake_.notify_all();
    return status;
  }
  changes_ += count;
  const bool first = !std::exchange(unsynced_, true);
  if (first || changes_ >= kChangesPerCheckpoint) wake_.notify_all();
  return absl::OkStatus();
}

// The reserve lets the log grow, and once the log is in the database it begins anew in the room it
// has.
void Store::makeRoomLocked() {
  if (reserve_.release()) {
    std::lock_guard lock(threadMutex_);
    released_ = true;
    wake_.notify_all();
  }
  checkpoint().IgnoreError();
}

absl::Status Store::putLocked(std::string_view kind, std::string_view id, std::string_view value) {
  Use use(put_);
  bindText(put_, 1, kind);
  bindText(put_, 2, id);
  bindBlob(put_, 3, value);
  if (sqlite3_step(put_) == SQLITE_DONE) return absl::OkStatus();
  return failure(strCat("write the ", kind, " ", id));
}

absl::Status Store::eraseLocked(std::string_view kind, std::string_view id) {
  Use use(erase_);
  bindText(erase_, 1, kind);
  bindText(erase_, 2, id);
  if (sqlite3_step(erase_) == SQLITE_DONE) return absl::OkStatus();
  return failure(strCat("erase the ", kind, " ", id));
}

absl::Status Store::transactLocked(const std::function<absl::Status()>& changes) {
  BERTH_RETURN_IF_ERROR(execute("BEGIN IMMEDIATE"));
  absl::Status status = changes();
  if (status.ok()) status = execute("COMMIT");
  // After some failures SQLite has done so itself, and says that there is nothing to roll back.
  if (!status.ok()) execute("ROLLBACK").IgnoreError();
  return status;
}

absl::Status Store::put(std::string_view kind, std::string_view id, std::string_view value) {
  return write(1, [&] {
    absl::Status status = putLocked(kind, id, value);
    if (status.ok()) tell("put record", kind);
    return status;
  });
}

absl::Status Store::erase(std::string_view kind, std::string_view id) {
  return write(1, [&] {
    absl::Status status = eraseLocked(kind, id);
    if (status.ok() && sqlite3_changes(database_) != 0) tell("erase record", kind);
    return status;
  });
}

absl::Status Store::apply(const std::vector<Change>& changes) {
  return write(changes.size(), [&] {
    absl::Status status = transactLocked([&] {
      for (const Change& one : changes) {
        BERTH_RETURN_IF_ERROR(one.value ? putLocked(one.kind, one.id, *one.value)
                                        : eraseLocked(one.kind, one.id));
      }
      return absl::OkStatus();
    });
    if (status.ok() && !changes.empty()) tell("put record", changes.front().kind);
    return status;
  });
}

absl::StatusOr<std::string> Store::get(std::string_view kind, std::string_view id) {
  std::lock_guard lock(mutex_);
  Use use(get_);
  bindText(get_, 1, kind);
  bindText(get_, 2, id);
  switch (sqlite3_step(get_)) {
    case SQLITE_ROW:
      return column(get_, 0);
    case SQLITE_DONE:
      return absl::NotFoundError(strCat("no ", kind, " ", id, " is recorded"));
    default:
      return failure(strCat("read the ", kind, " ", id));
  }
}

absl::StatusOr<std::vector<Entry>> Store::list(std::string_view kind) {
  std::vector<Entry> entries;
  BERTH_RETURN_IF_ERROR(each(kind, [&](Entry entry) { entries.push_back(std::move(entry)); }));
  return entries;
}

absl::Status Store::each(std::string_view kind, const std::function<void(Entry entry)>& use) {
  std::lock_guard lock(mutex_);
  Use statement(list_);
  bindText(list_, 1, kind);
  int result = SQLITE_OK;
  while ((result = sqlite3_step(list_)) == SQLITE_ROW) use({column(list_, 0), column(list_, 1)});
  if (result != SQLITE_DONE) return failure(strCat("list the records of kind ", kind));
  return absl::OkStatus();
}

absl::Status Store::setAside(std::string_view kind, std::string_view id, std::string_view reason) {
  return write(1, [&] {
    absl::Status status = transactLocked([&] {
      {
        Use use(setAside_);
        bindText(setAside_, 1, kind);
        bindText(setAside_, 2, id);
        bindText(setAside_, 3, reason);
        sqlite3_bind_int64(setAside_, 4, support::nowNanoseconds());
        if (sqlite3_step(setAside_) != SQLITE_DONE) {
          return failure(strCat("set the ", kind, " ", id, " aside"));
        }
      }
      return eraseLocked(kind, id);
    });
    if (status.ok()) tell("set record aside", kind);
    return status;
  });
}

absl::StatusOr<std::vector<Damaged>> Store::damaged() {
  std::lock_guard lock(mutex_);
  Use use(damaged_);
  std::vector<Damaged> entries;
  int result = SQLITE_OK;
  while ((result = sqlite3_step(damaged_)) == SQLITE_ROW) {
    entries.push_back({column(damaged_, 0), column(damaged_, 1), column(damaged_, 2)});
  }
  if (result != SQLITE_DONE) return failure("list the damaged records");
  return entries;
}

}  // namespace berth::store
