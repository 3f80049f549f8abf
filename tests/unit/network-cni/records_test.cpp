#include "records.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/resource.h>

#include <gmock/gmock.h>

#include "../support/recorded_versions.hpp"
#include "berth/support/files.hpp"

namespace berth::cni {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RecordsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/berth-cni-records-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    directory_ = pattern;
    ASSERT_TRUE(records().prepare().ok());
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  Records records() const { return Records(directory_ + "/cache"); }
  std::string file(const std::string& name) const { return directory_ + "/cache/" + name; }

  static AttachmentRecord record() {
    return {.pod = "pod-1",
            .interface = "eth0",
            .namespacePath = "/run/netns/pod-1",
            .args = "IgnoreUnknown=1",
            .capabilities = {{"mac", "02:00:00:00:00:01"}},
            .network = *parseNetwork(R"({"cniVersion": "1.0.0", "name": "net",
                                         "plugins": [{"type": "bridge", "mtu": 1450}]})",
                                     "net", FileKind::kList),
            .result = std::nullopt};
  }

 private:
  std::string directory_;
};

TEST_F(RecordsTest, KeepsEverything) {
  AttachmentRecord written = record();
  ASSERT_TRUE(records().begin(written).ok());
  auto read = records().load("pod-1", "eth0");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_FALSE(read->result.has_value());
  EXPECT_EQ(read->encode(), written.encode());

  written.result = boost::json::object{{"cniVersion", "1.0.0"}};
  ASSERT_TRUE(records().complete(written).ok());
  read = records().load("pod-1", "eth0");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->encode(), written.encode());
}

class RecordFixtures : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Versions, RecordFixtures,
                         ::testing::ValuesIn(testing::recordedVersions()));

TEST_P(RecordFixtures, TheAttachmentIsRead) {
  const Records old(testing::fixtureOf(GetParam(), "cni"));
  const auto names = old.list();
  ASSERT_TRUE(names.ok()) << names.status();
  ASSERT_THAT(*names, SizeIs(1));
  const auto read = old.load((*names)[0].pod, (*names)[0].interface);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->namespacePath, "/run/netns/berth-" + (*names)[0].pod);
  EXPECT_FALSE(read->network.plugins.empty());
  ASSERT_TRUE(read->result.has_value());
  EXPECT_TRUE(read->result->contains("ips"));
}

// What a newer version wrote is not misread, and no damage: it stays for that version.
TEST_F(RecordsTest, WhatANewerVersionWroteIsLeftAlone) {
  for (const auto& [known, newer] : {std::pair(R"("format":1)", R"("format":2)"),
                                     {R"("cniVersion":"1.0.0")", R"("cniVersion":"1.2.0")"}}) {
    AttachmentRecord written = record();
    written.result = boost::json::object{};
    ASSERT_TRUE(records().begin(written).ok());
    ASSERT_TRUE(records().complete(written).ok());
    std::string text = record().encode();
    const size_t at = text.find(known);
    ASSERT_NE(at, std::string::npos) << text;
    text.replace(at, std::string_view(known).size(), newer);
    std::ofstream(file("pod-1@eth0.attachment")) << text;
    const absl::Status other = records().load("pod-1", "eth0").status();
    EXPECT_TRUE(absl::IsFailedPrecondition(other)) << other;
    EXPECT_THAT(std::string(other.message()), HasSubstr("newer"));
    EXPECT_EQ(records().remove("pod-1", "eth0"), other);
    EXPECT_EQ(support::readFile(file("pod-1@eth0.attachment")).value_or(""), text);
    EXPECT_TRUE(std::filesystem::exists(file("pod-1@eth0.result")));
    const auto unreadable = *records().findUnreadable();
    ASSERT_THAT(unreadable, SizeIs(1));
    EXPECT_EQ(unreadable[0].why, other) << "not called damaged";
  }
}

// A shortage tells nothing of what there is.
TEST_F(RecordsTest, WhatCannotBeReadIsNoDamage) {
  AttachmentRecord written = record();
  written.result = boost::json::object{};
  ASSERT_TRUE(records().begin(written).ok());
  ASSERT_TRUE(records().complete(written).ok());
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  rlimit none = limit;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const absl::Status read = records().load("pod-1", "eth0").status();
  const absl::Status removed = records().remove("pod-1", "eth0");
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_TRUE(absl::IsResourceExhausted(read)) << read;
  EXPECT_TRUE(absl::IsResourceExhausted(removed)) << removed;
  const auto kept = records().load("pod-1", "eth0");
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_TRUE(kept->result.has_value());
  EXPECT_THAT(*records().aside().list(), IsEmpty());
}

// It would be taken for an attachment that was cut off, and what its plugins run for left over.
TEST_F(RecordsTest, AResultThatCannotBeReadIsNotLeftOut) {
  ASSERT_TRUE(records().begin(record()).ok());
  std::filesystem::create_symlink("pod-1@eth0.result", file("pod-1@eth0.result"));  // ELOOP
  const absl::Status read = records().load("pod-1", "eth0").status();
  EXPECT_FALSE(read.ok() || isLost(read)) << read;
  EXPECT_THAT(std::string(read.message()), HasSubstr("pod-1@eth0.result"));
}

