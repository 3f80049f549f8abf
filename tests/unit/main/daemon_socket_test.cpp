#include "main/daemon_socket.hpp"

#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::program {
namespace {

using support::strCat;
using ::testing::HasSubstr;

// Somebody who listens, as a daemon does.
support::Fd listenAt(const std::string& path) {
  support::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(socket.get(), 1), 0);
  return socket;
}

class FindDaemon : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.file = directory_ / "berth.toml";
    configure(configured_);
  }

  // Of which a daemon may have been started before.
  void configure(const std::string& socket, const std::string& more = {}) {
    write(strCat("state = \"", directory_.path(), "\"\n[grpc]\nsocket = \"", socket, "\"\n", more));
  }
  void write(const std::string& text) {
    ASSERT_TRUE(
        support::replaceFile(options_.file, text, 0600, support::Durability::kVisible).ok());
  }

  berth::testing::TemporaryDirectory directory_;
  const std::string configured_ = directory_ / "configured";
  const std::string other_ = directory_ / "other";
  ConfigOptions options_;
};

TEST_F(FindDaemon, IsWhereTheConfigurationSays) {
  EXPECT_EQ(*findDaemon(options_), configured_);
  const support::Fd daemon = listenAt(configured_);
  EXPECT_EQ(*findDaemon(options_), configured_);
}

TEST_F(FindDaemon, ThatOfTheCommandLineIsNotLookedFor) {
  options_.socket = other_;
  write("[grpc");
  EXPECT_EQ(*findDaemon(options_), other_);
}

TEST_F(FindDaemon, OneThatRunsTellsWhereItIs) {
  ASSERT_TRUE(tellOfSocket(directory_.path(), other_).ok());
  // It has ended.
  EXPECT_EQ(*findDaemon(options_), configured_);
  const support::Fd daemon = listenAt(other_);
  EXPECT_EQ(*findDaemon(options_), other_);
}

TEST_F(FindDaemon, WhatAKilledDaemonHasLeftIsRemoved) {
  const std::string left = directory_ / ".serves.0123456789abcdef.tmp";
  const support::Durability visible = support::Durability::kVisible;
  ASSERT_TRUE(support::replaceFile(left, "", 0600, visible).ok());
  ASSERT_TRUE(tellOfSocket(directory_.path(), other_).ok());
  EXPECT_FALSE(support::pathExists(left));
  EXPECT_EQ(*support::readFile(directory_ / "serves"), other_);
}

TEST_F(FindDaemon, WrongFilesDoNotHideADaemonThatRuns) {
  for (const char* wrong : {"no_such_key = 1\n", "[log]\nlevel = 7\n",
                            "[images]\npinned = [\"a\",\n", "[log]\nlevel = \"in"}) {
    configure(configured_, wrong);
    const absl::Status none = findDaemon(options_).status();
    EXPECT_TRUE(absl::IsInvalidArgument(none)) << wrong << none;
    const support::Fd daemon = listenAt(configured_);
    EXPECT_EQ(*findDaemon(options_), configured_) << wrong;
    ASSERT_TRUE(support::removePath(configured_).ok());
  }
  write(strCat("state = \"", directory_.path(), "\"\n[grpc]\nsocket = /no/string\n"));
  ASSERT_TRUE(tellOfSocket(directory_.path(), other_).ok());
  const support::Fd daemon = listenAt(other_);
  EXPECT_EQ(*findDaemon(options_), other_);
}

TEST_F(FindDaemon, AFileThatIsNamedMustBeThere) {
  options_.file = directory_ / "none.toml";
  EXPECT_TRUE(absl::IsNotFound(findDaemon(options_).status()));
}

}  // namespace
}  // namespace berth::program
