// An engine on a system that has no more threads, or no more descriptors.
#include <atomic>
#include <sys/resource.h>
#include <unistd.h>

#include "../../no_more_threads.hpp"
#include "fixture.hpp"

namespace berth::engine::testing {
namespace {

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
  void SetUp() override {
    keep(podRecord('a'));
    records::ContainerRecord container = containerRecord('c', 'a');
    container.set_process(R"({"args": ["true"], "cwd": "/"})");
    keep(container);
    world_.set(strCat("runc pod_recover ", id('a')),
               {.containers = {{.id = id('c'), .startedAt = 1}}});
  }
  static v1::ExecSyncRequest execRequest() {
    v1::ExecSyncRequest request;
    request.set_container_id(id('c'));
    request.add_cmd("sleep");
    return request;
  }
  // Calls that hang until `release` is set, more than there are threads that idle, and no other
  // threads. Returns how many were served; the others were refused.
  template <class Call>
  size_t callUntilRefused(std::promise<void>& release, Call call) {
    constexpr int kCalls = 16;
    std::promise<void> begin;
    const std::shared_future<void> begun = begin.get_future().share();
    std::atomic<size_t> refused = 0;
    std::vector<std::thread> callers;
    for (int i = 0; i < kCalls; ++i) {
      callers.emplace_back([&, i] {
        begun.wait();
        const absl::Status status = call(i);
        EXPECT_TRUE(status.ok() || absl::IsResourceExhausted(status)) << status;
        if (!status.ok()) ++refused;
      });
    }
    {
      const testing_support::NoMoreThreads shortage;
      begin.set_value();
      EXPECT_TRUE(eventually([&] { return refused > 0; }));
    }
    release.set_value();
    for (std::thread& caller : callers) caller.join();
    return kCalls - refused;
  }
};

TEST_F(ShortageTest, AnExecThatNobodyWaitsForIsReaped) {
  std::promise<void> never;
  world_.set(strCat("runc exec_wait ", id('c')), {.until = never.get_future().share()});
  start();
  auto exec = engine_->exec(id('c'), {.command = {"sleep"}}, Deadline::max());
  ASSERT_TRUE(exec.ok()) << exec.status();
  const testing_support::NoMoreThreads shortage;
  exec->reset();
  EXPECT_TRUE(world_.await(strCat("runc exec_ended ", id('c'))));
}

TEST_F(ShortageTest, ExecSyncStartsNothingThatItCouldNotWaitFor) {
  std::promise<void> ended;
  world_.set(strCat("runc exec_wait ", id('c')), {.until = ended.get_future().share()});
  start();
  ASSERT_EQ(status('c').state(), v1::CONTAINER_RUNNING);
  const size_t served = callUntilRefused(ended, [this](int) {
    plugins::Operation op("exec");
    return engine_->execSync(execRequest(), op).status();
  });
  for (rlim_t few = 0; few < 5; ++few) {
    plugins::Operation op("exec");
    const FewDescriptors shortage(few);
    EXPECT_EQ(engine_->execSync(execRequest(), op).status().code(),
              absl::StatusCode::kResourceExhausted)
        << few;
  }
  EXPECT_EQ(world_.count(strCat("runc exec_start ", id('c'))), served);
}

TEST_F(ShortageTest, NothingIsStartedThatCouldNotBeCancelled) {
  start();
  ASSERT_EQ(status('c').state(), v1::CONTAINER_RUNNING);
  for (rlim_t few = 0; few < 2; ++few) {
    const FewDescriptors shortage(few);
    EXPECT_EQ(engine_->exec(id('c'), {.command = {"sleep"}}, Deadline::max()).status().code(),
              absl::StatusCode::kResourceExhausted)
        << few;
  }
  std::unique_ptr<plugins::Operation> op;
  {
    const FewDescriptors shortage(0);
    op = std::make_unique<plugins::Operation>("exec");
  }
  EXPECT_EQ(engine_->execSync(execRequest(), *op).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(world_.count(strCat("runc exec_start ", id('c'))), 0u);
}

TEST_F(ShortageTest, ThePodOfADeadMonitorIsLookedAfter) {
  start();
  world_.set(strCat("runc container_wait ", id('c')),
             {.containers = {{.state = BERTH_CONTAINER_EXITED, .exitCode = 7, .startedAt = 1}}});
  plugins::Event lost;
  lost.kind = BERTH_EVENT_POD_LOST;
  lost.pod = id('a');
  const testing_support::NoMoreThreads shortage;
  engine_->deliver(lost);
  ASSERT_TRUE(eventually([&] { return status('c').state() == v1::CONTAINER_EXITED; }));
  EXPECT_EQ(status('c').exit_code(), 7);
}

TEST_F(ShortageTest, RecoveryUndoesWhatWasCutOff) {
  records::ContainerRecord half = containerRecord('d', 'a', v1::CONTAINER_CREATED);
  half.set_creating(true);
  keep(half);
  open();
  const testing_support::NoMoreThreads shortage;
  ASSERT_TRUE(engine_->recover().ok());
  EXPECT_TRUE(
      eventually([&] { return absl::IsNotFound(engine_->containerStatus(id('d')).status()); }));
}

TEST_F(ShortageTest, AnOperationThatCannotBeginIsAStatus) {
  std::promise<void> unpacked;
  images_.hold(unpacked.get_future().share());
  start();
  const size_t served = callUntilRefused(unpacked, [this](int i) {
    return createContainer(id('a'), containerConfig(strCat("new-", i))).status();
  });
  EXPECT_THAT(engine_->listContainers({}), ::testing::SizeIs(1 + served));
}

}  // namespace
}  // namespace berth::engine::testing
