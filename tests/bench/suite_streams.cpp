// How fast the output of a command, or of a container, reaches a client of the streaming server.
#include <map>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "berth/support/status.hpp"
#include "population.hpp"
#include "procfs.hpp"
#include "stream_client.hpp"
#include "suites.hpp"

namespace berth::bench {
namespace {

constexpr double kMib = 1024.0 * 1024.0;
// The log of a container that is attached to gets as much: that takes disk.
constexpr int kAttachShare = 8;
// What the plain copy is called beside the engines.
constexpr char kCopy[] = "copy";

const std::map<StreamTransport, const char*> kTransports = {
    {StreamTransport::kSpdy, "SPDY"}, {StreamTransport::kWebSocket, "WebSocket"}};

using Populations = std::map<Engine*, std::unique_ptr<Population>>;

// Reads what `read` gives, which has to be `expected`, and records its speed.
absl::Status timeRead(Section& section, const std::string& row, const std::string& subject,
                      uint64_t expected, const std::function<absl::StatusOr<uint64_t>()>& read) {
  const Clock::time_point begin = Clock::now();
  BERTH_ASSIGN_OR_RETURN(const uint64_t bytes, read());
  const double seconds = milliseconds(Clock::now() - begin) / 1000;
  if (bytes != expected) {
    return absl::DataLossError(absl::StrCat(row, ": ", bytes, " of ", expected, " bytes came"));
  }
  section.add(row, "MiB/s", subject, static_cast<double>(bytes) / kMib / seconds);
  return absl::OkStatus();
}

void addCpu(Section& section, const std::string& row, const std::string& subject, double seconds,
            uint64_t bytes) {
  section.add(absl::StrCat(row, ", CPU between"), "s/GiB", subject,
              seconds * 1024 * kMib / static_cast<double>(bytes));
}

absl::Status timeExec(Section& section, Engine& engine, const std::string& container,
                      StreamTransport transport, uint64_t bytes) {
  const std::string row = absl::StrCat("exec, ", kTransports.at(transport));
  BERTH_ASSIGN_OR_RETURN(const double before, cpuSeconds(engine.daemonPid()));
  BERTH_ASSIGN_OR_RETURN(const std::string url, engine.client().execUrl(container, zeroes(bytes)));
  BERTH_RETURN_IF_ERROR(timeRead(section, row, engine.name(), bytes, [&] {
    return readStream(url, {.transport = transport, .bytes = bytes}, {});
  }));
  BERTH_ASSIGN_OR_RETURN(const double after, cpuSeconds(engine.daemonPid()));
  addCpu(section, row, engine.name(), after - before, bytes);
  return absl::OkStatus();
}

// In a container of its own, which writes once it has a line of input. It does not end then:
// engines that drop what an ended container has left would fail.
absl::Status timeAttach(Section& section, Engine& engine, const std::string& pod,
                        StreamTransport transport, int round, uint64_t bytes) {
  const ContainerSpec spec{
      .name = absl::StrCat("attach-", kTransports.at(transport), "-", round),
      .argv = {"/bin/sh", "-c",
               absl::StrCat("read go; ", absl::StrJoin(zeroes(bytes), " "), "; read end")},
      .input = true};
  BERTH_ASSIGN_OR_RETURN(
      const std::string container,
      engine.client().createContainer(engine.podSpec(PodNetwork::kCni), pod, spec));
  BERTH_RETURN_IF_ERROR(engine.client().startContainer(container));
  BERTH_ASSIGN_OR_RETURN(const std::string url, engine.client().attachUrl(container));
  const StreamOptions options{.transport = transport, .input = true, .bytes = bytes};
  BERTH_RETURN_IF_ERROR(timeRead(section, absl::StrCat("attach, ", kTransports.at(transport)),
                                 engine.name(), bytes,
                                 [&] { return readStream(url, options, "go\n"); }));
  BERTH_RETURN_IF_ERROR(engine.client().stopContainer(container, std::chrono::seconds(0)));
  return engine.client().removeContainer(container);
}

// The limit of both transports.
absl::Status timeCopy(Section& section, uint64_t bytes) {
  for (const auto& [transport, name] : kTransports) {
    const std::string row = absl::StrCat("exec, ", name);
    double cpu = 0;
    BERTH_RETURN_IF_ERROR(timeRead(section, row, kCopy, bytes, [&]() -> absl::StatusOr<uint64_t> {
      BERTH_ASSIGN_OR_RETURN(cpu, readCopy(bytes));
      return bytes;
    }));
    addCpu(section, row, kCopy, cpu, bytes);
  }
  return absl::OkStatus();
}

absl::Status timeAll(const Bench& bench, Section& section, Engine& engine, const RunningPod& pod,
                     int round) {
  const uint64_t bytes = static_cast<uint64_t>(bench.options.streamMebibytes) << 20;
  for (const auto& [transport, name] : kTransports) {
    BERTH_RETURN_IF_ERROR(timeExec(section, engine, pod.container, transport, bytes));
    BERTH_RETURN_IF_ERROR(
        timeAttach(section, engine, pod.pod, transport, round, bytes / kAttachShare));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status runStreams(Bench& bench) {
  const Options& options = bench.options;
  const uint64_t bytes = static_cast<uint64_t>(options.streamMebibytes) << 20;
  bench.progress(absl::StrCat("streams: ", options.streamRounds, " rounds of ",
                              options.streamMebibytes, " MiB"));
  bench.report.subjects.push_back({kCopy, "a pipe copied to a loopback connection, no engine"});
  Populations populations;
  Sweep sweep(bench, "streams");
  BERTH_RETURN_IF_ERROR(sweep.each([&](Engine& engine) {
    auto& population = populations[&engine];
    population = std::make_unique<Population>(engine);
    return population->grow(1, 1);
  }));
  Section section("streams", "Output of commands and containers");
  for (int round = 0; round < options.streamRounds; ++round) {
    BERTH_RETURN_IF_ERROR(timeCopy(section, bytes));
    BERTH_RETURN_IF_ERROR(sweep.each([&](Engine& engine) {
      return timeAll(bench, section, engine, populations[&engine]->pods().front(), round);
    }));
  }
  section.note(absl::StrCat(
      "From the client's connection to the last byte; exec: ", options.streamMebibytes,
      " MiB, its start included; attach: ", options.streamMebibytes / kAttachShare,
      " MiB, which go to the container's log as well. The client discards what it reads. CPU "
      "between: "
      "the daemon's, or the copying thread's. The copy "
      "is the same number of processes without an engine: a command, one that copies what it "
      "writes from a pipe to a loopback connection, and the same reader."));
  BERTH_RETURN_IF_ERROR(
      sweep.each([&](Engine& engine) { return populations[&engine]->remove(1); }));
  bench.report.sections.push_back(std::move(section));
  return absl::OkStatus();
}

}  // namespace berth::bench
