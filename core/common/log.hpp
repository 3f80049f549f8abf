// The daemon's log: a message and fields, as text (key=value) or as one JSON object a line.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>

namespace berth::common {

enum class LogLevel { kTrace, kDebug, kInfo, kWarning, kError };
enum class LogFormat { kText, kJson };

struct LogSettings {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
  std::string file;  // empty: standard error
};

using LogField = std::pair<std::string_view, std::string_view>;

// Once, before the first message. FAILED_PRECONDITION when the file cannot be opened. Until then
// messages from kInfo on go to standard error.
absl::Status setUpLog(const LogSettings& settings);

// Takes up another level, and opens the file anew, which may have been moved away. Thread-safe.
// FAILED_PRECONDITION when the file cannot be opened: messages go on to where they went.
absl::Status resumeLog(LogLevel level);

// Whether a message of the level is written. Thread-safe.
bool isLogged(LogLevel level);

// Thread-safe; writes at once.
void log(LogLevel level, std::string_view message, const std::vector<LogField>& fields);

inline void logDebug(std::string_view message, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::kDebug, message, fields);
}
inline void logInfo(std::string_view message, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::kInfo, message, fields);
}
inline void logWarning(std::string_view message, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::kWarning, message, fields);
}
inline void logError(std::string_view message, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::kError, message, fields);
}

// Warnings and errors of this process, which a log that is kept elsewhere may have lost.
struct Problems {
  uint64_t warnings = 0;
  uint64_t errors = 0;
  std::vector<std::string> last;  // lines as text, cut off where they are long; the oldest first
};
Problems problems();

// One line without its end, as it is written: for tests.
std::string formatLogLine(LogFormat format, LogLevel level, int64_t nanoseconds,
                          std::string_view message, const std::vector<LogField>& fields);

}  // namespace berth::common
