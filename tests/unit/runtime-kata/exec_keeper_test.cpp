// The plugin with a shim and keepers in the test's process: what becomes of an exec whose keeper
// has died, or whose shim cannot be reached.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <thread>
#include <unistd.h>
#include <vector>

#include "kata_plugin.hpp"
#include "keeper_fixture.hpp"

namespace berth::kata {
namespace {

// A keeper in a folder of its own.
class Successor {
 public:
  Successor() {
    ::mkfifo((folder / "log").c_str(), 0600);
    EXPECT_TRUE(streams::isOk(served_.open({.directory = folder / "",
                                            .events = folder / "e",
                                            .logFifo = folder / "log",
                                            .logFile = folder / "shim.log"})));
    thread_ = std::thread([this] { served_.run(); });
  }
  ~Successor() {
    EXPECT_TRUE(client.call({.operation = Operation::kShutDown}, limitsFor(kTime)).ok());
    thread_.join();
    served_.close();
  }
  Successor(const Successor&) = delete;
  Successor& operator=(const Successor&) = delete;

  bool has(const std::string& key) const {
    const auto known = client.call({.operation = Operation::kList}, limitsFor(kTime));
    EXPECT_TRUE(known.ok()) << known.status();
    return known.ok() && std::any_of(known->entries.begin(), known->entries.end(),
                                     [&](const auto& entry) { return entry.key == key; });
  }

  const ttrpc::test::Folder folder;
  const KeeperClient client{folder / ""};

 private:
  keeper::Keeper served_;
  std::thread thread_;
};

// Of a container that runs, "c" in "pod". Each exec writes "out" and ends, with exit code 0.
class ExecKeeper : public KeeperTest {
 protected:
  ExecKeeper() {
    record_.id = "pod";
    record_.directory = folder / "pod";
    record_.shim = "none";
    record_.address = {.address = "unix://" + (folder / "shim"), .version = 2};
    for (const auto& name : {record_.streamsDirectory(), record_.containersDirectory()})
      std::filesystem::create_directories(name);
    serveBy(folder / "");
    startShim();
    host_.context = this;
    host_.log = [](void* context, berth_log_level, berth_str, const berth_pair*, size_t) {
      ++static_cast<ExecKeeper*>(context)->lines_;
    };
    host_.emit_event = [](void*, const berth_event*) {};
  }
  void serveBy(const std::string& keeper) {
    std::filesystem::remove(record_.keeperDirectory());
    std::filesystem::create_directory_symlink(keeper, record_.keeperDirectory());
  }
  // In the place of whoever listens there.
  void startShim() {
    shim_ = std::make_unique<ttrpc::test::ServerThread>(
        folder / "next", [this](const ttrpc::Request& request, ttrpc::Responder responder) {
          answer(request, responder);
        });
    std::filesystem::rename(folder / "next", folder / "shim");
  }
  void recover() {
    ContainerRecord container;
    container.id = "c";
    container.stage = Stage::kRunning;
    ASSERT_TRUE(save(record_).ok() && save(record_, container).ok());
    berth_container_status_sink raw{};
    raw.add = [](berth_container_status_sink*, const berth_container_status*) {};
    Runtime::StatusSink sink(&raw);
    const Status recovered = plugin_.podRecover(Op(nullptr), "pod", record_.directory, {}, sink);
    ASSERT_TRUE(recovered.ok()) << recovered.message();
  }
  void startExec() {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    output_.reset(ends[0]);
    const support::Fd theirs(ends[1]);
    berth_exec_spec spec{};
    spec.size = sizeof spec;
    spec.pod = str("pod");
    spec.container = str("c");
    spec.id = str("e");
    spec.process = str("{}");
    spec.stdin_fd = spec.stderr_fd = -1;
    spec.stdout_fd = theirs.get();
    const Status started = plugin_.execStart(Op(nullptr), spec);
    ASSERT_TRUE(started.ok()) << started.message();
  }
  Status waitForExec(const berth_op* op = nullptr) {
    int32_t exitCode = -1;
    Status ended = plugin_.execWait(Op(op), "pod", "c", "e", exitCode);
    EXPECT_TRUE(!ended.ok() || exitCode == 0) << exitCode;
    return ended;
  }
  std::string output() const {
    char buffer[16];
    const ssize_t count = ::read(output_.get(), buffer, sizeof buffer);
    return {buffer, static_cast<size_t>(std::max<ssize_t>(count, 0))};
  }

