// Credentials from the files and helpers of container tools.
#include "images/credentials.hpp"

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "berth/plugin.hpp"

namespace berth::images {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Found {
  std::string username, password, auth, identityToken, registryToken;
};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

class CredentialsTest : public ::testing::Test {
 protected:
  CredentialsTest() : path_(variable("PATH")) {
    ::setenv("PATH", (directory_.path() + ":" + path_).c_str(), 1);
  }
  ~CredentialsTest() override { ::setenv("PATH", path_.c_str(), 1); }

  void file(const std::string& content) {
    const std::string path = directory_ / std::to_string(search_.files.size()) + ".json";
    std::ofstream(path) << content;
    search_.files.push_back(path);
  }
  // A program docker-credential-NAME; it finds what it was asked for in $asked.
  void helper(const std::string& name, const std::string& script) {
    const std::string path = directory_ / "docker-credential-" + name;
    std::ofstream(path) << "#!/bin/sh\n[ \"$1\" = get ] || exit 2\nasked=$(cat)\n" << script;
    ::chmod(path.c_str(), 0755);
  }
  std::optional<Found> find(std::string_view registry) {
    std::optional<Found> found;
    search_.warn = [this](std::string_view text) { warnings_.emplace_back(text); };
    status_ = findCredentials(search_, registry, [&](const berth_credentials& given) {
      found = Found{copy(given.username), copy(given.password), copy(given.auth),
                    copy(given.identity_token), copy(given.registry_token)};
    });
    EXPECT_EQ(status_.ok(), found.has_value()) << status_;
    return found;
  }
  std::string authOf(std::string_view registry) {
    const auto found = find(registry);
    return found ? found->auth : std::string(status_.message());
  }

  berth::testing::TemporaryDirectory directory_;
  std::string path_;
  CredentialSearch search_;
  std::vector<std::string> warnings_;
  absl::Status status_;
};

TEST_F(CredentialsTest, NoFilesKnowNobody) {
  search_.files = {directory_ / "missing.json"};
  EXPECT_FALSE(find("registry.example"));
  EXPECT_EQ(status_.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(CredentialsTest, EveryFieldOfAnEntryIsGiven) {
  file(R"({"auths": {"a.example": {"username": "u", "password": "p", "auth": "dTpw",
                                   "identitytoken": "i", "registrytoken": "r"}}})");
  const auto found = find("a.example");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->username, "u");
  EXPECT_EQ(found->password, "p");
  EXPECT_EQ(found->auth, "dTpw");
  EXPECT_EQ(found->identityToken, "i");
  EXPECT_EQ(found->registryToken, "r");
}

TEST_F(CredentialsTest, KeysMayBeUrls) {
  file(R"({"auths": {"https://index.docker.io/v1/": {"auth": "hub"},
                     "https://a.example/v2/": {"auth": "a"},
                     "http://b.example:5000": {"auth": "b"},
                     "c.example/": {"auth": "c"}}})");
  EXPECT_EQ(authOf("docker.io"), "hub");
  EXPECT_EQ(authOf("docker.io/library/busybox"), "hub");
  EXPECT_EQ(authOf("a.example"), "a");
  EXPECT_EQ(authOf("b.example:5000"), "b");
  EXPECT_EQ(authOf("c.example/x"), "c");
  EXPECT_FALSE(find("b.example"));
  EXPECT_FALSE(find("io"));
}

TEST_F(CredentialsTest, TheEntryThatNamesTheMostCounts) {
  file(R"({"auths": {"a.example": {"auth": "host"}, "a.example/team": {"auth": "team"},
                     "a.example/team/app": {"auth": "app"}, "docker.io/me": {"auth": "me"}}})");
  EXPECT_EQ(authOf("a.example/team/app"), "app");
  EXPECT_EQ(authOf("a.example/team/app/part"), "app");
  EXPECT_EQ(authOf("a.example/team/other"), "team");
  EXPECT_EQ(authOf("a.example/teams"), "host");
  EXPECT_EQ(authOf("a.example"), "host");
  EXPECT_EQ(authOf("docker.io/me/x"), "me");
  EXPECT_FALSE(find("docker.io/library/busybox"));
}

TEST_F(CredentialsTest, TheFirstFileThatKnowsCounts) {
  file(R"({"auths": {"a.example": {"auth": "first"}}})");
  file(R"({"auths": {"a.example": {"auth": "second"}, "b.example": {"auth": "b"}}})");
  EXPECT_EQ(authOf("a.example"), "first");
  EXPECT_EQ(authOf("b.example"), "b");
}

