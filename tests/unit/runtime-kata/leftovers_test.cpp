// What is found of a shim that nobody can ask.
#include "leftovers.hpp"

#include <chrono>
#include <csignal>
#include <string>
#include <sys/wait.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/process.hpp"

namespace berth::kata {
namespace {

using namespace std::chrono_literals;

// A program that goes on, with these on its command line.
support::Process start(const std::vector<std::string>& arguments) {
  support::Command command;
  command.argv = {"/bin/sh", "-c", "kill -STOP $$"};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  auto process = support::spawn(command);
  EXPECT_TRUE(process.ok()) << process.status();
  return *std::move(process);
}

TEST(ShimProcesses, AreThoseOfThePod) {
  support::Process own =
      start({"/usr/bin/shim-of-a-test", "-namespace", "x", "-id", "pod-of-a-test"});
  const support::Process others =
      start({"/usr/bin/shim-of-a-test", "-id", "another-pod", "pod-of-a-test"});
  const support::Process stranger = start({"/usr/bin/stranger", "-id", "pod-of-a-test"});
  EXPECT_THAT(shimProcesses("/opt/bin/shim-of-a-test", "pod-of-a-test"),
              testing::ElementsAre(own.pid()));
  EXPECT_TRUE(endShims("/opt/bin/shim-of-a-test", "pod-of-a-test", support::limitsFor(10s)).ok());
  EXPECT_EQ(own.wait().value_or(0), 128 + SIGKILL);
  EXPECT_THAT(shimProcesses("/opt/bin/shim-of-a-test", "pod-of-a-test"), testing::IsEmpty());
  EXPECT_TRUE(others.signal(0).ok());
  EXPECT_TRUE(stranger.signal(0).ok());
}

TEST(Cgroups, ThatAreNotThereAreFine) {
  EXPECT_TRUE(endCgroups("no-container-has-this-id", support::limitsFor(10s)).ok());
}

}  // namespace
}  // namespace berth::kata
