#include "store/salvage.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <compare>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string_view>
#include <sys/stat.h>
#include <utility>

#include <sqlite3.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"
#include "store/parts.hpp"

namespace berth::store {

using support::strCat;

namespace {

using Clock = std::chrono::steady_clock;
using Database = std::unique_ptr<sqlite3, decltype(&sqlite3_close)>;
using Statement = std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)>;

constexpr const char* kReading = "read the damaged database";

// How often what lies between two bad pages is halved to find a good one.
constexpr int kHalvings = 12;
// A disk may take seconds to say that it cannot read a sector.
constexpr std::chrono::seconds kSeekTime{10};

// In the table's order, which is that of bytes.
struct Key {
  std::string kind;
  std::string id;
  auto operator<=>(const Key&) const = default;
};

// No text has such a byte.
constexpr const char* kPastAll = "\xff";
const Key kLowest;
const Key kHighest = {kPastAll, ""};

enum class Direction { kUp, kDown };

// Of which ids are mostly made, in the order of bytes.
constexpr std::string_view kLetters = "0123456789abcdefghijklmnopqrstuvwxyz";
constexpr size_t kDigits = 6;

// How many of the letters are not after it.
uint64_t rankOf(char letter) {
  const auto before = [](unsigned char a, unsigned char b) { return a < b; };
  return std::upper_bound(kLetters.begin(), kLetters.end(), letter, before) - kLetters.begin();
}

// Half way in the first letters in which they differ.
std::string middle(const std::string& low, const std::string& high) {
  const auto end = std::mismatch(low.begin(), low.end(), high.begin(), high.end()).first;
  const auto shared = static_cast<size_t>(end - low.begin());
  const uint64_t base = kLetters.size() + 1;
  const auto number = [&](const std::string& text) {
    uint64_t value = 0;
    for (size_t i = shared; i < shared + kDigits; ++i)
      value = value * base + (i < text.size() ? rankOf(text[i]) : 0);
    return value;
  };
  std::string digits;
  uint64_t rest = (number(low) + number(high)) / 2;
  for (size_t i = 0; i < kDigits; ++i, rest /= base)
    digits.insert(0, rest % base == 0 ? "" : std::string(1, kLetters[rest % base - 1]));
  return low.substr(0, shared) + digits;
}

// Ids of a kind begin alike, as with "sha256:".
std::string prefixOf(const std::string& id) {
  return id.substr(0, id.find_first_of(":-/") + 1);
}

// Ids are halved within their kind, so that each kind is come to.
std::optional<Key> between(const Key& low, const Key& high) {
  Key key;
  if (low.kind == high.kind) {
    const std::string first = low.id.empty() ? prefixOf(high.id) : low.id;
    const std::string last = high.id == kPastAll ? prefixOf(low.id) + kPastAll : high.id;
    key = {low.kind, middle(first, last)};
  } else if (!high.id.empty()) {
    key = {high.kind, ""};
  } else if (low.id < kPastAll) {
    key = {low.kind, kPastAll};
  } else {
    key = {middle(low.kind, high.kind), ""};
  }
  return low < key && key < high ? std::optional(std::move(key)) : std::nullopt;
}

bool isName(sqlite3_stmt* row, int index) {
  if (sqlite3_column_type(row, index) != SQLITE_TEXT) return false;
  const std::string text = column(row, index);
  const auto isControl = [](char c) { return static_cast<unsigned char>(c) < ' '; };
  return !text.empty() && text < kPastAll && std::none_of(text.begin(), text.end(), isControl);
}

absl::StatusOr<Statement> prepare(sqlite3* database, const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK)
    return failureOf(database, strCat("prepare ", sql));
  return Statement(statement, &sqlite3_finalize);
}

absl::Status nothingIsRead(const absl::Status& why) {
  return absl::UnavailableError(
      strCat(support::fromAbsl(why.message()),
             "; the disk gives back no record at all, and the pods that there are go on by "
             "themselves. Start again once it does, or move the database away, which ends them"));
}

// Reads the table in both directions until it meets a page that is bad, and past that by seeking.
class Salvage {
 public:
  Salvage(sqlite3* from, sqlite3* to) : from_(from), to_(to) {}

  absl::Status run() {
    const std::string insert = "INSERT OR IGNORE INTO records VALUES(?1, ?2, ?3)";
    BERTH_ASSIGN_OR_RETURN(insert_, prepare(to_, insert));
    BERTH_ASSIGN_OR_RETURN(const Key low, walk(Direction::kUp, kLowest, kHighest));
    if (low == kHighest) return absl::OkStatus();
    BERTH_ASSIGN_OR_RETURN(const Key high, walk(Direction::kDown, kHighest, kLowest));
    BERTH_RETURN_IF_ERROR(seek(low, high));
    return kept_ ? absl::OkStatus() : unread_;
  }

