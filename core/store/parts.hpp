// What the sources of the store share of SQLite and of its files.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>

struct sqlite3;
struct sqlite3_stmt;

namespace berth::store {

inline constexpr const char* kSchema =
    "CREATE TABLE IF NOT EXISTS records("
    "  kind TEXT NOT NULL, id TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY(kind, id)"
    ") WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS damaged("
    "  kind TEXT NOT NULL, id TEXT NOT NULL, value BLOB NOT NULL, reason TEXT NOT NULL,"
    "  time INTEGER NOT NULL);";

// Of the tables and of what their values are. A higher one is a newer program's, which this one
// would misread. Fields that are added to a record do not count: they are kept unread.
inline constexpr int kFormat = 1;

// Whether an extended result code of SQLite says that what the disk has is damaged, or that it
// cannot give it back.
bool isDamage(int code);

// The last failure of `database`, which is null when there was no memory for it.
absl::Status failureOf(sqlite3* database, std::string_view doing);

void bindText(sqlite3_stmt* statement, int index, std::string_view text);
void bindBlob(sqlite3_stmt* statement, int index, std::string_view bytes);
std::string column(sqlite3_stmt* statement, int index);

// Makes the names beside `path`, and its own, survive a power cut.
absl::Status syncDirectoryOf(const std::string& path);

}  // namespace berth::store