TEST_F(RecordsTest, BeginForgetsAnEarlierResult) {
  AttachmentRecord written = record();
  ASSERT_TRUE(records().begin(written).ok());
  written.result = boost::json::object{};
  ASSERT_TRUE(records().complete(written).ok());
  ASSERT_TRUE(records().begin(record()).ok());
  EXPECT_FALSE(records().load("pod-1", "eth0")->result.has_value());
}

TEST_F(RecordsTest, ListsAndRemoves) {
  ASSERT_TRUE(records().begin(record()).ok());
  const auto names = records().list();
  ASSERT_TRUE(names.ok());
  ASSERT_THAT(*names, SizeIs(1));
  EXPECT_EQ(names->front().pod, "pod-1");
  EXPECT_EQ(names->front().interface, "eth0");
  EXPECT_TRUE(records().remove("pod-1", "eth0").ok());
  EXPECT_TRUE(records().remove("pod-1", "eth0").ok());
  EXPECT_THAT(*records().list(), IsEmpty());
  EXPECT_TRUE(absl::IsNotFound(records().load("pod-1", "eth0").status()));
}

TEST_F(RecordsTest, TellsADamagedRecordFromAMissingOne) {
  ASSERT_TRUE(records().begin(record()).ok());
  std::ofstream(file("pod-1@eth0.attachment")) << "{\"format\": 1, ";
  EXPECT_TRUE(absl::IsDataLoss(records().load("pod-1", "eth0").status()));
  std::ofstream(file("pod-1@eth0.attachment")) << R"({"format": 0})";
  EXPECT_TRUE(absl::IsDataLoss(records().load("pod-1", "eth0").status()));
  std::filesystem::remove(file("pod-1@eth0.attachment"));
  std::filesystem::create_directory(file("pod-1@eth0.attachment"));
  EXPECT_TRUE(absl::IsDataLoss(records().load("pod-1", "eth0").status()));
  EXPECT_THAT(*records().list(), SizeIs(1));
}

TEST_F(RecordsTest, LeavesADamagedResultOut) {
  ASSERT_TRUE(records().begin(record()).ok());
  std::ofstream(file("pod-1@eth0.result")) << "{";
  const auto read = records().load("pod-1", "eth0");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_FALSE(read->result.has_value());
}

TEST_F(RecordsTest, ClearsWhatACrashHasLeft) {
  std::ofstream(file(".pod-1@eth0.attachment.0123.tmp")) << "{";
  ASSERT_TRUE(records().prepare().ok());
  EXPECT_FALSE(std::filesystem::exists(file(".pod-1@eth0.attachment.0123.tmp")));
}

TEST_F(RecordsTest, ADamagedRecordIsSetAsideWhenItIsRemoved) {
  ASSERT_TRUE(records().begin(record()).ok());
  EXPECT_THAT(*records().findUnreadable(), IsEmpty());
  std::ofstream(file("pod-1@eth0.attachment")) << "{ no record";
  const auto unreadable = *records().findUnreadable();
  ASSERT_THAT(unreadable, SizeIs(1));
  EXPECT_EQ(unreadable[0].path, file("pod-1@eth0.attachment"));
  // As long as the attachment may be there it stays.
  EXPECT_EQ(*records().setAside(unreadable[0]), "");
  EXPECT_THAT(*records().list(), SizeIs(1));
  ASSERT_TRUE(records().remove("pod-1", "eth0").ok());
  EXPECT_THAT(*records().list(), IsEmpty());
  EXPECT_THAT(*records().findUnreadable(), IsEmpty());
  EXPECT_THAT(*records().aside().list(),
              ::testing::ElementsAre(::testing::EndsWith("-pod-1@eth0.attachment")));
}

TEST_F(RecordsTest, ADamagedResultIsSetAsideAtOnce) {
  AttachmentRecord written = record();
  ASSERT_TRUE(records().begin(written).ok());
  written.result = boost::json::object{{"cniVersion", "1.0.0"}};
  ASSERT_TRUE(records().complete(written).ok());
  // What a power cut leaves of it.
  std::ofstream(file("pod-1@eth0.result"), std::ios::trunc).close();
  EXPECT_THAT(*records().findUnreadable(), IsEmpty());
  std::ofstream(file("pod-1@eth0.result")) << "[1";
  const auto unreadable = *records().findUnreadable();
  ASSERT_THAT(unreadable, SizeIs(1));
  EXPECT_THAT(*records().setAside(unreadable[0]), ::testing::EndsWith("-pod-1@eth0.result"));
  EXPECT_THAT(*records().findUnreadable(), IsEmpty());
  EXPECT_FALSE(records().load("pod-1", "eth0")->result.has_value());
  ASSERT_TRUE(records().remove("pod-1", "eth0").ok());
  EXPECT_THAT(*records().aside().list(), SizeIs(1));
}

}  // namespace
}  // namespace berth::cni
