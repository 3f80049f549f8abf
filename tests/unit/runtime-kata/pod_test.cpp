// What calls of a pod do to each other, without a shim.
#include "pod.hpp"

#include <array>
#include <future>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <gtest/gtest.h>

#include "berth/support/status.hpp"
#include "pod_streams.hpp"
#include "ttrpc_peer.hpp"

namespace berth::kata {
namespace {

class Silence final : public PodListener {
  void onContainerExited(const std::string&, const ContainerRecord&) override {}
  void onContainerOom(const std::string&, const std::string&) override {}
  void onPodLost(const std::string&, const std::string&) override {}
  void warn(const std::string&, std::string_view, const absl::Status&) override {}
};

TEST(Pod, AnotherKeeperWatchesWhatTheFirstDid) {
  PodRecord record;
  record.id = "pod";
  Silence listener;
  const auto pod = Pod::make(record, listener);
  ASSERT_TRUE(pod.ok()) << pod.status();
  ContainerRecord container;
  container.id = "c";
  EXPECT_EQ(openRequest(**pod, container).cgroup, "");
  container.cgroup = "/sys/fs/cgroup/pod/c";
  EXPECT_EQ(openRequest(**pod, container).cgroup, container.cgroup);
}

// Its shim has hung for so long that its queue of connections is full.
TEST(Pod, WhoWaitsForItsShimGoesWhenCancelledWhoeverElseWaits) {
  const ttrpc::test::Folder folder;
  const support::Fd socket = ttrpc::test::listenAt(folder / "shim", SOCK_NONBLOCK);
  ASSERT_EQ(::listen(socket.get(), 0), 0);
  const support::Fd first = ttrpc::test::connectTo(folder / "shim");

  PodRecord record;
  record.id = "pod";
  record.address = {.address = "unix://" + (folder / "shim"), .version = 3};
  Silence listener;
  const auto pod = Pod::make(record, listener);
  ASSERT_TRUE(pod.ok()) << pod.status();

  struct Caller {
    support::Fd cancel{::eventfd(0, EFD_CLOEXEC)};
    std::future<absl::Status> end;
  };
  std::array<Caller, 4> callers;
  for (Caller& caller : callers) {
    caller.end = std::async(std::launch::async, [&, cancel = caller.cancel.get()] {
      return (*pod)->shim({.cancelFd = cancel}).status();
    });
    EXPECT_EQ(caller.end.wait_for(std::chrono::milliseconds(10)), std::future_status::timeout);
  }
  // The first of them is most likely the one that tries to connect.
  for (auto caller = callers.rbegin(); caller != callers.rend(); ++caller) {
    ASSERT_EQ(::eventfd_write(caller->cancel.get(), 1), 0);
    EXPECT_EQ(caller->end.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  }
  for (Caller& caller : callers) {
    const absl::Status end = caller.end.get();
    EXPECT_TRUE(absl::IsCancelled(end)) << end;
  }
}

}  // namespace
}  // namespace berth::kata
