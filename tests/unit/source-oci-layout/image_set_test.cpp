// What each form of a folder or an archive is read as.
#include "image_set.hpp"

#include <boost/json.hpp>

#include "fixture.hpp"

namespace berth::layout {
namespace {

using ::testing::HasSubstr;
namespace json = boost::json;

constexpr const char* kName = "a.example/app:1";

// Both ways in which the same files may lie.
class EitherWay : public LayoutTest, public ::testing::WithParamInterface<const char*> {
 protected:
  std::string made(const Tree& tree) const {
    return GetParam() == std::string("folder") ? folder("set", tree) : archive("set.tar", tree);
  }
};
INSTANTIATE_TEST_SUITE_P(Files, EitherWay, ::testing::Values("folder", "archive"),
                         [](const auto& way) { return std::string(way.param); });

TEST_P(EitherWay, ALayoutsImageIsFoundByNameAndByDigest) {
  const auto set = open(made(layout(kName)));
  const std::string text = manifest("the layer");
  for (const std::string& reference :
       {std::string(kName), strCat("other.example/x@", digestOf(text))}) {
    const auto document = set->find(reference);
    ASSERT_TRUE(document.ok()) << document.status();
    EXPECT_EQ(document->bytes, text);
    EXPECT_EQ(document->digest, digestOf(text));
    EXPECT_EQ(document->mediaType, "application/vnd.oci.image.manifest.v1+json");
  }
  EXPECT_TRUE(absl::IsNotFound(set->find("a.example/app:2").status()));
  EXPECT_EQ(blob(*set, digestOf("the layer")), "the layer");
  EXPECT_EQ(blob(*set, digestOf("the layer"), 4), "layer");
  EXPECT_THAT(blob(*set, digestOf("another")), HasSubstr("NOT_FOUND"));
}

TEST_P(EitherWay, BlobsOfTheOtherAlgorithmLieInAFolderOfTheirOwn) {
  const auto wide = [](const std::string& bytes) { return digestOf(bytes, "sha512:"); };
  const std::string layer = "the layer";
  const std::string text =
      strCat(R"({"schemaVersion": 2, "config": {"digest": ")", wide("{}"),
             R"(", "size": 2}, "layers": [{"digest": ")", wide(layer), R"(", "size": 9}]})");
  const auto set =
      open(made({{"oci-layout", R"({"imageLayoutVersion": "1.0.0"})"},
                 {"index.json", index(strCat(R"({"digest": ")", wide(text), R"(", "size": )",
                                             text.size(), nameAnnotation(kName), "}"))},
                 {"blobs/sha512/" + wide(text).substr(7), text},
                 {"blobs/sha512/" + wide(layer).substr(7), layer},
                 {"blobs/sha512/" + wide("wrong").substr(7), "other"}}));
  ASSERT_NE(set, nullptr);
  EXPECT_EQ(wide(text).size(), 7u + 128);
  for (const std::string& reference : {std::string(kName), strCat("a.example/x@", wide(text))}) {
    const auto document = set->find(reference);
    ASSERT_TRUE(document.ok()) << document.status();
    EXPECT_EQ(document->digest, wide(text));
  }
  EXPECT_EQ(blob(*set, wide(layer)), layer);
  EXPECT_THAT(blob(*set, digestOf(layer)), HasSubstr("NOT_FOUND"));
  EXPECT_EQ(set->find(strCat("a.example/x@", wide("wrong"))).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST_P(EitherWay, EverythingIsAnIndexWithNames) {
  const Document all = open(made(layout("busybox:1")))->everything();
  EXPECT_EQ(all.digest, digestOf(all.bytes));
  const json::value index = json::parse(all.bytes);
  const json::object& entry = index.at("manifests").at(0).as_object();
  EXPECT_EQ(entry.at("digest").as_string(), digestOf(manifest("the layer")));
  EXPECT_EQ(entry.at("annotations").at("org.opencontainers.image.ref.name").as_string(),
            "docker.io/library/busybox:1");
}

TEST_P(EitherWay, WhatDockerSaveWroteGetsAManifest) {
  const auto set = open(made(saved("busybox:1")));
  const auto document = set->find("docker.io/library/busybox:1");
  ASSERT_TRUE(document.ok()) << document.status();
  const json::value text = json::parse(document->bytes);
  EXPECT_EQ(text.at("layers").at(0).at("digest").as_string(), digestOf("the layer"));
  EXPECT_EQ(text.at("layers").at(0).at("size").to_number<int>(), 9);
  EXPECT_EQ(blob(*set, digestOf("the layer")), "the layer");
  const std::string config(text.at("config").at("digest").as_string());
  EXPECT_THAT(blob(*set, config), HasSubstr("diff_ids"));
  EXPECT_EQ(blob(*set, document->digest), document->bytes);
  EXPECT_TRUE(set->find("a.example/x@" + document->digest).ok());
}

TEST_P(EitherWay, ACompressedLayerOfDockerSaveIsItsOwnBlob) {
  const std::string compressed = "\x1f\x8b and the rest of a gzip stream";
  Tree tree = saved("busybox:1");
  tree.back().second = compressed;
  const auto set = open(made(tree));
  const auto document = set->find("docker.io/library/busybox:1");
  ASSERT_TRUE(document.ok()) << document.status();
  const json::value text = json::parse(document->bytes);
  EXPECT_EQ(text.at("layers").at(0).at("digest").as_string(), digestOf(compressed));
  EXPECT_EQ(text.at("layers").at(0).at("mediaType").as_string(),
            "application/vnd.oci.image.layer.v1.tar+gzip");
  EXPECT_EQ(blob(*set, digestOf(compressed)), compressed);
}

TEST_P(EitherWay, ALayoutThatDockerSaveWroteTooIsReadAsALayout) {
  Tree tree = layout(kName);
  for (const auto& file : saved("busybox:1")) tree.push_back(file);
  EXPECT_TRUE(open(made(tree))->find(kName).ok());
}

TEST_F(LayoutTest, SharedLayersOfDockerSaveAreLinks) {
  Tree tree = saved("busybox:1");
  const std::string layer = tree.back().second;
  tree.pop_back();
  for (const auto type : {untar::EntryType::kSymlink, untar::EntryType::kHardLink}) {
    const bool hard = type == untar::EntryType::kHardLink;
    const auto set = open(archive("links.tar", tree, [&](untar::TarWriter& tar) {
      addLink(tar, type, "1/layer.tar", hard ? "./2/layer.tar" : "../2/layer.tar");
      untar::Entry entry;
      entry.name = "./2/layer.tar";
      entry.size = layer.size();
      ASSERT_TRUE(tar.add(entry).ok());
      ASSERT_TRUE(tar.data(layer).ok());
    }));
    ASSERT_NE(set, nullptr);
    EXPECT_EQ(blob(*set, digestOf(layer)), layer);
  }
}

TEST_F(LayoutTest, OneNameForSeveralPlatformsIsAnIndex) {
  const std::string arm = manifest("for arm");
  Tree tree = layout(kName);
  tree[1].second =
      index(strCat(descriptor(manifest("the layer"),
                              R"(, "platform": {"os": "linux", "architecture": "amd64"})" +
                                  nameAnnotation(kName)),
                   ",",
                   descriptor(arm, R"(, "platform": {"os": "linux", "architecture": "arm64"})" +
                                       nameAnnotation(kName))));
  const auto document = open(folder("both", tree))->find(kName);
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ(document->mediaType, "application/vnd.oci.image.index.v1+json");
  EXPECT_EQ(json::parse(document->bytes).at("manifests").as_array().size(), 2u);
}

TEST_F(LayoutTest, ContainerdsNameComesFirst) {
  Tree tree = layout("");
  tree[1].second = index(descriptor(manifest("the layer"),
                                    R"(, "annotations": {"org.opencontainers.image.ref.name": "1",
                           "io.containerd.image.name": "docker.io/library/busybox:1"})"));
  EXPECT_TRUE(open(folder("named", tree))->find("docker.io/library/busybox:1").ok());
}

TEST_F(LayoutTest, APlainFolderHasOneImage) {
  const std::string text = manifest("the layer");
  const auto set = open(folder("plain", {{"version", "Directory Transport Version: 1.1\n"},
                                         {"manifest.json", text},
                                         {digestOf("{}").substr(7), "{}"},
                                         {digestOf("the layer").substr(7), "the layer"}}));
  EXPECT_TRUE(set->find("a.example/x@" + digestOf(text)).ok());
  EXPECT_EQ(blob(*set, digestOf("the layer")), "the layer");
}

TEST_F(LayoutTest, LongNamesInArchivesAreFound) {
  Tree tree = saved("busybox:1");
  const std::string name = std::string(200, 'd') + "/layer.tar";
  tree[0].second.replace(tree[0].second.find("1/layer.tar"), 11, name);
  tree[2].first = name;
  EXPECT_EQ(blob(*open(archive("long.tar", tree)), digestOf("the layer")), "the layer");
}

}  // namespace
}  // namespace berth::layout
