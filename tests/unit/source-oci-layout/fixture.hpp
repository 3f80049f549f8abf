// Images in folders and archives, made file by file so that they can also be wrong.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/status.hpp"
#include "berth/untar/tar_writer.hpp"
#include "content.hpp"
#include "image_set.hpp"

namespace berth::layout {

using support::strCat;

// What a folder or an archive holds: names and contents, in order.
using Tree = std::vector<std::pair<std::string, std::string>>;

inline absl::Status always() {
  return absl::OkStatus();
}

class LayoutTest : public ::testing::Test {
 protected:
  berth::testing::TemporaryDirectory directory_;

  static void write(const std::string& path, const std::string& content) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << content;
  }
  std::string folder(const std::string& name, const Tree& tree) const {
    for (const auto& [file, content] : tree) write(directory_ / name + "/" + file, content);
    return directory_ / name;
  }
  // `more` may add what is no plain file.
  std::string archive(
      const std::string& name, const Tree& tree,
      const std::function<void(untar::TarWriter&)>& more = [](untar::TarWriter&) {}) const {
    std::string bytes;
    untar::TarWriter tar([&bytes](std::string_view piece) {
      bytes.append(piece);
      return absl::OkStatus();
    });
    for (const auto& [file, content] : tree) {
      untar::Entry entry;
      entry.name = file;
      entry.size = content.size();
      entry.mode = 0644;
      EXPECT_TRUE(tar.add(entry).ok());
      EXPECT_TRUE(tar.data(content).ok());
    }
    more(tar);
    EXPECT_TRUE(tar.finish().ok());
    write(directory_ / name, bytes);
    return directory_ / name;
  }
  static void addLink(untar::TarWriter& tar, untar::EntryType type, const std::string& name,
                      const std::string& target) {
    untar::Entry entry;
    entry.type = type;
    entry.name = name;
    entry.linkTarget = target;
    EXPECT_TRUE(tar.add(entry).ok());
  }

  static std::string blobFile(const std::string& bytes) {
    return "blobs/sha256/" + digestOf(bytes).substr(7);
  }
  static std::string descriptor(const std::string& bytes, const std::string& more = "") {
    return strCat(R"({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": ")",
                  digestOf(bytes), R"(", "size": )", bytes.size(), more, "}");
  }
  static std::string nameAnnotation(const std::string& name) {
    return strCat(R"(, "annotations": {"org.opencontainers.image.ref.name": ")", name, R"("})");
  }
  static std::string index(const std::string& descriptors) {
    return strCat(R"({"schemaVersion": 2, "manifests": [)", descriptors, "]}");
  }
  static std::string manifest(const std::string& layer) {
    return strCat(R"({"schemaVersion": 2, "config": {"digest": ")", digestOf("{}"),
                  R"(", "size": 2}, "layers": [{"digest": ")", digestOf(layer), R"(", "size": )",
                  layer.size(), "}]}");
  }
  // A layout with one image of that name, with one layer.
  static Tree layout(const std::string& name, const std::string& layer = "the layer") {
    const std::string text = manifest(layer);
    return {{"oci-layout", R"({"imageLayoutVersion": "1.0.0"})"},
            {"index.json", index(descriptor(text, name.empty() ? "" : nameAnnotation(name)))},
            {blobFile(text), text},
            {blobFile("{}"), "{}"},
            {blobFile(layer), layer}};
  }
  // As "docker save" wrote it before it wrote layouts.
  static Tree saved(const std::string& tag, const std::string& layer = "the layer") {
    return {{"manifest.json", strCat(R"([{"Config": "c.json", "RepoTags": [")", tag,
                                     R"("], "Layers": ["1/layer.tar"]}])")},
            {"c.json", strCat(R"({"os": "linux", "architecture": "amd64",
                                  "rootfs": {"type": "layers", "diff_ids": [")",
                              digestOf(layer), R"("]}})")},
            {"1/layer.tar", layer}};
  }

  static std::shared_ptr<const ImageSet> open(const std::string& path) {
    auto set = ImageSet::open(path, always);
    EXPECT_TRUE(set.ok()) << set.status();
    return set.ok() ? *set : nullptr;
  }
  static std::string refusal(const std::string& path,
                             absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
    const auto set = ImageSet::open(path, always);
    EXPECT_EQ(set.status().code(), code) << set.status();
    return std::string(set.status().message());
  }
  static std::string blob(const ImageSet& set, const std::string& digest, uint64_t from = 0) {
    std::string bytes;
    const absl::Status status = set.blob(digest, from, always, [&bytes](std::string_view piece) {
      bytes.append(piece);
      return absl::OkStatus();
    });
    return status.ok() ? bytes : status.ToString();
  }
};

}  // namespace berth::layout
