// The container log's records.
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/streams/cri_log.hpp"

namespace berth::streams {
namespace {

using testing::ElementsAre;

constexpr int64_t kNow = 1714979289'000000010;  // 2024-05-06T07:08:09.000000010Z
constexpr char kPrefix[] = "2024-05-06T07:08:09.000000010Z ";

std::string contentOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

class CriLog : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "berth-log-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    ASSERT_EQ(file_.open(path()).code, Code::kOk);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string path() const { return directory_ + "/log"; }
  // "stdout F text", …
  std::vector<std::string> records(const std::string& of = {}) const {
    std::vector<std::string> result;
    std::istringstream lines(contentOf(of.empty() ? path() : of));
    for (std::string line; std::getline(lines, line);) {
      EXPECT_TRUE(line.starts_with(kPrefix)) << line;
      result.push_back(line.substr(sizeof kPrefix - 1));
    }
    return result;
  }

  std::string directory_;
  LogFile file_;
  LogStream out_{file_, LogStream::Kind::kStdout};
  LogStream err_{file_, LogStream::Kind::kStderr};
};

TEST_F(CriLog, LinesOfBothStreams) {
  out_.write("one\ntwo\n\n", kNow);
  err_.write("three\n", kNow);
  EXPECT_THAT(records(),
              ElementsAre("stdout F one", "stdout F two", "stdout F ", "stderr F three"));
}

TEST_F(CriLog, ALineInPiecesIsOneRecord) {
  out_.write("a", kNow);
  out_.write("b", kNow);
  err_.write("other\n", kNow);
  EXPECT_THAT(records(), ElementsAre("stderr F other"));
  out_.write("c\nd", kNow);
  EXPECT_THAT(records(), ElementsAre("stderr F other", "stdout F abc"));
}

TEST_F(CriLog, TheRestIsAPart) {
  out_.write("done\nrest", kNow);
  out_.flush(kNow);
  out_.flush(kNow);
  EXPECT_THAT(records(), ElementsAre("stdout F done", "stdout P rest"));
}

TEST_F(CriLog, LongLinesAreSplit) {
  const size_t max = LogStream::kMaxLine;
  for (const size_t step : {size_t{1000}, max, 3 * max}) {
    std::filesystem::resize_file(path(), 0);
    const std::string line(2 * max + 5, 'x');
    const std::string text = line + "\n";
    for (size_t at = 0; at < text.size(); at += step) out_.write(text.substr(at, step), kNow);
    EXPECT_THAT(records(), ElementsAre("stdout P " + line.substr(0, max),
                                       "stdout P " + line.substr(0, max), "stdout F xxxxx"))
        << step;
  }
}

TEST_F(CriLog, ALineOfExactlyTheLimitIsWhole) {
  const std::string line(LogStream::kMaxLine, 'x');
  out_.write(line, kNow);
  EXPECT_TRUE(records().empty());
  out_.write("\n", kNow);
  out_.write(line + "\n", kNow);
  EXPECT_THAT(records(), ElementsAre("stdout F " + line, "stdout F " + line));
}

TEST_F(CriLog, AnyCutOfTheInputGivesTheSameLines) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += std::string(static_cast<size_t>(i % 50), 'a') + "\n";
  text += std::string(40000, 'b') + "\n";
  std::mt19937 random(1);
  for (int round = 0; round < 20; ++round) {
    std::filesystem::resize_file(path(), 0);
    for (size_t at = 0; at < text.size();) {
      const size_t length = 1 + random() % 5000;
      out_.write(std::string_view(text).substr(at, length), kNow);
      at += length;
    }
    std::string joined;
    for (const std::string& record : records()) {
      joined += record.substr(9);
      if (record[7] == 'F') joined += '\n';
    }
    ASSERT_EQ(joined, text);
  }
}

TEST_F(CriLog, RotationByReopening) {
  out_.write("before\nhalf", kNow);
  const std::string old = path() + ".1";
  std::filesystem::rename(path(), old);
  out_.write(" a line\n", kNow);
  ASSERT_EQ(file_.open(path()).code, Code::kOk);
  out_.write("after\n", kNow);
  EXPECT_THAT(records(old), ElementsAre("stdout F before", "stdout F half a line"));
  EXPECT_THAT(records(), ElementsAre("stdout F after"));
}

TEST_F(CriLog, AFailedOpenKeepsTheOldFile) {
  EXPECT_NE(file_.open(directory_ + "/none/log").code, Code::kOk);
  EXPECT_EQ(file_.path(), path());
  out_.write("kept\n", kNow);
  EXPECT_THAT(records(), ElementsAre("stdout F kept"));
}

TEST_F(CriLog, AFullDiskDropsAndCounts) {
  ASSERT_EQ(file_.open("/dev/full").code, Code::kOk);
  out_.write("lost\n", kNow);
  EXPECT_EQ(file_.droppedBytes(), std::string("stdout F lost\n").size() + sizeof kPrefix - 1);
  ASSERT_EQ(file_.open(path()).code, Code::kOk);
  out_.write("back\n", kNow);
  EXPECT_THAT(records(), ElementsAre("stdout F back"));
}

TEST_F(CriLog, NoPathDiscards) {
  ASSERT_EQ(file_.open("").code, Code::kOk);
  out_.write("gone\nhalf", kNow);
  out_.flush(kNow);
  EXPECT_EQ(file_.droppedBytes(), 0u);
  EXPECT_TRUE(records().empty());
}

TEST(FormatTime, KnownDates) {
  const std::pair<int64_t, const char*> cases[] = {
      {0, "1970-01-01T00:00:00.000000000Z"},
      {951782400'000000000, "2000-02-29T00:00:00.000000000Z"},
      {951868799'999999999, "2000-02-29T23:59:59.999999999Z"},
      {951868800'000000000, "2000-03-01T00:00:00.000000000Z"},
      {1709251199'500000000, "2024-02-29T23:59:59.500000000Z"},
      {4107542400'000000000, "2100-03-01T00:00:00.000000000Z"},
  };
  for (const auto& [time, text] : cases) {
    char out[kTimeLength];
    formatTime(time, out);
    EXPECT_EQ(std::string(out, kTimeLength), text);
  }
}

}  // namespace
}  // namespace berth::streams
