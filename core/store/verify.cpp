// Whether the database is whole.
#include <sqlite3.h>

#include "berth/support/durable.hpp"
#include "berth/support/status.hpp"
#include "store/parts.hpp"
#include "store/store.hpp"

namespace berth::store {

using support::strCat;

namespace {

constexpr const char* kCheck = "PRAGMA integrity_check(20)";

int addRow(void* lines, int columns, char** values, char** /*names*/) {
  auto& text = *static_cast<std::string*>(lines);
  if (columns < 1 || values[0] == nullptr) return 0;
  text += strCat(text.empty() ? "" : "\n", values[0]);
  return 0;
}

}  // namespace

// With a connection of its own, whose pages are read anew.
absl::Status Store::verify() const {
  sqlite3* reader = nullptr;
  int result =
      sqlite3_open_v2(path_.c_str(), &reader, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
  std::string found;
  if (result == SQLITE_OK) {
    sqlite3_busy_timeout(reader, static_cast<int>(kBusyLimit.count()));
    result = sqlite3_exec(reader, kCheck, &addRow, &found, nullptr);
  }
  const int code = reader == nullptr ? SQLITE_NOMEM : sqlite3_extended_errcode(reader);
  const std::string error = reader == nullptr ? "out of memory" : sqlite3_errmsg(reader);
  sqlite3_close(reader);
  if (result == SQLITE_OK && found == "ok") return absl::OkStatus();
  if (result == SQLITE_OK) return absl::DataLossError(found);
  if (isDamage(code)) return absl::DataLossError(error);
  return absl::UnavailableError(strCat("check the database ", path_, ": ", error));
}

absl::Status Store::forgetDamaged() {
  return write(1, [this] {
    absl::Status status = execute("DELETE FROM damaged");
    if (status.ok()) support::durableStep("forget damaged records");
    return status;
  });
}

}  // namespace berth::store
