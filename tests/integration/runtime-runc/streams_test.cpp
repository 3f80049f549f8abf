// Exec, attach and terminals.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include <gmock/gmock.h>

#include "berth/support/files.hpp"
#include "fixture.hpp"

namespace berth::test {
namespace {

using ::testing::HasSubstr;
using ::testing::PrintToString;

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
  support::Fd read;
  support::Fd write;
};

class Streams : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    pod_ = newPod();
    ASSERT_TRUE(create(pod_).ok());
  }
  void TearDown() override {
    if (!pod_.id.empty() && !HasFailure()) {
      EXPECT_TRUE(plugin().podRemove(pod_.id).ok());
    }
    RuntimeTest::TearDown();
  }

  static std::string process(const std::string& script, bool terminal) {
    return std::string(R"({"terminal": )") + (terminal ? "true" : "false") +
           R"(, "user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["PATH=/bin"],
               "args": ["sh", "-c", ")" +
           script + R"("]})";
  }

  Result execStart(const Container& container, const std::string& id, const std::string& script,
                   uint32_t flags, int in, int out, int err) {
    const std::string document = process(script, (flags & BERTH_CONTAINER_TERMINAL) != 0);
    berth_exec_spec spec{};
    spec.size = sizeof spec;
    spec.pod = str(pod_.id);
    spec.container = str(container.id);
    spec.id = str(id);
    spec.process = str(document);
    spec.flags = flags;
    spec.stdin_fd = in;
    spec.stdout_fd = out;
    spec.stderr_fd = err;
    spec.rows = 33;
    spec.columns = 99;
    const TestOp op;
    return plugin().call([&](const berth_runtime& runtime, void* self, berth_error* error) {
      return runtime.exec_start(self, op.get(), &spec, error);
    });
  }

  Result execWait(const Container& container, const std::string& id, int32_t* code,
                  const TestOp& op = TestOp()) {
    return plugin().call([&](const berth_runtime& runtime, void* self, berth_error* error) {
      return runtime.exec_wait(self, op.get(), str(pod_.id), str(container.id), str(id), code,
                               error);
    });
  }

  Result attach(const Container& container, int in, int out, int err) {
    const TestOp op;
    return plugin().call([&](const berth_runtime& runtime, void* self, berth_error* error) {
      return runtime.attach(self, op.get(), str(pod_.id), str(container.id), in, out, err, error);
    });
  }

  Pod pod_;
};

TEST_F(Streams, ExecHasItsOwnStreamsAndCode) {
  const Container container = newContainer(pod_, {"sleep", "1000"});
  run(pod_, container);
  Pipe in, out, err;
  const Result started = execStart(container, "e1", "cat; echo bad >&2; exit 7", 0, in.read.get(),
                                   out.write.get(), err.write.get());
  ASSERT_TRUE(started.ok()) << PrintToString(started);
  in.read.reset();
  out.write.reset();
  err.write.reset();
  ASSERT_TRUE(support::writeAll(in.write.get(), "through\n").ok());
  in.write.reset();
  EXPECT_EQ(readToEnd(out.read.get()), "through\n");
  EXPECT_EQ(readToEnd(err.read.get()), "bad\n");
  int32_t code = -1;
  ASSERT_TRUE(execWait(container, "e1", &code).ok());
  EXPECT_EQ(code, 7);
  EXPECT_EQ(execWait(container, "e1", &code).code, BERTH_NOT_FOUND);
}

TEST_F(Streams, ExecTakesItsWholeTreeAlongAtTheDeadline) {
  const Container container = newContainer(pod_, {"sleep", "1000"});
  run(pod_, container);
  Pipe out;
  ASSERT_TRUE(
      execStart(container, "e1", "sleep 4321 & echo on; sleep 4321", 0, -1, out.write.get(), -1)
          .ok());
  out.write.reset();
  int32_t code = -1;
  const Result waited = execWait(container, "e1", &code, TestOp(std::chrono::milliseconds(300)));
  EXPECT_EQ(waited.code, BERTH_DEADLINE_EXCEEDED) << PrintToString(waited);
  // End of file: nobody holds the pipe any more.
  EXPECT_THAT(readToEnd(out.read.get()), ::testing::AnyOf("on\n", ""));
  EXPECT_EQ(execWait(container, "e1", &code).code, BERTH_NOT_FOUND);
  const auto stats = plugin().containerStats(pod_.id, {container.id});
  EXPECT_EQ(stats.at(container.id).values.processes, 1u);
}

