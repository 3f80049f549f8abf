#include "streaming/async.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "../no_more_threads.hpp"

namespace berth::streaming {
namespace {

absl::Status runOne(common::Workers& workers) {
  boost::asio::io_context context;
  absl::Status result = absl::UnknownError("not run");
  boost::asio::co_spawn(
      context, runBlocking(workers, context.get_executor(), [] { return absl::OkStatus(); }),
      [&](const std::exception_ptr& thrown, absl::Status status) {
        EXPECT_EQ(thrown, nullptr);
        result = std::move(status);
      });
  context.run_for(std::chrono::seconds(20));
  return result;
}

// Others of a session use what the caller's frame holds: an exception would free it under them.
TEST(RunBlockingTest, AThreadThatCannotBeHadIsAnError) {
  common::Workers workers;
  {
    const testing_support::NoMoreThreads shortage;
    EXPECT_TRUE(absl::IsResourceExhausted(runOne(workers)));
  }
  EXPECT_TRUE(runOne(workers).ok());
}

}  // namespace
}  // namespace berth::streaming
