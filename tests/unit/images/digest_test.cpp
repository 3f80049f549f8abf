#include "images/digest.hpp"

#include <gtest/gtest.h>

namespace berth::images {
namespace {

// FIPS 180-4's examples.
TEST(HashTest, KnownValues) {
  EXPECT_EQ(sha256(""), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(HashTest, TheAlgorithmIsThatOfTheDigestToCompareWith) {
  EXPECT_EQ(digestLike("sha512:x", "abc"),
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
  EXPECT_EQ(digestLike("sha256:x", "abc"), sha256("abc"));
}

TEST(HashTest, PiecesMakeTheSameDigest) {
  Hash hash;
  for (const char* piece : {"a", "", "b", "c"}) hash.update(piece);
  EXPECT_EQ(hash.finish(), sha256("abc"));
}

TEST(IsDigest, OnlyLowercaseAndOfTheRightLength) {
  EXPECT_TRUE(isDigest("sha512:" + std::string(128, '0')));
  EXPECT_FALSE(isDigest("sha512:" + std::string(127, '0')));
  EXPECT_FALSE(isDigest("sha384:" + std::string(96, '0')));
  EXPECT_TRUE(isDigest(sha256("x")));
  EXPECT_FALSE(isDigest(""));
  EXPECT_FALSE(isDigest("sha256:"));
  EXPECT_FALSE(isDigest("sha256:" + std::string(63, '0')));
  EXPECT_FALSE(isDigest("sha256:" + std::string(65, '0')));
  EXPECT_FALSE(isDigest("sha256:" + std::string(64, 'F')));
  EXPECT_FALSE(isDigest("sha256:" + std::string(64, '/')));
  EXPECT_FALSE(isDigest("sha512:" + std::string(64, '0')));
  EXPECT_FALSE(isDigest(std::string(71, '0')));
}

}  // namespace
}  // namespace berth::images