 private:
  struct Gap {
    Key low;
    Key high;
    int halvings = 0;
  };

  // The widest first: time may run out.
  absl::Status seek(const Key& low, const Key& high) {
    const auto limit = Clock::now() + kSeekTime;
    std::deque<Gap> gaps = {{low, high}};
    while (!gaps.empty() && Clock::now() < limit) {
      const Gap gap = std::move(gaps.front());
      gaps.pop_front();
      const std::optional<Key> start = between(gap.low, gap.high);
      if (!start || gap.halvings == kHalvings) continue;
      BERTH_ASSIGN_OR_RETURN(const Key down, walk(Direction::kDown, *start, gap.low));
      BERTH_ASSIGN_OR_RETURN(const Key up, walk(Direction::kUp, *start, gap.high));
      if (down > gap.low) gaps.push_back({gap.low, down, gap.halvings + 1});
      if (up < gap.high) gaps.push_back({up, gap.high, gap.halvings + 1});
    }
    return absl::OkStatus();
  }

  // Keeps the records from `start` on, past those that cannot be read alone. The key of the last
  // one; `end` when all before that were read.
  absl::StatusOr<Key> walk(Direction direction, const Key& start, const Key& end) {
    Key at = start;
    bool ended = false;
    for (int64_t passed = 0;;) {
      auto rows = select("kind, id, value", direction, start, passed);
      BERTH_RETURN_IF_ERROR(unlessDamaged(rows.status()));
      if (!rows.ok()) return at;
      int result = SQLITE_OK;
      while (!ended && (result = sqlite3_step(rows->get())) == SQLITE_ROW) {
        ++passed;
        if (!isName(rows->get(), 0) || !isName(rows->get(), 1)) continue;
        const Key key = {column(rows->get(), 0), column(rows->get(), 1)};
        ended = direction == Direction::kUp ? key >= end : key <= end;
        if (ended) break;
        // A page that is not where it belongs.
        if (direction == Direction::kUp ? key < at : key > at) return at;
        BERTH_RETURN_IF_ERROR(keep(rows->get()));
        at = key;
      }
      if (ended || result == SQLITE_DONE) return end;
      BERTH_RETURN_IF_ERROR(unlessDamaged(failureOf(from_, kReading)));
      // Its value may lie in a page of its own, without which one can go on.
      const auto next = select("1", direction, start, passed);
      BERTH_RETURN_IF_ERROR(unlessDamaged(next.status()));
      if (!next.ok()) return at;
      result = sqlite3_step(next->get());
      if (result == SQLITE_DONE) return end;
      if (result != SQLITE_ROW) {
        BERTH_RETURN_IF_ERROR(unlessDamaged(failureOf(from_, kReading)));
        return at;
      }
      ++passed;
    }
  }

  // From the ends on it compares nothing: a bad page in the middle does not matter.
  absl::StatusOr<Statement> select(std::string_view what, Direction direction, const Key& start,
                                   int64_t offset) {
    const bool up = direction == Direction::kUp;
    const std::string where = start == kLowest || start == kHighest ? ""
                              : up ? " WHERE (kind, id) >= (?1, ?2)"
                                   : " WHERE (kind, id) < (?1, ?2)";
    const std::string order = up ? "kind, id" : "kind DESC, id DESC";
    BERTH_ASSIGN_OR_RETURN(Statement statement,
                           prepare(from_, strCat("SELECT ", what, " FROM records", where,
                                                 " ORDER BY ", order, " LIMIT -1 OFFSET ?3")));
    bindText(statement.get(), 1, start.kind);
    bindText(statement.get(), 2, start.id);
    sqlite3_bind_int64(statement.get(), 3, offset);
    return statement;
  }

  // What fails for want of something else is to be done again, since it would lose records.
  absl::Status unlessDamaged(const absl::Status& status) {
    const int code = sqlite3_errcode(from_);
    const bool lacks = code == SQLITE_ERROR || code == SQLITE_TOOBIG;  // a table, or a sane size
    if (absl::IsDataLoss(status) && sqlite3_extended_errcode(from_) == SQLITE_IOERR_READ) {
      unread_ = nothingIsRead(status);
    }
    return absl::IsDataLoss(status) || lacks ? absl::OkStatus() : status;
  }

