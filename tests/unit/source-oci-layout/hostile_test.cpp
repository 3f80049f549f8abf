// Folders and archives of strangers.
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.hpp"

namespace berth::layout {
namespace {

using ::testing::HasSubstr;

TEST_F(LayoutTest, WhatIsNoSetIsRefused) {
  EXPECT_THAT(refusal(directory_ / "missing", absl::StatusCode::kNotFound), HasSubstr("missing"));
  EXPECT_THAT(refusal(folder("empty", {{"readme", "x"}})), HasSubstr("neither an OCI layout"));
  write(directory_ / "text", std::string(3000, 'x'));
  EXPECT_THAT(refusal(directory_ / "text"), HasSubstr("not a tar header"));
  write(directory_ / "nothing", "");
  EXPECT_THAT(refusal(directory_ / "nothing"), HasSubstr("neither an OCI layout"));
  ASSERT_EQ(::mkfifo((directory_ / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(refusal(directory_ / "pipe"), HasSubstr("neither a folder nor a regular file"));
}

TEST_F(LayoutTest, ACompressedArchiveIsRefusedByName) {
  write(directory_ / "set.tar.gz", "\x1f\x8b\x08 and more");
  EXPECT_THAT(refusal(directory_ / "set.tar.gz"), HasSubstr("compressed with gzip"));
  write(directory_ / "set.tar.zst", "\x28\xb5\x2f\xfd and more");
  EXPECT_THAT(refusal(directory_ / "set.tar.zst"), HasSubstr("compressed with zstd"));
}

TEST_F(LayoutTest, ATruncatedArchiveIsRefusedWhereverItEnds) {
  const std::string path = archive("set.tar", layout("a.example/app:1", std::string(5000, 'x')));
  const auto whole = std::filesystem::file_size(path);
  for (const uintmax_t size : {whole / 2, whole / 4, uintmax_t{700}}) {
    std::filesystem::resize_file(path, size);
    EXPECT_FALSE(ImageSet::open(path, always).ok()) << size;
  }
}

TEST_F(LayoutTest, LinksOfAFolderLeadNowhereOutsideOfIt) {
  write(directory_ / "secret", R"({"schemaVersion": 2, "manifests": []})");
  const std::string path = folder("set", {{"oci-layout", R"({"imageLayoutVersion": "1.0.0"})"}});
  for (const char* target : {"../secret", "/../secret"}) {
    std::filesystem::remove(path + "/index.json");
    ASSERT_EQ(::symlink(target, (path + "/index.json").c_str()), 0);
    EXPECT_FALSE(ImageSet::open(path, always).ok()) << target;
  }
  std::filesystem::remove(path + "/index.json");
  ASSERT_EQ(::symlink((directory_ / "secret").c_str(), (path + "/index.json").c_str()), 0);
  EXPECT_FALSE(ImageSet::open(path, always).ok());
}

TEST_F(LayoutTest, APipeInAFolderIsNotWaitedFor) {
  const std::string path = folder("set", {{"oci-layout", R"({"imageLayoutVersion": "1.0.0"})"}});
  ASSERT_EQ(::mkfifo((path + "/index.json").c_str(), 0600), 0);
  EXPECT_THAT(refusal(path), HasSubstr("no regular file"));
}

TEST_F(LayoutTest, LinksOfAnArchiveInACircleEnd) {
  Tree tree = saved("busybox:1");
  tree.pop_back();
  const std::string path = archive("set.tar", tree, [](untar::TarWriter& tar) {
    addLink(tar, untar::EntryType::kSymlink, "1/layer.tar", "../2/layer.tar");
    addLink(tar, untar::EntryType::kSymlink, "2/layer.tar", "../1/layer.tar");
  });
  EXPECT_THAT(refusal(path), HasSubstr("without an end"));
}

TEST_F(LayoutTest, LinksOfAnArchiveLeadNowhereOutsideOfIt) {
  Tree tree = saved("busybox:1");
  tree.pop_back();
  for (const char* target : {"/etc/passwd", "../../../../../etc/passwd"}) {
    const std::string path = archive("set.tar", tree, [&](untar::TarWriter& tar) {
      addLink(tar, untar::EntryType::kSymlink, "1/layer.tar", target);
    });
    EXPECT_THAT(refusal(path), HasSubstr("has no file"));
  }
}

TEST_F(LayoutTest, AnArchiveThatChangesIsNoticed) {
  const std::string path = archive("set.tar", layout("a.example/app:1"));
  const auto set = open(path);
  archive("other.tar", layout("a.example/app:1", "another layer, of another length"));
  std::filesystem::rename(directory_ / "other.tar", path);
  EXPECT_THAT(blob(*set, digestOf("the layer")), HasSubstr("has changed"));
}

TEST_F(LayoutTest, ADocumentWithAnotherContentIsRefused) {
  Tree tree = layout("a.example/app:1");
  tree[2].second += " ";
  const auto document = open(folder("set", tree))->find("a.example/app:1");
  EXPECT_TRUE(absl::IsDataLoss(document.status())) << document.status();
}

TEST_F(LayoutTest, WrongIndexesAreRefused) {
  const auto refused = [this](const std::string& index) {
    Tree tree = layout("a.example/app:1");
    tree[1].second = index;
    return refusal(folder("set", tree));
  };
  EXPECT_THAT(refused("["), HasSubstr("index.json"));
  EXPECT_THAT(refused("[]"), HasSubstr("manifests"));
  EXPECT_THAT(refused("{}"), HasSubstr("manifests"));
  EXPECT_THAT(refused(R"({"manifests": [7]})"), HasSubstr("manifests[0]"));
  EXPECT_THAT(refused(R"({"manifests": [{"digest": "sha256:../../../../etc/passwd"}]})"),
              HasSubstr("manifests[0].digest"));
  EXPECT_THAT(refused(std::string(1000, '[')), HasSubstr("index.json"));
}

TEST_F(LayoutTest, ALayoutOfAnotherVersionIsRefused) {
  Tree tree = layout("a.example/app:1");
  tree[0].second = R"({"imageLayoutVersion": "2.0.0"})";
  EXPECT_THAT(refusal(folder("set", tree)), HasSubstr("2.0.0"));
}

TEST_F(LayoutTest, HugeDocumentsAreNotReadIntoMemory) {
  Tree tree = layout("a.example/app:1");
  const std::string path = folder("set", tree);
  std::filesystem::resize_file(path + "/index.json", uintmax_t{1} << 40);
  EXPECT_THAT(refusal(path, absl::StatusCode::kResourceExhausted), HasSubstr("index.json"));
}

TEST_F(LayoutTest, WrongDockerArchivesAreRefused) {
  const auto refused = [this](size_t file, const std::string& content) {
    Tree tree = saved("busybox:1");
    tree[file].second = content;
    return refusal(archive("set.tar", tree));
  };
  EXPECT_THAT(refused(0, "[7]"), HasSubstr("image 1"));
  EXPECT_THAT(refused(0, R"([{"Config": "no.json", "Layers": []}])"), HasSubstr("no.json"));
  EXPECT_THAT(refused(1, "{}"), HasSubstr("1 layers, its configuration 0"));
  EXPECT_THAT(refused(1, R"({"rootfs": {"diff_ids": ["sha256:../x"]}})"), HasSubstr("diff ID"));
  EXPECT_THAT(refused(1, "no JSON"), HasSubstr("configuration"));
}

TEST_F(LayoutTest, TheNamesInADockerArchiveAreBounded) {
  const auto named = [this](size_t images, size_t names) {
    std::string tags;
    for (size_t i = 0; i < names; ++i) tags += strCat(i == 0 ? "" : ",", "\"a.example/a:", i, "\"");
    std::string list;
    for (size_t i = 0; i < images; ++i)
      list += strCat(i == 0 ? "" : ",", R"({"Config": "c.json", "RepoTags": [)", tags,
                     R"(], "Layers": ["1/layer.tar"]})");
    Tree tree = saved("busybox:1");
    tree[0].second = strCat("[", list, "]");
    return archive("set.tar", tree);
  };
  EXPECT_NE(open(named(10, 1000)), nullptr);
  EXPECT_THAT(refusal(named(10, 1001), absl::StatusCode::kResourceExhausted),
              HasSubstr("more names than the limit of 10000"));
}

TEST_F(LayoutTest, ALargeDockerArchiveIsGivenUpBetweenItsImages) {
  Tree tree = saved("busybox:1");
  std::string list;
  for (int i = 0; i < 100; ++i)
    list += strCat(i == 0 ? "" : ",", R"({"Config": "c.json", "Layers": ["1/layer.tar"]})");
  tree[0].second = strCat("[", list, "]");
  const std::string path = folder("set", tree);
  int asked = 0;
  const auto set = ImageSet::open(
      path, [&] { return ++asked < 50 ? absl::OkStatus() : absl::CancelledError("enough"); });
  EXPECT_TRUE(absl::IsCancelled(set.status())) << set.status();
}

TEST_F(LayoutTest, ACallThatIsGivenUpEnds) {
  const std::string path = archive("set.tar", layout("a.example/app:1"));
  const auto set = ImageSet::open(path, [] { return absl::CancelledError("enough"); });
  EXPECT_TRUE(absl::IsCancelled(set.status())) << set.status();
}

}  // namespace
}  // namespace berth::layout
