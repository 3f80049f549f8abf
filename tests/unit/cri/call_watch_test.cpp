#include "cri/call_watch.hpp"

#include <gtest/gtest.h>

#include "../no_more_threads.hpp"

namespace berth::cri {
namespace {

TEST(CallWatchTest, WithoutAThreadACallIsNotWatchedButGoesOn) {
  CallWatch watch;
  {
    const grpc::ServerContext context;
    plugins::Operation operation("unwatched");
    const testing_support::NoMoreThreads shortage;
    const CallWatch::Guard guard(watch, context, operation);
    EXPECT_FALSE(operation.cancelled());
  }
  // The next one is watched, and what is gone is not looked at.
  const grpc::ServerContext context;
  plugins::Operation operation("watched");
  const CallWatch::Guard guard(watch, context, operation);
}

}  // namespace
}  // namespace berth::cri
