// A container in the PID namespace of another one, which is found by a process number.
#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.hpp"

namespace berth::engine::testing {
namespace {

using absl::StatusCode;
using ::testing::Contains;
using ::testing::Not;

class TargetTest : public EngineTest {
 protected:
  void SetUp() override {
    child_ = ::fork();
    if (child_ == 0) {
      for (;;) ::pause();
    }
    ASSERT_GT(child_, 0);
    keep(podRecord('a'));
    keep(containerRecord('c', 'a'));
    world_.set(strCat("runc pod_recover ", id('a')),
               {.containers = {{.id = id('c'), .startedAt = 1, .pid = child_}}});
    start();
    v1::ContainerConfig config = containerConfig("debugger");
    auto* options = config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
    options->set_pid(v1::TARGET);
    options->set_target_id(id('c'));
    config_ = config;
  }
  void TearDown() override { endTarget(); }
  // Before anything is told of it: its number is free for anybody.
  void endTarget() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    child_ = 0;
  }

  pid_t child_ = 0;
  v1::ContainerConfig config_;
};

TEST_F(TargetTest, OneThatRunsLendsItsNamespace) {
  const auto container = createContainer(id('a'), config_);
  ASSERT_TRUE(container.ok()) << container.status();
  EXPECT_TRUE(engine_->startContainer(*container, soon()).ok());
}

TEST_F(TargetTest, OneWhoseEndIsNotToldYetDoesNot) {
  const std::string container = *createContainer(id('a'), config_);
  endTarget();
  EXPECT_EQ(status('c').state(), v1::CONTAINER_RUNNING);
  EXPECT_EQ(createContainer(id('a'),
                            [&] {
                              v1::ContainerConfig another = config_;
                              another.mutable_metadata()->set_name("another");
                              return another;
                            }())
                .status()
                .code(),
            StatusCode::kFailedPrecondition);
  EXPECT_EQ(engine_->startContainer(container, soon()).code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(world_.calls(), Not(Contains(strCat("runc container_start ", container))));
}

TEST_F(TargetTest, WhatStartedWhileItEndedIsKilled) {
  const std::string container = *createContainer(id('a'), config_);
  std::promise<void> started;
  const std::string start = strCat("runc container_start ", container);
  world_.set(start, {.until = started.get_future().share()});
  auto answer =
      std::async(std::launch::async, [&] { return engine_->startContainer(container, soon()); });
  ASSERT_TRUE(world_.await(start));
  endTarget();
  started.set_value();
  EXPECT_EQ(answer.get().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(world_.calls(), Contains(strCat("runc container_kill ", container, " 9")));
  const auto ended = engine_->containerStatus(container);
  ASSERT_TRUE(ended.ok());
  EXPECT_EQ(ended->state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(ended->reason(), "StartError");
}

}  // namespace
}  // namespace berth::engine::testing
