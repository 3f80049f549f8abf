// A runtime that runs nothing and answers with what it was given. TEST_THREADING is its threading;
// without it calls may come together.
#include "berth/runtime.hpp"

#include <atomic>
#include <chrono>
#include <mutex>
#include <poll.h>
#include <set>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "berth/extensions.hpp"

#ifndef TEST_THREADING
#define TEST_THREADING BERTH_THREADING_PARALLEL
#endif

namespace {

using berth::Op;
using berth::Status;

class TestRuntime
    : public berth::Runtime,
      public berth::Extensions<berth::RuntimePodResources, berth::RuntimePortForward> {
 public:
  using Runtime::Runtime;

  Status configure(std::string_view) override { return {}; }
  Status start() override {
    host().info("start");
    return {};
  }
  void stop() override { host().info("stop"); }
  Status updatePodResources(const Op&, std::string_view pod, std::string_view resources,
                            std::string_view overhead) override {
    return Status(BERTH_FAILED_PRECONDITION, std::string(pod) + ": " + std::string(resources) +
                                                 " and " + std::string(overhead));
  }
  // The other end has written which port was asked for.
  Status connectPort(const Op&, std::string_view, uint16_t port, int32_t& socket) override {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      return Status(BERTH_INTERNAL, "no sockets");
    const bool written = ::write(ends[1], &port, sizeof port) == sizeof port;
    ::close(ends[1]);
    socket = ends[0];
    return written ? Status() : Status(BERTH_INTERNAL, "nothing written");
  }

  Status features(std::string& json) override {
    json = host().instance() == "mute" ? "" : R"({"ociVersion": "1.0.2", "userNamespaces": true})";
    return {};
  }
  Status podCreate(const Op&, const berth::PodSpec& spec, berth::PodBuilder& out) override {
    for (const auto& [key, value] : spec.sysctls) {
      host().info("sysctl", {{"key", key}, {"value", value}});
    }
    for (const auto& [key, value] : spec.defaultAnnotations) {
      host().info("default", {{"key", key}, {"value", value}});
    }
    out.setNamespace(BERTH_NAMESPACE_NETWORK, "/run/ns/" + std::string(spec.id));
    out.setState(spec.hostname);
    return {};
  }
  Status podStart(const Op&, std::string_view) override {
    stayInside();
    return {};
  }
  Status podStop(const Op&, std::string_view) override { return {}; }
  Status podRemove(const Op&, std::string_view pod) override {
    if (pod.starts_with("late")) return {};
    return Status(BERTH_FAILED_PRECONDITION, "remove pod " + std::string(pod) + ": it is busy");
  }
  Status podRecover(const Op& op, std::string_view pod, std::string_view, std::string_view state,
                    StatusSink& out) override {
    if (pod.starts_with("stuck")) {
      host().info("asked for a pod that is stuck");
      pollfd cancelled{op.cancelFd(), POLLIN, 0};
      while (!op.cancelled()) ::poll(&cancelled, 1, 20);
      return Status(BERTH_CANCELLED, "it is stuck");
    }
    if (pod.starts_with("late")) {
      if (isNew(pod)) return Status(BERTH_UNAVAILABLE, "it is busy");
      stayInside();
    }
    berth_container_status status{};
    status.id = berth::str(state);
    status.state = BERTH_CONTAINER_EXITED;
    status.flags = BERTH_EVENT_OOM_KILLED;
    status.exit_code = 137;
    status.message = berth::str("there was no memory");
    out.add(status);
    return pod == "gone" ? Status(BERTH_NOT_FOUND, "it has ended") : Status();
  }
  Status containerCreate(const Op&, const berth_container_spec&) override { return {}; }
  Status containerStart(const Op&, std::string_view, std::string_view,
                        berth_container_status& status) override {
    status.state = BERTH_CONTAINER_RUNNING;
    status.pid = 4711;
    return {};
  }
  Status containerKill(const Op&, std::string_view, std::string_view, int, KillScope) override {
    return {};
  }
  Status containerWait(const Op&, std::string_view, std::string_view,
                       berth_container_status&) override {
    return {};
  }
  Status containerRemove(const Op&, std::string_view, std::string_view) override { return {}; }
  Status containerUpdate(const Op&, std::string_view, std::string_view, std::string_view) override {
    return {};
  }
  Status containerReopenLog(const Op&, std::string_view, std::string_view) override { return {}; }
  Status containerStats(const Op&, std::string_view, const std::vector<std::string_view>& ids,
                        StatsSink& out) override {
    for (std::string_view id : ids) {
      berth_stats stats{};
      stats.id = berth::str(id);
      stats.present = BERTH_STATS_CPU;
      stats.cpu_usage = 17;
      stats.cpu_user = out.wanted();  // to be seen on the other side
      const berth_disk_stats disks[] = {
          {.size = sizeof(berth_disk_stats), .device = berth::str("/dev/sda"), .read_bytes = 3},
          {.size = sizeof(berth_disk_stats), .device = berth::str("/dev/sdb"), .read_bytes = 4}};
      const berth_hugepage_stats pages = {
          .size = sizeof pages, .page_size = berth::str("2MB"), .usage = 5};
      if ((out.wanted() & BERTH_STATS_DISKS) != 0) {
        stats.disks = disks;
        stats.disk_count = 2;
        stats.hugepages = &pages;
        stats.hugepage_count = 1;
      }
      out.add(stats);
    }
    return {};
  }
  // The interfaces are laid out as a later minor version might have them.
  Status podStats(const Op&, std::string_view pod, StatsSink& out) override {
    struct Future {
      berth_interface_stats now;
      uint64_t added;
    };
    Future interfaces[2] = {};
    for (Future& one : interfaces) one.now.size = sizeof one;
    interfaces[0].now.name = berth::str("eth0");
    interfaces[0].now.rx_bytes = 1;
    interfaces[1].now.name = berth::str("eth1");
    interfaces[1].now.rx_bytes = 2;
    berth_stats stats{};
    stats.id = berth::str(pod);
    stats.interfaces = &interfaces[0].now;
    stats.interface_count = 2;
    out.add(stats);
    return {};
  }
  Status execStart(const Op&, const berth_exec_spec&) override { return {}; }
  Status execWait(const Op&, std::string_view, std::string_view, std::string_view,
                  int32_t& exitCode) override {
    exitCode = 3;
    return {};
  }
  Status resize(const Op&, std::string_view, std::string_view, std::string_view, uint32_t,
                uint32_t) override {
    return {};
  }
  Status attach(const Op&, std::string_view, std::string_view, int, int, int) override {
    return {};
  }

 private:
  // For so long that another call that may come comes.
  void stayInside() {
    if (++inside_ > 1) host().info("two calls at once");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    --inside_;
  }

  bool isNew(std::string_view pod) {
    const std::lock_guard lock(mutex_);
    return askedFor_.emplace(pod).second;
  }

  std::atomic<int> inside_{0};
  std::mutex mutex_;
  std::set<std::string> askedFor_;
};

}  // namespace

BERTH_PLUGIN(TestRuntime, {.name = "test-runtime",
                           .version = "1.0.0",
                           .summary = "for tests",
                           .threading = TEST_THREADING,
                           .options = ""})
