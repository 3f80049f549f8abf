// A keeper on a thread of its own, with FIFOs in place of a shim.
#pragma once

#include <chrono>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <poll.h>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "keeper/keeper.hpp"
#include "keeper_client.hpp"
#include "ttrpc/fields.hpp"
#include "ttrpc_peer.hpp"

namespace berth::kata {

using keeper::Operation;

inline constexpr std::chrono::seconds kTime(10);
inline const ttrpc::Method kForward{"containerd.services.events.ttrpc.v1.Events", "Forward"};

class KeeperTest : public testing::Test {
 protected:
  KeeperTest() {
    ::mkfifo((folder / "log").c_str(), 0600);
    for (const char* name : {"in", "out", "err"}) ::mkfifo((folder / name).c_str(), 0600);
    start();
  }
  ~KeeperTest() override { stop(); }

  void start() {
    served = std::make_unique<keeper::Keeper>();
    EXPECT_TRUE(streams::isOk(served->open({.directory = folder / "",
                                            .events = folder / "e",
                                            .logFifo = folder / "log",
                                            .logFile = folder / "shim.log"})));
    thread = std::thread([this] { served->run(); });
  }
  void stop() {
    EXPECT_TRUE(call({.operation = Operation::kShutDown}).ok());
    thread.join();
    served->close();
    served.reset();
  }

  absl::StatusOr<keeper::Reply> call(const keeper::Request& request, const Streams& streams = {}) {
    return client.call(request, limitsFor(kTime), streams);
  }
  void open(keeper::Input mode = keeper::Input::kStays, uint32_t bound = 0,
            const std::string& cgroup = {}) {
    const auto opened = call({.operation = Operation::kOpen,
                              .key = "c",
                              .input = folder / "in",
                              .output = folder / "out",
                              .error = folder / "err",
                              .log = folder / "c.log",
                              .inputMode = mode,
                              .bound = bound,
                              .cgroup = cgroup});
    ASSERT_TRUE(opened.ok()) << opened.status();
  }
  // The end from which a session's output is read.
  support::Fd attachOutput() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const support::Fd theirs(ends[1]);
    EXPECT_TRUE(call({.operation = Operation::kAttach, .key = "c", .descriptors = keeper::kOutput},
                     {.output = theirs.get()})
                    .ok());
    return support::Fd(ends[0]);
  }
  support::Fd shimEnd(const char* name, int flags) {
    return support::Fd(::open((folder / name).c_str(), flags | O_CLOEXEC));
  }
  // Without their times.
  std::vector<std::string> lines(const std::string& name) {
    std::ifstream file(folder / name);
    std::vector<std::string> result;
    for (std::string line; std::getline(file, line);) result.push_back(line.substr(31));
    return result;
  }
  // As a shim tells of an event.
  void tell(const std::string& topic, const std::string& container) {
    std::string event, any, envelope, request;
    ttrpc::FieldWriter(event).bytes(1, container);
    ttrpc::FieldWriter(any).bytes(2, event);
    ttrpc::FieldWriter writer(envelope);
    writer.bytes(3, topic);
    writer.bytes(4, any);
    ttrpc::FieldWriter(request).bytes(1, envelope);
    const auto shim = ttrpc::Client::connect(folder / "e", limitsFor(kTime));
    ASSERT_TRUE(shim.ok()) << shim.status();
    EXPECT_TRUE((*shim)->call(kForward, request, limitsFor(kTime)).ok());
  }
  absl::StatusOr<keeper::Reply> nextEvent(const support::Fd& subscription) {
    const absl::Status waited = waitFor(subscription.get(), POLLIN, limitsFor(kTime), "an event");
    return waited.ok() ? KeeperClient::nextEvent(subscription)
                       : absl::StatusOr<keeper::Reply>(waited);
  }

  ttrpc::test::Folder folder;
  std::unique_ptr<keeper::Keeper> served;
  KeeperClient client{folder / ""};
  std::thread thread;
};

}  // namespace berth::kata
