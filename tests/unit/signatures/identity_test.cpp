#include "signatures/identity.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "keys.hpp"

namespace berth::signatures {
namespace {

using Kind = SignedIdentity::Kind;
using ::testing::HasSubstr;

const std::string kDigest = testing::digestOf('a');
const std::string kOther = testing::digestOf('b');

bool matches(const SignedIdentity& identity, const std::string& asked, const std::string& named) {
  const auto reference = images::parseReference(asked);
  EXPECT_TRUE(reference.ok()) << reference.status();
  return identity.matches(*reference, named);
}

TEST(SignedIdentity, ExactWantsTheSameTag) {
  const SignedIdentity exact(Kind::kMatchExact);
  EXPECT_TRUE(matches(exact, "busybox:1", "docker.io/library/busybox:1"));
  EXPECT_TRUE(matches(exact, "a.example/b:1", "a.example/b:1"));
  EXPECT_FALSE(matches(exact, "a.example/b:1", "a.example/b:2"));
  EXPECT_FALSE(matches(exact, "a.example/b:1", "a.example/c:1"));
  EXPECT_FALSE(matches(exact, "a.example/b", "a.example/b")) << "a name alone names no image";
  EXPECT_FALSE(matches(exact, "a.example/b@" + kDigest, "a.example/b:1"));
  EXPECT_TRUE(matches(exact, "a.example/b@" + kDigest, "a.example/b@" + kDigest));
  EXPECT_FALSE(matches(exact, "a.example/b@" + kDigest, "a.example/b@" + kOther));
}

TEST(SignedIdentity, ByDigestTheRepositoryIsEnough) {
  const SignedIdentity usual;
  EXPECT_TRUE(matches(usual, "a.example/b:1", "a.example/b:1"));
  EXPECT_FALSE(matches(usual, "a.example/b:1", "a.example/b:2"));
  EXPECT_TRUE(matches(usual, "a.example/b@" + kDigest, "a.example/b:2"));
  EXPECT_TRUE(matches(usual, "a.example/b:1@" + kDigest, "a.example/b:2"));
  EXPECT_FALSE(matches(usual, "a.example/b@" + kDigest, "a.example/c:2"));
  EXPECT_FALSE(matches(usual, "a.example/b@" + kDigest, "a.example/b"));
}

TEST(SignedIdentity, Repository) {
  const SignedIdentity repository(Kind::kMatchRepository);
  EXPECT_TRUE(matches(repository, "a.example/b:1", "a.example/b"));
  EXPECT_TRUE(matches(repository, "a.example/b:1", "a.example/b:2"));
  EXPECT_FALSE(matches(repository, "a.example/b:1", "a.example/b/c:1"));
  EXPECT_FALSE(matches(repository, "a.example/b:1", "b.example/b:1"));
  EXPECT_FALSE(matches(repository, "a.example/b:1", "A.EXAMPLE/B:1"));
  EXPECT_FALSE(matches(repository, "a.example/b:1", ""));
}

TEST(SignedIdentity, Exact) {
  const auto reference = SignedIdentity::exactReference("signed.example/app:1");
  ASSERT_TRUE(reference.ok()) << reference.status();
  EXPECT_TRUE(matches(*reference, "mirror.example/x:9", "signed.example/app:1"));
  EXPECT_FALSE(matches(*reference, "signed.example/app:1", "signed.example/app:2"));
  const auto repository = SignedIdentity::exactRepository("signed.example/app");
  ASSERT_TRUE(repository.ok()) << repository.status();
  EXPECT_TRUE(matches(*repository, "mirror.example/x:9", "signed.example/app:1"));
  EXPECT_TRUE(matches(*repository, "mirror.example/x:9", "signed.example/app"));
  EXPECT_FALSE(matches(*repository, "mirror.example/x:9", "signed.example/app2:1"));
}

TEST(SignedIdentity, ExactReferencesName) {
  const auto nameless = SignedIdentity::exactReference("signed.example/app");
  EXPECT_THAT(std::string(nameless.status().message()), HasSubstr("neither tag nor digest"));
  EXPECT_FALSE(SignedIdentity::exactReference("NO REFERENCE").ok());
  EXPECT_FALSE(SignedIdentity::exactRepository("").ok());
}

TEST(SignedIdentity, Remapped) {
  const auto identity = SignedIdentity::remap("mirror.example/vendor", "vendor.example/public");
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_TRUE(matches(*identity, "mirror.example/vendor/app:1", "vendor.example/public/app:1"));
  EXPECT_FALSE(matches(*identity, "mirror.example/vendor/app:1", "vendor.example/public/app:2"));
  EXPECT_TRUE(
      matches(*identity, "mirror.example/vendor/app@" + kDigest, "vendor.example/public/app:2"));
  // Outside of the prefix nothing is replaced.
  EXPECT_TRUE(matches(*identity, "mirror.example/vendors/app:1", "mirror.example/vendors/app:1"));
  EXPECT_FALSE(matches(*identity, "mirror.example/vendors/app:1", "vendor.example/publics/app:1"));
  EXPECT_FALSE(matches(*identity, "mirror.example/vendor/app:1", "mirror.example/vendor/app:1"));
}

TEST(SignedIdentity, AWholeRegistryRemapped) {
  const auto identity = SignedIdentity::remap("localhost:5000", "docker.io");
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_TRUE(matches(*identity, "localhost:5000/library/app:1", "docker.io/library/app:1"));
  // docker.io/app is short for docker.io/library/app, which has not been asked for.
  EXPECT_FALSE(matches(*identity, "localhost:5000/app:1", "docker.io/library/app:1"));
}

TEST(SignedIdentity, PrefixesAreComplete) {
  for (const char* prefix : {"", "busybox", "library/busybox", "a.example/", "a.example/b:1",
                             "a.example//b", "A.EXAMPLE/B"})
    EXPECT_FALSE(SignedIdentity::remap(prefix, "a.example").ok()) << prefix;
  for (const char* prefix :
       {"a.example", "a.example:5000", "a.example/b/c", "docker.io/library", "docker.io/user"})
    EXPECT_TRUE(SignedIdentity::remap("a.example", prefix).ok()) << prefix;
}

}  // namespace
}  // namespace berth::signatures