  static bool eventually(const std::function<bool()>& holds) {
    const auto until = std::chrono::steady_clock::now() + kTime;
    while (!holds()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }

 private:
  // Wait is answered for execs alone.
  void answer(const ttrpc::Request& request, const ttrpc::Responder& responder) {
    std::string payload;
    if (request.method == "State") {
      api::StateResponse state;
      state.set_status(containerd::v1::types::RUNNING);
      payload = state.SerializeAsString();
    } else if (request.method == "Wait") {
      api::WaitRequest wait;
      EXPECT_TRUE(wait.ParseFromString(request.payload));
      if (wait.exec_id().empty()) return waiting_.push_back(responder);
    } else if (request.method == "Exec") {
      api::ExecProcessRequest exec;
      EXPECT_TRUE(exec.ParseFromString(request.payload));
      stdout_ = exec.stdout();
    } else if (request.method == "Start") {
      const support::Fd out(::open(stdout_.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
      EXPECT_EQ(::write(out.get(), "out", 3), 3);
    } else if (request.method == "Delete") {
      isDeleted_ = true;
    }
    responder.answer({0, {}, payload});
  }

  PodRecord record_;
  support::Fd output_;
  std::string stdout_;  // of the last exec, the shim's end
  berth_host host_{};
  std::vector<ttrpc::Responder> waiting_;

 protected:
  std::atomic<int> lines_ = 0;  // that are logged
  std::atomic<bool> isDeleted_ = false;
  std::unique_ptr<ttrpc::test::ServerThread> shim_;
  Successor successor_;
  KataPlugin plugin_{Host(&host_)};
};

TEST_F(ExecKeeper, SaysThatAllOutputIsRead) {
  recover();
  startExec();
  const Status ended = waitForExec();
  ASSERT_TRUE(ended.ok()) << ended.message();
  EXPECT_EQ(output(), "out");
}

// The other one has the same streams, and nothing of what the first one took with it.
TEST_F(ExecKeeper, AloneSaysSo) {
  recover();
  startExec();
  serveBy(successor_.folder / "");
  stop();
  EXPECT_TRUE(eventually([this] { return successor_.has("c.e"); }));
  const Status ended = waitForExec();
  EXPECT_EQ(ended.code(), BERTH_UNAVAILABLE) << ended.message();
  EXPECT_NE(ended.message().find("the pod's keeper"), std::string::npos) << ended.message();
  EXPECT_FALSE(successor_.has("c.e"));
  start();
}

// Nobody waits for it again.
TEST_F(ExecKeeper, WhatCannotBeWaitedForIsEndedOnceTheShimAnswers) {
  recover();
  startExec();
  // A shim whose queue of connections is full.
  const support::Fd full = ttrpc::test::listenAt(folder / "full", SOCK_NONBLOCK);
  ASSERT_EQ(::listen(full.get(), 0), 0);
  const support::Fd first = ttrpc::test::connectTo(folder / "full");
  std::filesystem::rename(folder / "full", folder / "shim");
  shim_.reset();
  ASSERT_TRUE(eventually([this] { return lines_ > 0; })) << "it is told";
  berth_op op{};
  op.size = sizeof op;
  op.cancel_fd = -1;
  op.deadline =
      (std::chrono::steady_clock::now() + std::chrono::milliseconds(100)).time_since_epoch() /
      std::chrono::nanoseconds(1);
  const Status cut = waitForExec(&op);
  EXPECT_EQ(cut.code(), BERTH_DEADLINE_EXCEEDED) << cut.message();
  EXPECT_FALSE(isDeleted_);
  startShim();
  EXPECT_TRUE(eventually([this] { return isDeleted_.load(); }));
}

}  // namespace
}  // namespace berth::kata
