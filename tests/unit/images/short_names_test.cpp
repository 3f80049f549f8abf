#include "images/short_names.hpp"

#include "image_service_fixture.hpp"

namespace berth::images {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ImageServiceTest;
namespace fs = std::filesystem;

std::vector<std::string> meant(const ShortNames& names, std::string_view text) {
  const auto references = names.meant(text);
  if (!references.ok()) return {references.status().ToString()};
  std::vector<std::string> full;
  for (const Reference& one : *references) full.push_back(one.full());
  return full;
}

TEST(ShortNames, MeanDockerIoWhereNothingElseIsSaid) {
  EXPECT_THAT(meant({}, "busybox"), ElementsAre("docker.io/library/busybox:latest"));
  EXPECT_THAT(meant({}, "team/app:1"), ElementsAre("docker.io/team/app:1"));
}

TEST(ShortNames, AreLookedForInEveryRegistryInOrder) {
  const ShortNames names({"r.example:5000", "docker.io", "localhost", "docker.io"}, {});
  EXPECT_THAT(meant(names, "busybox:1"),
              ElementsAre("r.example:5000/busybox:1", "docker.io/library/busybox:1",
                          "localhost/busybox:1"));
  const std::string digest = "@sha256:" + std::string(64, 'a');
  EXPECT_THAT(meant(names, "a/b" + digest),
              ElementsAre("r.example:5000/a/b" + digest, "docker.io/a/b" + digest,
                          "localhost/a/b" + digest));
  for (const char* whole : {"other.example/a:1", "localhost/a:1", "h:1/a:1"})
    EXPECT_THAT(meant(names, whole), ElementsAre(whole));
}

TEST(ShortNames, AliasesComeFirstAndKeepTagAndDigest) {
  const ShortNames names(
      {"r.example"}, {"app=a.example/old", "app=a.example/team/app", "team/db=docker.io/postgres"});
  EXPECT_THAT(meant(names, "app"), ElementsAre("a.example/team/app:latest"));
  EXPECT_THAT(meant(names, "app:2"), ElementsAre("a.example/team/app:2"));
  const std::string digest = "@sha256:" + std::string(64, 'a');
  EXPECT_THAT(meant(names, "app:2" + digest), ElementsAre("a.example/team/app:2" + digest));
  EXPECT_THAT(meant(names, "team/db"), ElementsAre("docker.io/library/postgres:latest"));
  EXPECT_THAT(meant(names, "team/app"), ElementsAre("r.example/team/app:latest"));
  EXPECT_THAT(meant(names, "b.example/app"), ElementsAre("b.example/app:latest"));
}

TEST(ShortNames, MeanNothingWithoutRegistries) {
  const ShortNames names({}, {"app=a.example/app"});
  EXPECT_THAT(meant(names, "app"), ElementsAre("a.example/app:latest"));
  EXPECT_THAT(names.meant("busybox").status().ToString(),
              AllOf(HasSubstr("INVALID_ARGUMENT"), HasSubstr("image busybox is named without"),
                    HasSubstr("images.unqualified_search_registries")));
}

TEST(ShortNames, WhatIsNoReferenceIsRefusedByTheNameThatWasGiven) {
  EXPECT_THAT(ShortNames({"r.example"}, {}).meant("App").status().ToString(),
              HasSubstr("\"App\" is no image reference"));
  EXPECT_FALSE(
      ShortNames({std::string(200, 'a') + ".example"}, {}).meant(std::string(50, 'b')).ok());
}

TEST(ShortNames, AreConfiguredInOneForm) {
  for (const char* good : {"docker.io", "r.example:5000", "localhost", "[::1]:5000"})
    EXPECT_TRUE(isSearchRegistry(good)) << good;
  for (const char* bad : {"", "quay", "r.example/team", "https://r.example", "r.example:", "a_b.c"})
    EXPECT_FALSE(isSearchRegistry(bad)) << bad;
  for (const char* good : {"app=r.example/app", "team/app=localhost/a/b"})
    EXPECT_TRUE(isShortNameAlias(good)) << good;
  for (const char* bad :
       {"app", "=r.example/app", "app=", "app=team/app", "app:1=r.example/app",
        "app=r.example/app:1", "a.example/app=r.example/app", "App=r.example/app"})
    EXPECT_FALSE(isShortNameAlias(bad)) << bad;
}

class ShortNamesOfImages : public ImageServiceTest {
 protected:
  void complete(const std::vector<std::string>& registries,
                const std::vector<std::string>& aliases = {}) {
    images_->completeBy(std::make_shared<const ShortNames>(registries, aliases));
  }
  absl::StatusOr<std::shared_ptr<const Image>> pullShort(const std::string& name) {
    return images_->pull(op_, name, nullptr, {}, nullptr);
  }
};

TEST_F(ShortNamesOfImages, TheFirstThatHasItGivesIt) {
  const std::string id = publish("app:1", {one_}, {testing::gzip(one_)});
  complete({"b.example", "a.example", "c.example"});
  const auto image = pullShort("app:1");
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_THAT((*image)->repoTags, ElementsAre("a.example/app:1"));
  EXPECT_EQ((*images_->find("app:1"))->id, id);
  EXPECT_EQ((*images_->setPinned("app:1", true))->id, id);
  complete({"c.example"});
  EXPECT_TRUE(absl::IsNotFound(images_->find("app:1").status()));
  ASSERT_TRUE(images_->remove(op_, "app:1").ok());
  EXPECT_TRUE(images_->find("a.example/app:1").ok()) << "another image was meant";
  complete({"c.example"}, {"app=a.example/app"});
  ASSERT_TRUE(images_->remove(op_, "app:1").ok());
  EXPECT_TRUE(images_->list().empty());
}

TEST_F(ShortNamesOfImages, EveryAttemptIsToldOf) {
  complete({"b.example", "c.example"});
  const auto image = pullShort("app:1");
  EXPECT_TRUE(absl::IsNotFound(image.status())) << image.status();
  EXPECT_THAT(image.status().ToString(), AllOf(HasSubstr("pull app:1: pull b.example/app:1: "),
                                               HasSubstr("; pull c.example/app:1: ")));
}

TEST_F(ShortNamesOfImages, CredentialsForNoServerInParticularGoToDockerIoAlone) {
  complete({"b.example", "docker.io", "a.example"});
  plugins::Credentials credentials;
  credentials.username = credentials.password = "me";
  const auto asked = [&](const char* name) {
    (void)images_->pull(op_, name, &credentials, {}, nullptr);
    return std::vector{count("credentials for b.example/"), count("credentials for docker.io/"),
                       count("credentials for a.example/")};
  };
  EXPECT_THAT(asked("app:1"), ElementsAre(0u, 2u, 0u)) << "two sources";
  EXPECT_THAT(asked("a.example/app:1"), ElementsAre(0u, 2u, 2u));
  credentials.serverAddress = "b.example";  // the sources see to it
  EXPECT_THAT(asked("app:1"), ElementsAre(2u, 4u, 4u));
}

TEST_F(ShortNamesOfImages, OneThatHasItAndFailsIsTheLastThatIsAsked) {
  publish("app:1", {one_}, {testing::gzip(one_)});
  fs::rename(blobs() + "/a.example_app:1", blobs() + "/b.example_app:1");
  fs::remove(blobs() + "/" + sha256(testing::gzip(one_)));  // NOT_FOUND as well
  publish("app:1", {two_}, {testing::gzip(two_)});
  complete({"b.example", "a.example"});
  const auto image = pullShort("app:1");
  ASSERT_FALSE(image.ok());
  EXPECT_THAT(image.status().ToString(), HasSubstr("b.example/app:1"));
  EXPECT_TRUE(images_->list().empty());
}

}  // namespace
}  // namespace berth::images
