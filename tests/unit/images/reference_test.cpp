#include "images/reference.hpp"

#include <string>

#include <gtest/gtest.h>

#include "berth/support/status.hpp"

namespace berth::images {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

struct Good {
  std::string text, registry, repository, tag, digest, full;
};

TEST(ParseReference, CompletesAsTheEcosystemDoes) {
  const Good table[] = {
      {"busybox", "docker.io", "library/busybox", "latest", "", "docker.io/library/busybox:latest"},
      {"busybox:1.36", "docker.io", "library/busybox", "1.36", "",
       "docker.io/library/busybox:1.36"},
      {"user/app", "docker.io", "user/app", "latest", "", "docker.io/user/app:latest"},
      {"docker.io/busybox", "docker.io", "library/busybox", "latest", "",
       "docker.io/library/busybox:latest"},
      {"index.docker.io/busybox", "docker.io", "library/busybox", "latest", "",
       "docker.io/library/busybox:latest"},
      {"localhost/app", "localhost", "app", "latest", "", "localhost/app:latest"},
      {"localhost:5000/app", "localhost:5000", "app", "latest", "", "localhost:5000/app:latest"},
      {"127.0.0.1:5000/a/b/c:t", "127.0.0.1:5000", "a/b/c", "t", "", "127.0.0.1:5000/a/b/c:t"},
      {"[::1]:5000/app", "[::1]:5000", "app", "latest", "", "[::1]:5000/app:latest"},
      {"[2001:db8::1]/app", "[2001:db8::1]", "app", "latest", "", "[2001:db8::1]/app:latest"},
      {"REGISTRY:80/app", "registry:80", "app", "latest", "", "registry:80/app:latest"},
      {"Index.Docker.IO/busybox", "docker.io", "library/busybox", "latest", "",
       "docker.io/library/busybox:latest"},
      {"DOCKER.IO/user/app", "docker.io", "user/app", "latest", "", "docker.io/user/app:latest"},
      {"[2001:DB8::1]/app", "[2001:db8::1]", "app", "latest", "", "[2001:db8::1]/app:latest"},
      {"a.example/app@" + kDigest, "a.example", "app", "", kDigest, "a.example/app@" + kDigest},
      {"a.example/app:1@" + kDigest, "a.example", "app", "1", kDigest,
       "a.example/app:1@" + kDigest},
      {"a.example/a__b-c---d.e/f_g", "a.example", "a__b-c---d.e/f_g", "latest", "",
       "a.example/a__b-c---d.e/f_g:latest"},
      {"a.example/app:_t.-T", "a.example", "app", "_t.-T", "", "a.example/app:_t.-T"},
      {"deadbeef", "docker.io", "library/deadbeef", "latest", "",
       "docker.io/library/deadbeef:latest"},
  };
  for (const Good& good : table) {
    const auto reference = parseReference(good.text);
    ASSERT_TRUE(reference.ok()) << good.text << ": " << reference.status();
    EXPECT_EQ(reference->registry, good.registry) << good.text;
    EXPECT_EQ(reference->repository, good.repository) << good.text;
    EXPECT_EQ(reference->tag, good.tag) << good.text;
    EXPECT_EQ(reference->digest, good.digest) << good.text;
    EXPECT_EQ(reference->full(), good.full) << good.text;
    const auto again = parseReference(reference->full());
    ASSERT_TRUE(again.ok()) << reference->full();
    EXPECT_EQ(again->full(), reference->full()) << "completing twice changes nothing";
  }
}

TEST(ParseReference, RefusesWhatIsNone) {
  const std::string wrong[] = {"",
                               " busybox",
                               "busybox ",
                               "Busybox",
                               "a.example/App",
                               "REGISTRY/app",
                               "a.example/",
                               "/app",
                               "a.example//app",
                               "a.example/app/",
                               "app:",
                               "app:-tag",
                               "app:.tag",
                               "app:a b",
                               "app:" + std::string(129, 't'),
                               "app@",
                               "app@sha256:abc",
                               "app@sha512:" + std::string(127, 'a'),
                               "app@md5:" + std::string(32, 'a'),
                               "app@sha256:" + std::string(64, 'A'),
                               "app@" + kDigest + "@" + kDigest,
                               "a.example:port/app",
                               "a.example:/app",
                               "a.example:0443/app",
                               ":5000/app",
                               "[::1/app",
                               "[::1]x/app",
                               "[zz]:5000/app",
                               "a___b",
                               "a..b",
                               "-app",
                               "app-",
                               "a_-b",
                               "a.example/" + std::string(250, 'a'),
                               "https://a.example/app",
                               std::string("app\0x", 5),
                               "app\n"};
  for (const std::string& text : wrong) {
    const auto reference = parseReference(text);
    EXPECT_EQ(reference.status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(ParseReference, LongestNameIsTaken) {
  EXPECT_TRUE(parseReference("a.example/" + std::string(245, 'a')).ok());
  EXPECT_FALSE(parseReference("a.example/" + std::string(246, 'a')).ok());
}

TEST(ParseReference, AnErrorDoesNotRepeatAnEndlessReference) {
  const auto reference = parseReference(std::string(1u << 20, '!'));
  EXPECT_LT(reference.status().message().size(), 1000u);
}

TEST(ParseReference, AnErrorIsOneLine) {
  const auto reference = parseReference("a\x1b[2J\nb");
  EXPECT_NE(reference.status().message().find("\"a [2J b\""), absl::string_view::npos)
      << reference.status();
}

}  // namespace
}  // namespace berth::images
