#include "store/parts.hpp"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include <sqlite3.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::store {

using support::strCat;

bool isDamage(int code) {
  switch (code) {
    case SQLITE_IOERR_READ:
    case SQLITE_IOERR_SHORT_READ:
    case SQLITE_IOERR_CORRUPTFS:
      return true;
    default:
      return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
  }
}

absl::Status failureOf(sqlite3* database, std::string_view doing) {
  const int code = database == nullptr ? SQLITE_NOMEM : sqlite3_extended_errcode(database);
  const std::string message =
      strCat(doing, ": ", database == nullptr ? "out of memory" : sqlite3_errmsg(database));
  if (isDamage(code)) return absl::DataLossError(message);
  if (code == SQLITE_IOERR_SHMSIZE) {
    return absl::ResourceExhaustedError(message);  // the log's index does not fit on the disk
  }
  switch (code & 0xff) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(message);
    case SQLITE_NOMEM:
      return absl::UnavailableError(message);  // no room on the disk would help
    case SQLITE_BUSY:
      return absl::UnavailableError(strCat(message, "; does another berthd run?"));
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return absl::FailedPreconditionError(message);
    default:
      return absl::InternalError(message);
  }
}

void bindText(sqlite3_stmt* statement, int index, std::string_view text) {
  sqlite3_bind_text(statement, index, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
}

void bindBlob(sqlite3_stmt* statement, int index, std::string_view bytes) {
  // A null pointer would bind NULL.
  sqlite3_bind_blob(statement, index, bytes.empty() ? "" : bytes.data(),
                    static_cast<int>(bytes.size()), SQLITE_STATIC);
}

std::string column(sqlite3_stmt* statement, int index) {
  const void* data = sqlite3_column_blob(statement, index);
  const int size = sqlite3_column_bytes(statement, index);
  return data == nullptr ? std::string()
                         : std::string(static_cast<const char*>(data), static_cast<size_t>(size));
}

absl::Status syncDirectoryOf(const std::string& path) {
  const std::string directory = path.substr(0, path.rfind('/') + 1);
  BERTH_ASSIGN_OR_RETURN(
      const support::Fd parent,
      support::openFile(directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY));
  if (::fsync(parent.get()) == 0) return absl::OkStatus();
  return support::errnoStatus(errno, strCat("sync the directory of ", path));
}

}  // namespace berth::store
