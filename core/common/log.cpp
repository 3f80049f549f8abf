#include "common/log.hpp"

#include <atomic>
#include <memory>

#include <boost/json.hpp>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "berth/support/clock.hpp"
#include "berth/support/status.hpp"

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

// Quotes a value when it would not read as one word.
void appendText(std::string& line, std::string_view value) {
  const bool plain =
      !value.empty() && value.find_first_of(" \"=\n\t\r\\") == std::string_view::npos;
  if (plain) {
    line += value;
  } else {
    line += boost::json::serialize(boost::json::string(value));
  }
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

struct State {
  LogSettings settings;
  std::shared_ptr<spdlog::logger> logger;
};

// What is in force. Never destroyed: threads may log until the very end.
std::atomic<std::shared_ptr<const State>>& state() {
  static auto* const instance = new std::atomic<std::shared_ptr<const State>>(
      std::make_shared<const State>(State{{}, makeLogger(standardError(), LogLevel::kInfo)}));
  return *instance;
}

}  // namespace

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
  state() =
      std::make_shared<const State>(State{settings, makeLogger(std::move(sink), settings.level)});
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
    boost::json::object line{{"time", time}, {"level", levelName(level)}, {"message", message}};
    for (const auto& [key, value] : fields) line[key] = value;
    return boost::json::serialize(line);
  }
  std::string line = support::strCat("time=", time, " level=", levelName(level), " msg=");
  appendText(line, message);
  for (const auto& [key, value] : fields) {
    line += ' ';
    line += key;
    line += '=';
    appendText(line, value);
  }
  return line;
}

void log(LogLevel level, std::string_view message, const std::vector<LogField>& fields) {
  const std::shared_ptr<const State> current = state().load();
  if (!current->logger->should_log(spdlogLevel(level))) return;
  current->logger->log(
      spdlogLevel(level),
      formatLogLine(current->settings.format, level, support::nowNanoseconds(), message, fields));
}

}  // namespace berth::common
