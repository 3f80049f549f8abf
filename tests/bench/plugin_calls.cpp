// What a call of a plugin costs: within the daemon's process, and with the plugin in a process of
// its own; beside it a small gRPC call between two processes. Needs no engine, no rights, and a
// machine that has nothing else to do.
//
//   berth-bench-calls [--calls N] [--check]
//
// --check fails when a promise is not kept: 100 ns for what the host adds within the process, 30 µs
// for a small call of another process. It is held against the median.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string_view>
#include <unistd.h>
#include <vector>

#include "berth/support/status.hpp"
#include "grpc_peer.hpp"
#include "plugins/registry.hpp"
#include "statistics.hpp"
#include "test_paths.hpp"

namespace berth::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kInProcessNanoseconds = 100;
constexpr double kIsolatedNanoseconds = 30'000;
// Calls of one measurement: one alone is shorter than reading the clock.
constexpr int kBatch = 100;

template <class Call>
Summary measure(int calls, Call call) {
  for (int i = 0; i < kBatch; ++i) call();
  std::vector<double> nanoseconds;
  for (int done = 0; done < calls; done += kBatch) {
    const auto begin = Clock::now();
    for (int i = 0; i < kBatch; ++i) call();
    nanoseconds.push_back(std::chrono::duration<double, std::nano>(Clock::now() - begin).count() /
                          kBatch);
  }
  return summarize(std::move(nanoseconds));
}

void print(const char* what, const Summary& summary) {
  std::printf("%-44s %10.0f ns median %10.0f ns p99\n", what, summary.median, summary.p99);
}

struct Bed {
  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / support::strCat("berth-bench-calls-", ::getpid());
  plugins::HostServices services;
  std::unique_ptr<plugins::Registry> registry;

  Bed() {
    services.root = folder / "root";
    services.state = folder / "state";
    services.log = [](berth_log_level, std::string_view, std::string_view,
                      const plugins::LogFields&) {};
    services.event = [](auto&&...) {};
    services.saveState = [](auto...) { return absl::OkStatus(); };
    services.credentials = [](auto&&...) { return absl::NotFoundError("none"); };
    registry = std::make_unique<plugins::Registry>(std::vector<std::string>{}, services);
  }
  Bed(const Bed&) = delete;
  Bed& operator=(const Bed&) = delete;
  ~Bed() {
    registry.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
};

absl::Status run(int calls, bool check) {
  Bed bed;
  plugins::Wanted here{plugins::Kind::kNetwork, "here", test_paths::plugin, {}};
  plugins::Wanted apart = here;
  apart.name = "apart";
  apart.isolation = {.process = true, .program = test_paths::pluginHost};
  BERTH_RETURN_IF_ERROR(bed.registry->load({here, apart}));
  BERTH_RETURN_IF_ERROR(bed.registry->start());
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Network> inProcess,
                         bed.registry->network("here"));
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Network> isolated,
                         bed.registry->network("apart"));
  plugins::Operation op("measure");
  plugins::NetworkRequest request;
  request.pod = std::string(64, 'a');
  request.namespacePath = "/run/netns/cni-00000000-0000-0000-0000-000000000000";

  BERTH_ASSIGN_OR_RETURN(GrpcPeer peer, GrpcPeer::start(bed.folder / "peer"));
  BERTH_RETURN_IF_ERROR(peer.call());

  const Summary near = measure(calls, [&] { inProcess->status(op).IgnoreError(); });
  const Summary far = measure(calls / 10, [&] { isolated->status(op).IgnoreError(); });
  const Summary grpc = measure(calls / 10, [&] { peer.call().IgnoreError(); });
  print("status, in the process", near);
  print("status, in a process of its own", far);
  print("a small call by gRPC, of another process", grpc);
  std::printf("of its median: %.4f in the process, %.2f in a process of its own\n",
              near.median / grpc.median, far.median / grpc.median);
  print("attach with a result, in the process",
        measure(calls, [&] { inProcess->attach(op, request).IgnoreError(); }));
  print("attach with a result, in a process of its own",
        measure(calls / 10, [&] { isolated->attach(op, request).IgnoreError(); }));
  if (check && (near.median > kInProcessNanoseconds || far.median > kIsolatedNanoseconds))
    return absl::OutOfRangeError(support::strCat("promised are ", kInProcessNanoseconds, " ns and ",
                                                 kIsolatedNanoseconds, " ns"));
  return absl::OkStatus();
}

}  // namespace
}  // namespace berth::bench

int main(int argc, char** argv) {
  if (berth::bench::isPeer(argc, argv)) return berth::bench::servePeer(argv);
  int calls = 100'000;
  bool check = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--check") {
      check = true;
    } else if (option == "--calls" && i + 1 < argc && std::atoi(argv[i + 1]) > 0) {
      calls = std::atoi(argv[++i]);
    } else {
      std::fprintf(stderr, "usage: berth-bench-calls [--calls N] [--check]\n");
      return 2;
    }
  }
  const absl::Status status = berth::bench::run(calls, check);
  if (status.ok()) return 0;
  std::fprintf(stderr, "berth-bench-calls: %s\n", status.ToString().c_str());
  return 1;
}