TEST_F(Streams, ExecNeedsARunningContainerAndAProgram) {
  const Container container = newContainer(pod_, {"sleep", "1000"});
  ASSERT_TRUE(create(pod_, container).ok());
  EXPECT_FALSE(execStart(container, "e1", "true", 0, -1, -1, -1).ok());
  ASSERT_TRUE(plugin().containerStart(pod_.id, container.id).ok());
  berth_exec_spec spec{};
  spec.size = sizeof spec;
  spec.pod = str(pod_.id);
  spec.container = str(container.id);
  spec.id = str("e2");
  spec.process = str(R"({"args": ["/no/such/program"], "cwd": "/", "user": {"uid":0,"gid":0}})");
  spec.stdin_fd = spec.stdout_fd = spec.stderr_fd = -1;
  const TestOp op;
  const Result failed =
      plugin().call([&](const berth_runtime& runtime, void* self, berth_error* error) {
        return runtime.exec_start(self, op.get(), &spec, error);
      });
  EXPECT_FALSE(failed.ok());
  EXPECT_THAT(failed.message, HasSubstr("/no/such/program"));
}

TEST_F(Streams, ExecTerminalHasItsSize) {
  const Container container = newContainer(pod_, {"sleep", "1000"});
  run(pod_, container);
  Pipe out;
  const Result started =
      execStart(container, "e1", "stty size", BERTH_CONTAINER_TERMINAL, -1, out.write.get(), -1);
  ASSERT_TRUE(started.ok()) << PrintToString(started);
  out.write.reset();
  EXPECT_EQ(readToEnd(out.read.get()), "33 99\r\n");
  int32_t code = -1;
  ASSERT_TRUE(execWait(container, "e1", &code).ok());
  EXPECT_EQ(code, 0);
}

TEST_F(Streams, AttachCarriesInputAndOutput) {
  Container container = newContainer(pod_, {"cat"});
  container.flags = BERTH_CONTAINER_STDIN | BERTH_CONTAINER_STDIN_ONCE;
  run(pod_, container);
  Pipe in, out;
  const Result attached = attach(container, in.read.get(), out.write.get(), -1);
  ASSERT_TRUE(attached.ok()) << PrintToString(attached);
  in.read.reset();
  out.write.reset();
  ASSERT_TRUE(support::writeAll(in.write.get(), "hello\n").ok());
  // Its stdin ends with this one, so cat ends, and with it the output.
  in.write.reset();
  EXPECT_EQ(readToEnd(out.read.get()), "hello\n");
  EXPECT_EQ(waitFor(pod_, container).exitCode, 0);
  EXPECT_THAT(logOf(container), HasSubstr("stdout F hello\n"));
}

TEST_F(Streams, ContainerTerminalCanBeResized) {
  Container container = newContainer(pod_, {"sh", "-c", "read line; stty size"});
  container.flags = BERTH_CONTAINER_TERMINAL | BERTH_CONTAINER_STDIN;
  run(pod_, container);
  const TestOp op;
  const Result resized = plugin().call([&](const berth_runtime& runtime, void* self,
                                           berth_error* error) {
    return runtime.resize(self, op.get(), str(pod_.id), str(container.id), str(""), 44, 111, error);
  });
  ASSERT_TRUE(resized.ok()) << PrintToString(resized);
  Pipe in, out;
  ASSERT_TRUE(attach(container, in.read.get(), out.write.get(), -1).ok());
  in.read.reset();
  out.write.reset();
  ASSERT_TRUE(support::writeAll(in.write.get(), "go\n").ok());
  EXPECT_THAT(readToEnd(out.read.get()), HasSubstr("44 111"));
  EXPECT_EQ(waitFor(pod_, container).exitCode, 0);
}

}  // namespace
}  // namespace berth::test
