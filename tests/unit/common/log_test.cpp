#include "common/log.hpp"

#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/json.hpp"

namespace berth::common {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr int64_t kTime = 1'700'000'000'123'456'789;
constexpr const char* kTimeText = "2023-11-14T22:13:20.123456789Z";

std::string text(std::string_view message, const std::vector<LogField>& fields = {}) {
  std::string line = formatLogLine(LogFormat::kText, LogLevel::kWarning, kTime, message, fields);
  const std::string start = std::string("time=") + kTimeText + " level=warn msg=";
  EXPECT_THAT(line, StartsWith(start));
  return line.substr(start.size());
}

boost::json::object json(std::string_view message, const std::vector<LogField>& fields) {
  const std::string line =
      formatLogLine(LogFormat::kJson, LogLevel::kError, kTime, message, fields);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  auto parsed = support::parseJsonObject(line, "a line of the log");
  EXPECT_TRUE(parsed.ok()) << parsed.status() << ": " << line;
  return parsed.ok() ? *parsed : boost::json::object();
}

TEST(LogText, WordsStandAsTheyAre) {
  EXPECT_EQ(text("serving", {{"socket", "/run/berth.sock"}, {"n", "7"}}),
            "serving socket=/run/berth.sock n=7");
  EXPECT_EQ(text("grün", {{"k", "é✓"}}), "grün k=é✓");
}

TEST(LogText, WhatIsNoWordIsQuoted) {
  EXPECT_EQ(
      text("two words", {{"empty", ""}, {"quote", "a\"b"}, {"equals", "a=b"}, {"back", "\\"}}),
      R"("two words" empty="" quote="a\"b" equals="a=b" back="\\")");
}

// Whoever chooses a value must not be able to write a line, or an instruction for a terminal.
TEST(LogText, NobodyForgesLines) {
  EXPECT_EQ(text("a\ntime=0 level=error msg=forged", {{"k", "x\r\ty"}}),
            R"("a\ntime=0 level=error msg=forged" k="x\u000d\u0009y")");
  EXPECT_EQ(text("\x1b[31m"), R"("\u001b[31m")");
  EXPECT_EQ(text("del\x7f"), R"("del\u007f")");
  EXPECT_EQ(text("csi\xC2\x9B"), R"("csi\u009b")");
  EXPECT_EQ(text("bytes\xFF"), "bytes\uFFFD");
  EXPECT_EQ(text("m", {{"a b\nlevel", "v"}, {"", "w"}}), "m a_b_level=v _=w");
}

TEST(LogJson, EachLineIsAnObject) {
  const auto line = json("a\n\"b\" \xFF", {{"plugin", "runc"}, {"error", "x=1\ny"}});
  EXPECT_EQ(line.at("time"), kTimeText);
  EXPECT_EQ(line.at("level"), "error");
  EXPECT_EQ(line.at("message"), "a\n\"b\" \uFFFD");
  EXPECT_EQ(line.at("plugin"), "runc");
  EXPECT_EQ(line.at("error"), "x=1\ny");
}

TEST(LogJson, AFieldDoesNotPassForTheLevel) {
  const auto line = json("m", {{"level", "info"}, {"plugin", "a"}, {"plugin", "b"}});
  EXPECT_EQ(line.at("level"), "error");
  EXPECT_EQ(line.at("level_"), "info");
  EXPECT_EQ(line.at("plugin"), "a");
  EXPECT_EQ(line.at("plugin_"), "b");
}

class LogFile : public ::testing::Test {
 protected:
  ~LogFile() override { (void)setUpLog({}); }
  std::string content(const std::string& name) const {
    std::ifstream stream(directory_ / name);
    std::ostringstream all;
    all << stream.rdbuf();
    return all.str();
  }
  berth::testing::TemporaryDirectory directory_;
};

TEST_F(LogFile, TakesMessagesOfTheLevelAndAboveAtOnce) {
  ASSERT_TRUE(setUpLog({LogLevel::kInfo, LogFormat::kText, directory_ / "log"}).ok());
  logDebug("too fine");
  logInfo("first", {{"k", "v"}});
  EXPECT_THAT(content("log"), EndsWith(" level=info msg=first k=v\n"));
  EXPECT_THAT(content("log"), Not(HasSubstr("too fine")));
}

TEST_F(LogFile, IsOpenedAnewWithAnotherLevel) {
  ASSERT_TRUE(setUpLog({LogLevel::kInfo, LogFormat::kJson, directory_ / "log"}).ok());
  logInfo("first");
  std::filesystem::rename(directory_ / "log", directory_ / "moved");
  ASSERT_TRUE(resumeLog(LogLevel::kDebug).ok());
  logDebug("second");
  EXPECT_THAT(content("moved"), HasSubstr("first"));
  EXPECT_THAT(content("moved"), Not(HasSubstr("second")));
  EXPECT_THAT(content("log"), HasSubstr("\"message\":\"second\""));
}

// Standard error, as the service manager connects it.
class LogOfAService : public LogFile {
 protected:
  LogOfAService() : before_(::dup(STDERR_FILENO)) {
    const int file = ::open((directory_ / "journal").c_str(), O_WRONLY | O_CREAT, 0600);
    ::dup2(file, STDERR_FILENO);
    ::close(file);
  }
  ~LogOfAService() override {
    ::unsetenv("JOURNAL_STREAM");
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
  }
  // As JOURNAL_STREAM has it.
  static std::string nameOf(const std::string& path) {
    struct stat info = {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0);
    return std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
  }
  const int before_;
};

TEST_F(LogOfAService, HasPrioritiesWhereItGoesToTheJournal) {
  ::setenv("JOURNAL_STREAM", nameOf(directory_ / "journal").c_str(), 1);
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    ASSERT_TRUE(setUpLog({LogLevel::kDebug, format, ""}).ok());
    logError("first");
    logWarning("second");
    logInfo("third");
    logDebug("fourth");
  }
  std::istringstream lines(content("journal"));
  std::string found;
  for (std::string line; std::getline(lines, line);) found += line.substr(0, 4) + " ";
  EXPECT_EQ(found, R"(<3>t <4>t <6>t <7>t <3>{ <4>{ <6>{ <7>{ )");
}

TEST_F(LogOfAService, HasNoneWhereItGoesElsewhere) {
  ::setenv("JOURNAL_STREAM", nameOf(directory_.path()).c_str(), 1);
  ASSERT_TRUE(setUpLog({}).ok());
  logError("redirected");
  ::setenv("JOURNAL_STREAM", nameOf(directory_ / "journal").c_str(), 1);
  ASSERT_TRUE(setUpLog({LogLevel::kInfo, LogFormat::kText, directory_ / "log"}).ok());
  logError("to a file");
  EXPECT_THAT(content("journal"), StartsWith("time="));
  EXPECT_THAT(content("log"), StartsWith("time="));
}

TEST_F(LogFile, ThatCannotBeOpenedIsRefusedAndTheOldOneGoesOn) {
  ASSERT_TRUE(setUpLog({LogLevel::kInfo, LogFormat::kText, directory_ / "log"}).ok());
  const absl::Status refused = setUpLog({LogLevel::kInfo, LogFormat::kText, directory_.path()});
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr(directory_.path()));
  logInfo("still there");
  EXPECT_THAT(content("log"), HasSubstr("still there"));
}

}  // namespace
}  // namespace berth::common
