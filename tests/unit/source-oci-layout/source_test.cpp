// The plugin's class as the host calls it.
#include "source.hpp"

#include <map>
#include <mutex>

#include <boost/json.hpp>

#include "berth/support/json.hpp"
#include "fixture.hpp"
#include "test_paths.hpp"

namespace berth::layout {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kName = "a.example/app:1";

class SourceTest : public LayoutTest {
 protected:
  std::vector<std::string> log_;
  berth_host host_{};
  std::unique_ptr<LayoutSource> source_;
  std::string fetched_;
  berth_code sinkAnswers_ = BERTH_OK;

  void start(const std::vector<std::string>& paths) {
    host_.size = sizeof host_;
    host_.context = this;
    host_.log = [](void* context, berth_log_level, berth_str message, const berth_pair* fields,
                   size_t count) {
      std::string line = copy(message);
      for (size_t i = 0; i < count; ++i) line += " " + copy(fields[i].value);
      static_cast<SourceTest*>(context)->log_.push_back(line);
    };
    source_ = std::make_unique<LayoutSource>(Host(&host_));
    boost::json::object options;
    options["paths"] = support::jsonTexts(paths);
    const Status configured = source_->configure(boost::json::serialize(options));
    ASSERT_TRUE(configured.ok()) << configured.message();
  }
  Status resolve(const std::string& reference, Resolved& out, uint64_t limit = 1u << 20) {
    return source_->resolve(Op(nullptr), {reference, false, {}}, limit, out);
  }
  Status fetch(const std::string& reference, const std::string& digest, uint64_t size,
               uint64_t offset = 0) {
    fetched_.clear();
    berth_sink abi{sizeof abi, this, [](berth_sink* sink, const void* data, size_t length) {
                     auto& self = *static_cast<SourceTest*>(sink->host);
                     self.fetched_.append(static_cast<const char*>(data), length);
                     return self.sinkAnswers_;
                   }};
    Sink sink(&abi);
    return source_->fetch(Op(nullptr), {reference, false, {}}, {"", digest, size, {}}, offset,
                          sink);
  }
};

TEST_F(SourceTest, LooksThroughFoldersOfSetsInTheirOrder) {
  folder("images/b", layout("a.example/b:1", "of b"));
  archive("images/a.tar", layout("a.example/a:1", "of a"));
  archive("images/docker.tar", saved("busybox:1", "of docker"));
  folder("images", {{"SHA256SUMS", "text"}});
  start({directory_ / "not-there", directory_ / "images"});
  Resolved out;
  for (const char* name : {"a.example/a:1", "a.example/b:1", "docker.io/library/busybox:1"})
    EXPECT_TRUE(resolve(name, out).ok()) << name;
  const Status missing = resolve("a.example/c:1", out);
  EXPECT_EQ(missing.code(), BERTH_NOT_FOUND);
  EXPECT_THAT(missing.message(), HasSubstr("3 folders and archives"));
  EXPECT_TRUE(fetch("a.example/x:1", digestOf("of docker"), 9).ok());
  EXPECT_EQ(fetched_, "of docker");
  EXPECT_THAT(log_, ElementsAre());
}

TEST_F(SourceTest, TellsWhereAnImageLies) {
  folder("images/layout", layout("a.example/a:1", "one"));
  archive("images/archive.tar", layout("a.example/b:1", "two"));
  archive("images/saved.tar", saved("a.example/c:1", "three"));
  std::filesystem::create_directory_symlink(directory_ / "images", directory_ / "link");
  start({directory_ / "link"});
  const std::string real = std::filesystem::canonical(directory_.path()) / "images";
  const std::map<std::string, std::pair<std::string, std::string>> wanted = {
      {"a.example/a:1", {"oci", real + "/layout"}},
      {"a.example/b:1", {"oci-archive", real + "/archive.tar"}},
      {"a.example/c:1", {"docker-archive", real + "/saved.tar"}}};
  for (const auto& [name, place] : wanted) {
    Resolved out;
    ASSERT_TRUE(resolve(name, out).ok());
    ImageOrigin origin;
    const Status told = source_->origin(Op(nullptr), {name, false, {}}, out.digest, origin);
    ASSERT_TRUE(told.ok()) << told.message();
    EXPECT_EQ(origin.transport, place.first);
    EXPECT_EQ(origin.location, place.second);
    // What the host has got must be what is judged.
    const Status other =
        source_->origin(Op(nullptr), {name, false, {}}, digestOf("another"), origin);
    EXPECT_EQ(other.code(), BERTH_NOT_FOUND);
  }
}

TEST_F(SourceTest, APlaceIsThatOfWhatWasRead) {
  folder("one", layout(kName));
  std::filesystem::create_directory(directory_ / "two");
  std::filesystem::create_hard_link(directory_ / "one/index.json", directory_ / "two/index.json");
  std::filesystem::create_directory_symlink(directory_ / "one", directory_ / "link");
  start({directory_ / "link"});
  Resolved out;
  ASSERT_TRUE(resolve(kName, out).ok());
  std::filesystem::remove(directory_ / "link");
  std::filesystem::create_directory_symlink(directory_ / "two", directory_ / "link");
  ImageOrigin origin;
  const Status told = source_->origin(Op(nullptr), {kName, false, {}}, out.digest, origin);
  ASSERT_TRUE(told.ok()) << told.message();
  EXPECT_EQ(origin.location, std::filesystem::canonical(directory_.path()) / "one");
}

TEST_F(SourceTest, WhatIsPutThereLaterIsSeen) {
  start({directory_ / "images"});
  Resolved out;
  EXPECT_EQ(resolve(kName, out).code(), BERTH_NOT_FOUND);
  std::filesystem::create_directory(directory_ / "images");
  archive("images/set.tar", layout("a.example/other:1"));
  EXPECT_EQ(resolve(kName, out).code(), BERTH_NOT_FOUND);
  archive("next.tar", layout(kName));
  std::filesystem::rename(directory_ / "next.tar", directory_ / "images/set.tar");
  EXPECT_TRUE(resolve(kName, out).ok());
}

TEST_F(SourceTest, ADamagedArchiveIsToldOfOnceAndKeepsNobodyFromTheOthers) {
  write(directory_ / "images/a.tar", std::string(2000, 'x'));
  archive("images/b.tar", layout(kName));
  start({directory_ / "images"});
  Resolved out;
  EXPECT_TRUE(resolve(kName, out).ok());
  EXPECT_TRUE(resolve(kName, out).ok());
  ASSERT_EQ(log_.size(), 1u);
  EXPECT_THAT(log_[0], HasSubstr("images/a.tar"));
}

TEST_F(SourceTest, AFileIsReadWithoutBeingConfigured) {
  const std::string path = archive("set.tar", layout(kName));
  start({});
  EXPECT_FALSE(source_->serves(kName));
  ASSERT_TRUE(source_->serves("file://" + path));
  Resolved out;
  const Status resolved = resolve("file://" + path, out);
  ASSERT_TRUE(resolved.ok()) << resolved.message();
  EXPECT_THAT(out.document, HasSubstr(kName));
  EXPECT_EQ(out.digest, digestOf(out.document));
  EXPECT_TRUE(fetch("file://" + path, digestOf("the layer"), 9, 4).ok());
  EXPECT_EQ(fetched_, "layer");
}

TEST_F(SourceTest, MoreThanTheDescriptorsSizeIsNeverGiven) {
  const std::string path = archive("set.tar", layout(kName));
  start({});
  const Status status = fetch("file://" + path, digestOf("the layer"), 5);
  EXPECT_EQ(status.code(), BERTH_DATA_LOSS);
  EXPECT_EQ(fetched_, "");
  EXPECT_EQ(fetch("file://" + path, digestOf("the layer"), 5, 6).code(), BERTH_OUT_OF_RANGE);
}

TEST_F(SourceTest, TheSinksCodeEndsTheCall) {
  const std::string path = archive("set.tar", layout(kName));
  start({});
  sinkAnswers_ = BERTH_ABORTED;
  EXPECT_EQ(fetch("file://" + path, digestOf("the layer"), 9).code(), BERTH_ABORTED);
}

TEST_F(SourceTest, AManifestAboveTheHostsLimitIsRefused) {
  const std::string path = archive("set.tar", layout(kName));
  start({});
  Resolved out;
  EXPECT_EQ(resolve("file://" + path, out, 10).code(), BERTH_RESOURCE_EXHAUSTED);
}

TEST(LayoutOptions, PathsMustBeAbsolute) {
  const auto options = parseOptions(R"({"paths": ["/a", "b"]})");
  EXPECT_TRUE(absl::IsInvalidArgument(options.status()));
  EXPECT_THAT(std::string(options.status().message()), HasSubstr("option paths[1]"));
}

TEST(LayoutOptions, TheManualHasEachOfThem) {
  std::ifstream file(test_paths::manual);
  const std::string manual{std::istreambuf_iterator<char>(file), {}};
  const boost::json::value declared = boost::json::parse(std::string(kDeclaredOptions));
  for (const auto& option : declared.as_array())
    EXPECT_THAT(manual, HasSubstr("| `" + std::string(option.at("key").as_string()) + "` |"));
}

}  // namespace
}  // namespace berth::layout
