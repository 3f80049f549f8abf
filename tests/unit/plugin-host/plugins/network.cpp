// A network that tells its host everything it is asked, and misbehaves on request: what a call does
// is said by the pod's name.
#include "berth/network.hpp"

#include <chrono>
#include <csignal>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>

#include "berth/extensions.hpp"

#ifndef TEST_VERSION
#define TEST_VERSION "1.0.0"
#endif

namespace {

using berth::Op;
using berth::Status;

class TestNetwork : public berth::Network, public berth::Extensions<berth::RuntimePortForward> {
 public:
  explicit TestNetwork(berth::Host given) : Network(given) { host().info("create"); }
  ~TestNetwork() override { host().info("destroy"); }

  Status configure(std::string_view options) override {
    host().info("configure", {{"options", options}});
    failStart_ = options.find("\"fail\":\"start\"") != std::string_view::npos;
    needsToBeAlone_ = options.find("\"fail\":\"beside\"") != std::string_view::npos;
    failExamination_ = options.find("\"fail\":\"examine\"") != std::string_view::npos;
    haunts_ = options.find("\"fail\":\"haunt\"") != std::string_view::npos;
    chatters_ = options.find("\"fail\":\"chatter\"") != std::string_view::npos;
    if (options.find("\"fail\":\"configure\"") != std::string_view::npos) {
      return Status(BERTH_INVALID_ARGUMENT, "the value of fail does not please");
    }
    if (options.find("\"fail\":\"at options\"") != std::string_view::npos) {
      return Status(BERTH_INVALID_ARGUMENT,
                    "option fail: does not please\noption fail[1].\"a: b\": nor does this\n"
                    "option limit: and this is a default");
    }
    return {};
  }
  Status examine(const Op&, berth::Findings& out) override {
    out.ok("cable", "plugged in");
    if (failExamination_) return Status(BERTH_UNAVAILABLE, "no light");
    out.limited("bytes", "not \xFF UTF-8");
    out.refused("limit", "option limit: too high for this host");
    out.add(77, "cable", "of another world");
    return {};
  }
  Status start() override {
    host().info("start");
    if (haunts_) std::thread(&haunt, host()).detach();
    if (needsToBeAlone_) return Status(BERTH_FAILED_PRECONDITION, "another one has the cable");
    return failStart_ ? Status(BERTH_UNAVAILABLE, "the cable is unplugged") : Status();
  }
  void stop() override {
    host().info("stop");
    if (!chatters_) return;
    std::thread([this] {
      for (int i = 0; i < 1000; ++i) host().info("chatter");
    }).join();
  }

  Status attach(const Op& op, const berth::NetworkRequest& request,
                berth::NetworkResult& out) override {
    host().info("enter", {{"pod", request.pod}});
    Status status = behave(op, request, out);
    host().info("leave", {{"pod", request.pod}});
    return status;
  }
  Status detach(const Op&, const berth::NetworkRequest&, std::string_view) override { return {}; }
  Status check(const Op&, const berth::NetworkRequest&, std::string_view) override { return {}; }
  Status status(const Op&) override { return {}; }
  Status gc(const Op&, const std::vector<berth::Attachment>&) override { return {}; }
  Status setPodCidr(const Op&, std::string_view cidr) override {
    host().info("range " + std::string(cidr));
    cidr_ = cidr;
    return {};
  }

  Status connectPort(const Op&, std::string_view, uint16_t port, int32_t& socket) override {
    socket = port + 1;
    return {};
  }

 private:
  Status behave(const Op& op, const berth::NetworkRequest& request, berth::NetworkResult& out) {
    const std::string_view what = request.name;
    if (what == "throw") throw std::runtime_error("thrown by the plugin");
    if (what == "code 99") return Status(99, "a code of its own");
    if (what == "code -1") return Status(-1, "a negative code");
    if (what == "silent") return Status(BERTH_UNAVAILABLE, "");
    if (what == "bad bytes") return giveBadBytes(op, out);
    if (what == "fail with bad bytes") return Status(BERTH_UNAVAILABLE, "cut \xC3");
    if (what == "wait") return waitForCancellation(op);
    if (what == "cut off") return Status(BERTH_CANCELLED, "cancelled");
    if (what == "die") return Status(BERTH_INTERNAL, ::raise(SIGKILL) == 0 ? "dead" : "");
    if (what == "hang") {
      for (;;) ::pause();
    }
    if (what == "process") {
      out.result = std::to_string(::getpid()) + "\n" + cidr_;
      return {};
    }
    if (what == "event") return emit(request);
    if (what == "save") return host().saveState(request.pod, "state of the pod");
    if (what == "save too much") return host().saveState(request.pod, std::string(1048577, 'x'));
    if (what == "directories") {
      out.result =
          std::string(host().rootDirectory()) + "\n" + std::string(host().stateDirectory());
      return {};
    }
    if (what == "credentials") {
      return host().getCredentials(op, "registry.example:5000", [&](const berth_credentials& c) {
        out.result = berth::copy(c.username) + "\n" + berth::copy(c.password);
      });
    }
    out.addresses.emplace_back("192.0.2.1");
    out.result = "{}";
    out.state = request.namespacePath;
    return {};
  }
  // Nothing of it is UTF-8.
  Status giveBadBytes(const Op& op, berth::NetworkResult& out) {
    op.stage("stage \xFF");
    host().info("message \xFF", {{"key", "value \xFF"}});
    berth_event event{};
    event.kind = BERTH_EVENT_CONTAINER_EXITED;
    event.pod = berth::str("pod \xFF");
    event.container = berth::str("container \xFF");
    event.message = berth::str("because \xFF");
    host().emit(event);
    out.result = "result \xFF";
    out.state = "state \xFF";
    return {};
  }
  static Status waitForCancellation(const Op& op) {
    op.stage("wait to be cancelled");
    op.progress(3, 10);
    pollfd cancelled{op.cancelFd(), POLLIN, 0};
    ::poll(&cancelled, 1, -1);
    return Status(BERTH_CANCELLED, op.cancelled() ? "cancelled" : "not cancelled after all");
  }
  Status emit(const berth::NetworkRequest& request) {
    berth_event event{};
    event.kind = BERTH_EVENT_CONTAINER_EXITED;
    event.flags = BERTH_EVENT_OOM_KILLED;
    event.pod = berth::str(request.pod);
    event.container = berth::str("container-1");
    event.timestamp = 1234;
    event.exit_code = 137;
    event.message = berth::str("out of memory");
    host().emit(event);
    return {};
  }

  std::string cidr_;
  bool failStart_ = false;
  bool needsToBeAlone_ = false;
  bool failExamination_ = false;
  // Calls for as long as the process lives, whatever has become of the instance.
  static void haunt(berth::Host host) {
    for (;;) {
      berth_event event{};
      event.kind = BERTH_EVENT_NETWORK_CHANGED;
      host.emit(event);
      host.info("haunts");
      (void)host.saveState("pod-1", "of a ghost");
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  bool chatters_ = false;
  bool haunts_ = false;
};

}  // namespace

BERTH_PLUGIN(TestNetwork, {.name = TEST_NAME,
                           .version = TEST_VERSION,
                           .summary = "for tests",
                           .threading = TEST_THREADING,
                           .options = R"([{"key": "fail", "type": "string", "default": "nothing"},
                                       {"key": "limit", "type": "integer", "default": 5}])"})
