#include "common/log.hpp"

#include <cstdlib>
#include <memory>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "berth/support/clock.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "common/published.hpp"

namespace berth::common {

namespace {

std::string_view levelName(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return "trace";
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "";
}

spdlog::level::level_enum spdlogLevel(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return spdlog::level::trace;
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

bool isControl(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7F;
  // C1, which terminals obey as well.
  return first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
}

// As JSON has it, with all control characters escaped.
std::string quoted(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string result = "\"";
  while (!text.empty()) {
    const std::string_view character = text.substr(0, support::utf8Length(text));
    if (character == "\n") {
      result += "\\n";
    } else if (character == "\"" || character == "\\") {
      result.append("\\").append(character);
    } else if (isControl(character)) {
      const auto last = static_cast<unsigned char>(character.back());
      result.append("\\u00").append({kDigits[last >> 4], kDigits[last & 15]});
    } else {
      result.append(character);
    }
    text.remove_prefix(character.size());
  }
  return result + '"';
}

// Quotes a value that would not read as one word, or that a terminal would obey. `value` is UTF-8.
void appendText(std::string& line, std::string_view value) {
  bool plain = !value.empty() && value.find_first_of(" \"=\\") == std::string_view::npos;
  for (std::string_view rest = value; plain && !rest.empty();) {
    const size_t length = support::utf8Length(rest);
    plain = !isControl(rest.substr(0, length));
    rest.remove_prefix(length);
  }
  line += plain ? std::string(value) : quoted(value);
}

// A key is one word, whoever has chosen it.
std::string keyOf(std::string_view key) {
  std::string result(key.empty() ? "_" : key);
  for (char& c : result) {
    const bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
    if (!allowed) c = '_';
  }
  return result;
}

spdlog::sink_ptr standardError() {
  return std::make_shared<spdlog::sinks::stderr_sink_mt>();
}

std::shared_ptr<spdlog::logger> makeLogger(spdlog::sink_ptr sink, LogLevel level) {
  auto logger = std::make_shared<spdlog::logger>("berth", std::move(sink));
  logger->set_pattern("%v");  // the whole line is made by formatLogLine
  logger->set_level(spdlogLevel(level));
  logger->flush_on(spdlog::level::trace);
  return logger;
}

enum class Priorities { kNone, kPrefixed };

// Whether standard error goes to the journal, which then reads priorities from the lines
// (systemd.exec(5), JOURNAL_STREAM; sd-daemon(3)). What a shell redirects only inherits the
// variable.
Priorities prioritiesOfStandardError() {
  const char* journal = std::getenv("JOURNAL_STREAM");
  struct stat info = {};
  if (journal == nullptr || ::fstat(STDERR_FILENO, &info) != 0) return Priorities::kNone;
  return support::strCat(info.st_dev, ":", info.st_ino) == journal ? Priorities::kPrefixed
                                                                   : Priorities::kNone;
}

std::string_view priorityOf(LogLevel level) {
  switch (level) {
    case LogLevel::kError:
      return "<3>";
    case LogLevel::kWarning:
      return "<4>";
    case LogLevel::kInfo:
      return "<6>";
    default:
      return "<7>";
  }
}

struct State {
  LogSettings settings;
  Priorities priorities = Priorities::kNone;
  std::shared_ptr<spdlog::logger> logger;
};

// What is in force. Never destroyed: threads may log until the very end.
Published<State>& state() {
  static auto* const instance = new Published<State>(std::make_shared<const State>(
      State{{}, prioritiesOfStandardError(), makeLogger(standardError(), LogLevel::kInfo)}));
  return *instance;
}

constexpr size_t kMostLast = 32;
constexpr size_t kMostOfLine = 1024;

struct Memory {
  std::mutex mutex;
  Problems problems;
};

// Never destroyed, as the state.
Memory& memory() {
  static Memory* const instance = new Memory;
  return *instance;
}

void remember(LogLevel level, std::string_view message, const std::vector<LogField>& fields) {
  std::string line =
      formatLogLine(LogFormat::kText, level, support::nowNanoseconds(), message, fields);
  if (line.size() > kMostOfLine) line = support::validUtf8(line.substr(0, kMostOfLine));
  Memory& kept = memory();
  const std::lock_guard lock(kept.mutex);
  ++(level == LogLevel::kError ? kept.problems.errors : kept.problems.warnings);
  std::vector<std::string>& last = kept.problems.last;
  if (last.size() == kMostLast) last.erase(last.begin());
  last.push_back(std::move(line));
}

}  // namespace

Problems problems() {
  Memory& kept = memory();
  const std::lock_guard lock(kept.mutex);
  return kept.problems;
}

absl::Status setUpLog(const LogSettings& settings) {
  spdlog::sink_ptr sink;
  try {
    sink = settings.file.empty()
               ? standardError()
               : std::make_shared<spdlog::sinks::basic_file_sink_mt>(settings.file);
  } catch (const spdlog::spdlog_ex& error) {
    return absl::FailedPreconditionError(
        support::strCat("open the log file ", settings.file, ": ", error.what()));
  }
  const Priorities priorities =
      settings.file.empty() ? prioritiesOfStandardError() : Priorities::kNone;
  state().store(std::make_shared<const State>(
      State{settings, priorities, makeLogger(std::move(sink), settings.level)}));
  return absl::OkStatus();
}

absl::Status resumeLog(LogLevel level) {
  LogSettings settings = state().load()->settings;
  settings.level = level;
  return setUpLog(settings);
}

std::string formatLogLine(LogFormat format, LogLevel level, int64_t nanoseconds,
                          std::string_view message, const std::vector<LogField>& fields) {
  const std::string time = support::formatRfc3339Nano(nanoseconds);
  if (format == LogFormat::kJson) {
    boost::json::object line{
        {"time", time}, {"level", levelName(level)}, {"message", support::validUtf8(message)}};
    for (const auto& [key, value] : fields) {
      // A field must not pass for the level, or for another one's.
      std::string name = keyOf(key);
      while (line.contains(name)) name += '_';
      line[name] = support::validUtf8(value);
    }
    return boost::json::serialize(line);
  }
  std::string line = support::strCat("time=", time, " level=", levelName(level), " msg=");
  appendText(line, support::validUtf8(message));
  for (const auto& [key, value] : fields) {
    line += support::strCat(" ", keyOf(key), "=");
    appendText(line, support::validUtf8(value));
  }
  return line;
}

bool isLogged(LogLevel level) {
  return state().load()->logger->should_log(spdlogLevel(level));
}

void log(LogLevel level, std::string_view message, const std::vector<LogField>& fields) {
  if (level >= LogLevel::kWarning) remember(level, message, fields);
  const std::shared_ptr<const State> current = state().load();
  if (!current->logger->should_log(spdlogLevel(level))) return;
  std::string line =
      formatLogLine(current->settings.format, level, support::nowNanoseconds(), message, fields);
  if (current->priorities == Priorities::kPrefixed) line.insert(0, priorityOf(level));
  current->logger->log(spdlogLevel(level), line);
}

}  // namespace berth::common