TEST_F(CredentialsTest, AMalformedFileKeepsNobodyFromTheOthers) {
  file("{ this is no JSON");
  file(R"(["nor", "an object"])");
  file(R"({"auths": {"a.example": {"auth": "a"}, "odd": 7}, "credHelpers": []})");
  EXPECT_EQ(authOf("a.example"), "a");
  EXPECT_EQ(warnings_.size(), 2u);
  EXPECT_FALSE(find("odd"));
  EXPECT_EQ(status_.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status_.message()),
              AllOf(HasSubstr("no credentials for odd"), HasSubstr("0.json")));
}

TEST_F(CredentialsTest, AnEmptyEntryIsKeptByTheStore) {
  file(R"({"auths": {"https://index.docker.io/v1/": {}, "a.example": {}}, "credsStore": "desk"})");
  helper("desk", R"(echo "{\"Username\": \"u\", \"Secret\": \"of $asked\"}")");
  const auto hub = find("docker.io");
  ASSERT_TRUE(hub) << status_;
  EXPECT_EQ(hub->username, "u");
  EXPECT_EQ(hub->password, "of https://index.docker.io/v1/");
  EXPECT_EQ(find("a.example/team")->password, "of a.example");
  EXPECT_EQ(find("b.example")->password, "of b.example") << "entries are no list of what it has";
}

TEST_F(CredentialsTest, AnEmptyEntryWithoutAStoreIsNone) {
  file(R"({"auths": {"a.example": {}}})");
  file(R"({"auths": {"a.example": {"auth": "second"}}})");
  EXPECT_EQ(authOf("a.example"), "second");
}

TEST_F(CredentialsTest, ARegistrysOwnHelperComesFirst) {
  file(R"({"credHelpers": {"a.example": "own"}, "credsStore": "store",
           "auths": {"a.example": {"auth": "entry"}, "b.example": {"auth": "b"}}})");
  helper("own", R"(echo '{"Username": "<token>", "Secret": "t"}')");
  helper("store", "exit 1");
  const auto found = find("a.example");
  ASSERT_TRUE(found) << status_;
  EXPECT_EQ(found->identityToken, "t");
  EXPECT_TRUE(found->username.empty());
  EXPECT_EQ(authOf("b.example"), "b");
}

TEST_F(CredentialsTest, AHelperThatKnowsNothingIsNoFailure) {
  file(R"({"credsStore": "desk"})");
  helper("desk", "echo 'credentials not found in native keychain'; exit 1");
  EXPECT_FALSE(find("a.example"));
  EXPECT_EQ(status_.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(CredentialsTest, AHelperThatFailsIsToldOfAndTheNextFileAsked) {
  file(R"({"credsStore": "broken"})");
  file(R"({"credsStore": "absent-from-this-host"})");
  file(R"({"credsStore": "../../bin/sh"})");
  file(R"({"credsStore": "chatty"})");
  file(R"({"auths": {"a.example": {"auth": "last"}}})");
  helper("broken", "echo 'locked\nlevel=error' >&2; exit 3");
  helper("chatty", "echo 'secret but no JSON'");
  EXPECT_EQ(authOf("a.example"), "last");
  EXPECT_THAT(warnings_,
              ElementsAre(AllOf(HasSubstr("0.json"), HasSubstr("exit code 3: locked")),
                          AllOf(HasSubstr("1.json"), HasSubstr("absent-from-this-host")),
                          HasSubstr("no name of a credential helper"),
                          AllOf(HasSubstr("chatty"), ::testing::Not(HasSubstr("secret")))));
}

TEST_F(CredentialsTest, AHelperEndsWithTheCallsDeadlineOrCancellation) {
  file(R"({"credsStore": "slow"})");
  file(R"({"auths": {"a.example": {"auth": "not asked any more"}}})");
  helper("slow", "exec sleep 1000");
  search_.limits.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
  EXPECT_FALSE(find("a.example"));
  EXPECT_EQ(status_.code(), absl::StatusCode::kDeadlineExceeded) << status_;

  const support::Fd cancelled(::eventfd(1, EFD_CLOEXEC));
  search_.limits = {.cancelFd = cancelled.get()};
  EXPECT_FALSE(find("a.example"));
  EXPECT_EQ(status_.code(), absl::StatusCode::kCancelled) << status_;
}

TEST(CredentialFiles, AreTheHostsAndTheUsers) {
  const std::string home = variable("HOME");
  ::setenv("HOME", "/home/somebody", 1);
  EXPECT_THAT(credentialFiles(),
              ElementsAre("/etc/berth/auth.json", "/home/somebody/.config/containers/auth.json",
                          "/home/somebody/.docker/config.json"));
  ::unsetenv("HOME");
  EXPECT_THAT(credentialFiles(), ElementsAre("/etc/berth/auth.json"));
  if (!home.empty()) ::setenv("HOME", home.c_str(), 1);
}

}  // namespace
}  // namespace berth::images
