#include "records.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

#include "test_paths.hpp"

namespace berth::cni {
namespace {

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

TEST_F(RecordsTest, TheAttachmentOf01IsRead) {
  const Records old(std::string(test_paths::fixtures) + "/0.1/cni");
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

// What a newer plugin wrote is not misread: such a pod is detached as the configuration says.
TEST_F(RecordsTest, AnotherFormatIsNotMisread) {
  AttachmentRecord written = record();
  ASSERT_TRUE(records().begin(written).ok());
  std::string text = written.encode();
  const size_t at = text.find("\"format\":1");
  ASSERT_NE(at, std::string::npos) << text;
  text.replace(at, 10, "\"format\":2");
  std::ofstream(file("pod-1@eth0.attachment")) << text;
  const absl::Status other = records().load("pod-1", "eth0").status();
  EXPECT_EQ(other.code(), absl::StatusCode::kDataLoss) << other;
  EXPECT_NE(other.message().find("format 2"), absl::string_view::npos) << other;
  EXPECT_THAT(*records().list(), SizeIs(1)) << "it is still there to be detached";
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
  std::ofstream(file("pod-1@eth0.attachment")) << R"({"format": 99})";
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
  EXPECT_THAT(*records().findDamages(), IsEmpty());
  std::ofstream(file("pod-1@eth0.attachment")) << "{ no record";
  const auto damages = *records().findDamages();
  ASSERT_THAT(damages, SizeIs(1));
  EXPECT_EQ(damages[0].path, file("pod-1@eth0.attachment"));
  // As long as the attachment may be there it stays.
  EXPECT_EQ(*records().setAside(damages[0]), "");
  EXPECT_THAT(*records().list(), SizeIs(1));
  ASSERT_TRUE(records().remove("pod-1", "eth0").ok());
  EXPECT_THAT(*records().list(), IsEmpty());
  EXPECT_THAT(*records().findDamages(), IsEmpty());
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
  EXPECT_THAT(*records().findDamages(), IsEmpty());
  std::ofstream(file("pod-1@eth0.result")) << "[1";
  const auto damages = *records().findDamages();
  ASSERT_THAT(damages, SizeIs(1));
  EXPECT_THAT(*records().setAside(damages[0]), ::testing::EndsWith("-pod-1@eth0.result"));
  EXPECT_THAT(*records().findDamages(), IsEmpty());
  EXPECT_FALSE(records().load("pod-1", "eth0")->result.has_value());
  ASSERT_TRUE(records().remove("pod-1", "eth0").ok());
  EXPECT_THAT(*records().aside().list(), SizeIs(1));
}

}  // namespace
}  // namespace berth::cni
