#include "streaming/tokens.hpp"

#include <set>

#include <gtest/gtest.h>

namespace berth::streaming {
namespace {

using namespace std::chrono_literals;

class TokensTest : public testing::Test {
 protected:
  static StreamRequest exec(const std::string& container = "container") {
    runtime::v1::ExecRequest request;
    request.set_container_id(container);
    return request;
  }
  std::string add(StreamRequest request = exec()) {
    const auto token = tokens.add(std::move(request));
    EXPECT_TRUE(token.ok()) << token.status();
    return token.value_or("");
  }

  Tokens::Clock::time_point now{1000s};
  Tokens tokens{60s, [this] { return now; }};
};

TEST_F(TokensTest, EachIsForItsOwnRequest) {
  const std::string one = add(exec("one"));
  const std::string two = add(exec("two"));
  EXPECT_EQ(std::get<runtime::v1::ExecRequest>(*tokens.find("exec", two)).container_id(), "two");
  EXPECT_EQ(std::get<runtime::v1::ExecRequest>(*tokens.find("exec", one)).container_id(), "one");
}

TEST_F(TokensTest, LookingUsesNothingUpAndTakingDoes) {
  const std::string token = add();
  EXPECT_TRUE(tokens.find("exec", token));
  EXPECT_TRUE(tokens.find("exec", token));
  EXPECT_TRUE(tokens.take(token));
  EXPECT_FALSE(tokens.take(token));
  EXPECT_FALSE(tokens.find("exec", token));
}

TEST_F(TokensTest, AnotherKindOfStreamIsNotFound) {
  const std::string command = add();
  const std::string ports = add(runtime::v1::PortForwardRequest());
  const std::string attach = add(runtime::v1::AttachRequest());
  for (const char* path : {"attach", "portforward", "", "EXEC"}) {
    EXPECT_FALSE(tokens.find(path, command)) << path;
  }
  EXPECT_TRUE(tokens.find("portforward", ports));
  EXPECT_TRUE(tokens.find("attach", attach));
}

TEST_F(TokensTest, WhatIsNoTokenIsNotFound) {
  const std::string token = add();
  for (const std::string& other : {std::string(), token.substr(1), token + "0"}) {
    EXPECT_FALSE(tokens.find("exec", other));
    EXPECT_FALSE(tokens.take(other));
  }
  EXPECT_TRUE(tokens.take(token));
}

TEST_F(TokensTest, TheyExpireOneByOne) {
  const std::string early = add();
  now += 40s;
  const std::string late = add();
  now += 20s - 1ns;
  EXPECT_TRUE(tokens.find("exec", early));
  now += 1ns;
  EXPECT_FALSE(tokens.find("exec", early));
  EXPECT_FALSE(tokens.take(early));
  EXPECT_TRUE(tokens.find("exec", late));
  now += 40s;
  EXPECT_FALSE(tokens.take(late));
}

TEST_F(TokensTest, SoManyWaitAndNoMore) {
  std::set<std::string> all;
  for (size_t i = 0; i < Tokens::kMostTokens; ++i) all.insert(add());
  EXPECT_EQ(all.size(), Tokens::kMostTokens);
  EXPECT_TRUE(absl::IsResourceExhausted(tokens.add(exec()).status()));
  // One that is used makes room, and so does time.
  EXPECT_TRUE(tokens.take(*all.begin()));
  add();
  EXPECT_TRUE(absl::IsResourceExhausted(tokens.add(exec()).status()));
  now += 60s;
  for (size_t i = 0; i < Tokens::kMostTokens; ++i) add();
}

}  // namespace
}  // namespace berth::streaming
