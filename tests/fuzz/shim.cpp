// What a shim and a pod's keeper say: the output of a start, events, statistics, packets.
#include "keeper/protocol.hpp"
#include "keeper/shim_events.hpp"
#include "shim_program.hpp"
#include "target.hpp"
#include "task_stats.hpp"

namespace berth::fuzz {

using namespace kata;

namespace {

template <typename T>
void check(std::string_view packet) {
  T message;
  if (!keeper::decode(packet, message)) return;
  const std::string written = keeper::encode(message);
  T again;
  demand(keeper::decode(written, again), "a packet that is written can be read");
  demand(keeper::encode(again) == written, "and is the same then");
}

void run(std::string_view input) {
  const auto address = parseStartOutput(input);
  if (address.ok()) {
    demand(!address->address.empty(), "an address is one");
    demand(address->version == 2 || address->version == 3, "only what is spoken is accepted");
  }
  keeper::ShimEvent event;
  if (keeper::parseForward(input, event)) demand(!event.topic.empty(), "an event has a topic");
  check<keeper::Request>(input);
  check<keeper::Reply>(input);
  for (const char* type :
       {"io.containerd.cgroups.v1.Metrics", "io.containerd.cgroups.v2.Metrics"}) {
    const auto stats = parseStats(type, input);
    if (stats.ok()) {
      demand(stats->hugepages.size() == stats->pageSizes.size(), "each page size has its numbers");
    }
  }
  for (const InterfaceStats& each : parseInterfaces(input)) {
    demand(each.name.size() <= input.size(), "names lie in the text");
  }
}

std::vector<std::string> seeds() {
  const keeper::Request request{.operation = keeper::Operation::kOpen,
                                .key = "container.exec",
                                .input = "/in",
                                .output = "/out",
                                .log = "/log",
                                .inputMode = keeper::Input::kWithFirstSession,
                                .timeoutMs = 2000,
                                .cgroup = "/cgroup"};
  keeper::Reply reply{.entries = {{"c", 1, 0}, {"d", 0, 1}}, .key = "c"};
  reply.status = {streams::Code::kNotFound, "none"};
  return {"unix:///run/containerd/s/0123\n",
          R"({"version":3,"address":"unix:///run/s","protocol":"ttrpc"})",
          "\x08\x03\x12\x0eunix:///run/s2\x1a\x05ttrpc",
          "\x0a\x17\x1a\x0a/tasks/oom\x22\x09\x0a\x01t\x12\x04\x0a\x02id",
          "  eth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n",
          keeper::encode(request),
          keeper::encode(reply)};
}

}  // namespace

const Target kShim{run, seeds};

}  // namespace berth::fuzz
