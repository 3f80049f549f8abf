// An engine on a system that has no more threads, or no more descriptors.
#include <sys/resource.h>
#include <unistd.h>

#include "../no_more_threads.hpp"
#include "engine_fixture.hpp"

namespace berth::engine {
namespace {

namespace v1 = runtime::v1;

// While it lives no more than `few` further descriptors can be opened.
class FewDescriptors {
 public:
  explicit FewDescriptors(rlim_t few) {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    const int lowest = ::dup(0);
    EXPECT_EQ(::close(lowest), 0);
    const rlimit now{static_cast<rlim_t>(lowest) + few, before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &now), 0);
  }
  ~FewDescriptors() { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0); }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

 private:
  rlimit before_{};
};

class ShortageTest : public EngineTest {
 protected:
  static v1::ExecSyncRequest execRequest() {
    v1::ExecSyncRequest request;
    request.set_container_id(kContainer);
    request.add_cmd("sleep");
    return request;
  }
};

TEST_F(ShortageTest, AnExecThatNobodyWaitsForIsReaped) {
  startEngine();
  recover();
  auto exec = engine_->exec(kContainer, {.command = {"sleep"}}, Deadline::max());
  ASSERT_TRUE(exec.ok()) << exec.status();
  {
    const testing_support::NoMoreThreads shortage;
    exec->reset();
    await([&] { return count("exec ended") == 1; });
  }
}

TEST_F(ShortageTest, ExecSyncStartsNothingThatItCouldNotWaitFor) {
  startEngine();
  recover();
  await([&] { return status().state() == v1::CONTAINER_RUNNING; });
  {
    plugins::Operation op("exec");
    const testing_support::NoMoreThreads shortage;
    EXPECT_EQ(engine_->execSync(execRequest(), op).status().code(),
              absl::StatusCode::kResourceExhausted);
  }
  for (rlim_t few = 0; few < 5; ++few) {
    plugins::Operation op("exec");
    const FewDescriptors shortage(few);
    EXPECT_EQ(engine_->execSync(execRequest(), op).status().code(),
              absl::StatusCode::kResourceExhausted)
        << few;
  }
  EXPECT_EQ(count("exec started"), 0u);
}

TEST_F(ShortageTest, ThePodOfADeadMonitorIsLookedAfter) {
  startEngine();
  recover();
  plugins::Event lost;
  lost.kind = BERTH_EVENT_POD_LOST;
  lost.pod = kPod;
  const testing_support::NoMoreThreads shortage;
  engine_->deliver(lost);
  await([&] { return status().state() == v1::CONTAINER_EXITED; });
  EXPECT_EQ(status().exit_code(), 7);
}

TEST_F(ShortageTest, RecoveryUndoesWhatWasCutOff) {
  records::ContainerRecord half = containerRecord();
  half.set_id("half");
  half.set_state(v1::CONTAINER_CREATED);
  half.set_creating(true);
  put(half);
  startEngine();
  const testing_support::NoMoreThreads shortage;
  recover();
  await([&] { return absl::IsNotFound(engine_->containerStatus("half").status()); });
}

TEST_F(ShortageTest, AnOperationThatCannotBeginIsAStatus) {
  startEngine();
  recover();
  {
    const testing_support::NoMoreThreads shortage;
    // Threads that still idle take work for a while.
    await([&] {
      return absl::IsResourceExhausted(engine_->stopContainer("container", {}, Deadline::max()));
    });
  }
}

}  // namespace
}  // namespace berth::engine
