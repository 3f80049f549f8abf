#include "signatures/openpgp.hpp"

#include <ctime>
#include <fstream>
#include <sys/stat.h>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "openpgp_keys.hpp"
#include "test_paths.hpp"

namespace berth::signatures {
namespace {

using ::testing::HasSubstr;
using testing::OpenPgpKey;

constexpr uint32_t kDay = 86'400;

class OpenPgpTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::string> open(const std::vector<std::string>& keyrings,
                                   const std::string& message) const {
    return openPgp_.open(keyrings, message, {});
  }
  std::string refusal(const std::vector<std::string>& keyrings, const std::string& message) const {
    const auto opened = open(keyrings, message);
    EXPECT_TRUE(absl::IsInvalidArgument(opened.status())) << opened.status();
    return std::string(opened.status().message());
  }

  const OpenPgp openPgp_{test_paths::openPgp};
  const OpenPgpKey good_{"good"};
  const OpenPgpKey other_{"other"};
};

TEST_F(OpenPgpTest, GivesWhatAKeyHasSigned) {
  const std::string text("what is signed\0with a zero", 26);
  const std::string message = good_.sign(text);
  for (const std::vector<std::string>& keyrings : {std::vector{good_.exported()},
                                                   {good_.armored()},
                                                   {other_.exported(), good_.armored()},
                                                   {other_.exported() + good_.exported()}}) {
    const auto opened = open(keyrings, message);
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ(*opened, text);
  }
}

TEST_F(OpenPgpTest, AnotherKeyDoesNotCount) {
  EXPECT_THAT(refusal({other_.exported()}, good_.sign("x")), HasSubstr("no key of the policy"));
}

TEST_F(OpenPgpTest, ExactlyOneSignature) {
  const std::vector<std::string> both{good_.exported(), other_.exported()};
  const std::string two = good_.sign("x", {&other_});
  EXPECT_THAT(refusal(both, two), HasSubstr("2 signatures instead of one"));
  EXPECT_THAT(refusal({good_.exported()}, "no message"), HasSubstr("no OpenPGP message"));
  EXPECT_THAT(refusal({good_.exported()}, ""), HasSubstr("empty"));
}

TEST_F(OpenPgpTest, AChangedMessageIsNone) {
  const std::string message = good_.sign("what is signed");
  size_t refused = 0;
  for (size_t at = 0; at < message.size(); ++at) {
    std::string changed = message;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    const auto opened = open({good_.exported()}, changed);
    // Not every byte matters, as in a file's name; what comes out does.
    if (opened.ok()) {
      EXPECT_EQ(*opened, "what is signed");
    } else {
      ++refused;
    }
    if (at > 40) at += 3;
  }
  EXPECT_GT(refused, 20u);
  // What follows the message is not part of it.
  const auto longer = open({good_.exported()}, message + good_.sign("and more"));
  if (longer.ok()) {
    EXPECT_EQ(*longer, "what is signed");
  }
}

TEST_F(OpenPgpTest, KeysEnd) {
  const auto now = static_cast<uint64_t>(std::time(nullptr));
  const OpenPgpKey expired("expired", kDay, now - uint64_t{10} * kDay);
  EXPECT_THAT(refusal({expired.exported()}, expired.sign("x")), HasSubstr("has expired"));
  const OpenPgpKey lasting("lasting", 20 * kDay, now - uint64_t{10} * kDay);
  EXPECT_TRUE(open({lasting.exported()}, lasting.sign("x")).ok());
  EXPECT_THAT(refusal({lasting.exported()}, lasting.sign("x", {}, kDay)),
              HasSubstr("it has expired"));
  const std::string before = good_.sign("x");
  good_.revoke();
  EXPECT_THAT(refusal({good_.exported()}, before), HasSubstr("is revoked"));
}

TEST_F(OpenPgpTest, LargeMessages) {
  const std::string large(900u << 10, 'a');
  const auto opened = open({good_.exported()}, good_.sign(large));
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(*opened, large);
  // Some kilobytes, compressed.
  EXPECT_FALSE(open({good_.exported()}, good_.sign(std::string(64u << 20, 'a'))).ok());
  EXPECT_FALSE(openPgp_.open({std::string(40u << 20, 'x')}, "x", {}).ok());
}

TEST_F(OpenPgpTest, Keyrings) {
  EXPECT_TRUE(openPgp_.checkKeyrings({good_.exported(), other_.armored()}, {}).ok());
  EXPECT_THAT(std::string(openPgp_.checkKeyrings({good_.exported(), "none"}, {}).message()),
              HasSubstr("keyring 2 of 2: it holds no OpenPGP keys"));
  EXPECT_FALSE(openPgp_.checkKeyrings({""}, {}).ok());
  EXPECT_FALSE(openPgp_.checkKeyrings({good_.sign("a message")}, {}).ok());
}

TEST_F(OpenPgpTest, TwoProcessesAtOnce) {
  berth::testing::TemporaryDirectory directory;
  const std::string program = directory / "slow";
  // Each leaves a file while it runs, and says how many there were.
  std::ofstream(program) << "#!/bin/sh\ncd '" << std::string(directory / "") << "'\n"
                         << "/bin/touch running.$$; /bin/sleep 0.2; ls running.* | /bin/grep -c . "
                            ">> seen; /bin/rm running.$$\nexit 1\n";
  ASSERT_EQ(::chmod(program.c_str(), 0755), 0);
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i)
    threads.emplace_back([&] { (void)OpenPgp(program).open({}, "x", {}); });
  for (std::thread& thread : threads) thread.join();
  std::ifstream seen(directory / "seen");
  int count = 0;
  for (int running = 0; seen >> running; ++count) EXPECT_LE(running, 2);
  EXPECT_EQ(count, 6);
}

TEST_F(OpenPgpTest, WithoutItsProgramNothingIsGood) {
  const auto opened = OpenPgp("/nonexistent/berth-openpgp").open({good_.exported()}, "x", {});
  EXPECT_FALSE(opened.ok());
  EXPECT_THAT(std::string(opened.status().message()), HasSubstr("/nonexistent/berth-openpgp"));
  const auto failed = OpenPgp("/bin/false").open({good_.exported()}, "x", {});
  EXPECT_TRUE(absl::IsInternal(failed.status())) << failed.status();
  // Whatever it prints, only one that says that it is done has verified something.
  EXPECT_FALSE(OpenPgp("/bin/false").checkKeyrings({good_.exported()}, {}).ok());
}

}  // namespace
}  // namespace berth::signatures