  absl::Status keep(sqlite3_stmt* row) {
    for (const int index : {0, 1, 2})
      sqlite3_bind_value(insert_.get(), index + 1, sqlite3_column_value(row, index));
    const int result = sqlite3_step(insert_.get());
    sqlite3_reset(insert_.get());
    kept_ = true;
    if (result == SQLITE_DONE) return absl::OkStatus();
    return failureOf(to_, "keep a record of the damaged database");
  }

  sqlite3* const from_;
  sqlite3* const to_;
  Statement insert_{nullptr, &sqlite3_finalize};
  bool kept_ = false;
  absl::Status unread_;  // of the disk, which may give back later what it does not now
};

absl::StatusOr<Database> open(const std::string& path, int flags) {
  sqlite3* opened = nullptr;
  const int result = sqlite3_open_v2(path.c_str(), &opened, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(opened, &sqlite3_close);
  if (result != SQLITE_OK) return failureOf(opened, strCat("open the database ", path));
  return database;
}

absl::Status execute(sqlite3* database, const std::string& sql) {
  if (sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK)
    return absl::OkStatus();
  return failureOf(database, "make the database of what is salvaged");
}

std::string salvagedOf(const std::string& path) {
  return path + ".salvaged";
}

}  // namespace

absl::Status salvage(const std::string& path) {
  const std::string made = path + ".new";
  BERTH_RETURN_IF_ERROR(support::removePath(made));
  {
    // Its beginning is read here, and not more.
    auto from = open(path, SQLITE_OPEN_READONLY);
    if (absl::IsDataLoss(from.status())) return nothingIsRead(from.status());
    BERTH_RETURN_IF_ERROR(from.status());
    BERTH_ASSIGN_OR_RETURN(const Database to,
                           open(made, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    // Without a journal, because one that is cut off is removed; synced as it is committed.
    BERTH_RETURN_IF_ERROR(execute(
        to.get(), strCat("PRAGMA journal_mode=OFF; PRAGMA synchronous=FULL; BEGIN;", kSchema)));
    // So that one that is shorter than it was is read as far as it goes.
    BERTH_RETURN_IF_ERROR(execute(from->get(), "PRAGMA writable_schema=ON"));
    BERTH_RETURN_IF_ERROR(Salvage(from->get(), to.get()).run());
    BERTH_RETURN_IF_ERROR(execute(to.get(), "COMMIT"));
  }
  const std::string salvaged = salvagedOf(path);
  if (support::steps::rename(made.c_str(), salvaged.c_str()) != 0)
    return support::errnoStatus(errno, strCat("rename ", made, " to ", salvaged));
  return syncDirectoryOf(path);
}

absl::StatusOr<std::string> replaceBySalvaged(const std::string& path) {
  const std::string salvaged = salvagedOf(path);
  struct stat info = {};
  if (::stat(salvaged.c_str(), &info) != 0) {
    if (errno == ENOENT) return "";
    return support::errnoStatus(errno, strCat("look at ", salvaged));
  }
  // The same name when it is cut off and done again.
  const int64_t time = info.st_mtim.tv_sec * INT64_C(1'000'000'000) + info.st_mtim.tv_nsec;
  const std::string aside = strCat(path, ".damaged-", time);
  for (const char* suffix : {"-wal", "-shm", ""}) {
    const std::string from = path + suffix;
    const std::string to = aside + suffix;
    if (support::steps::rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT)
      return support::errnoStatus(errno, strCat("set the damaged database aside as ", to));
  }
  // Now that no log is beside it that would be taken for its own.
  if (support::steps::rename(salvaged.c_str(), path.c_str()) != 0)
    return support::errnoStatus(errno, strCat("rename ", salvaged, " to ", path));
  return aside;
}

absl::StatusOr<std::map<std::string, int64_t>> countRecords(const std::string& path) {
  BERTH_ASSIGN_OR_RETURN(const Database database, open(path, SQLITE_OPEN_READONLY));
  BERTH_ASSIGN_OR_RETURN(
      const Statement rows,
      prepare(database.get(), "SELECT kind, count(*) FROM records GROUP BY kind"));
  std::map<std::string, int64_t> counts;
  int result = SQLITE_OK;
  while ((result = sqlite3_step(rows.get())) == SQLITE_ROW)
    counts[column(rows.get(), 0)] = sqlite3_column_int64(rows.get(), 1);
  if (result != SQLITE_DONE) return failureOf(database.get(), "count the records");
  return counts;
}

}  // namespace berth::store
