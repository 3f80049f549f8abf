#include <cstdio>
#include <filesystem>
#include <unistd.h>

#include "berth/support/status.hpp"
#include "cri/server.hpp"
#include "main/examination.hpp"
#include "main/wiring.hpp"
#include "streaming/listener.hpp"
#include "streaming/tls.hpp"

namespace berth::program {

using plugins::Finding;
using support::fromAbsl;
using support::strCat;

namespace {

// For all that one plugin finds out.
constexpr auto kExaminationTime = std::chrono::seconds(30);

class Rows {
 public:
  // A failure is something that stops the start.
  void refuse(std::string_view what, const absl::Status& status) {
    if (!status.ok()) add(BERTH_FINDING_REFUSED, what, fromAbsl(status.message()));
  }
  void add(berth_finding_kind kind, std::string_view what, std::string_view detail) {
    rows_.push_back({kind, std::string(what), std::string(detail)});
  }
  std::vector<Finding> take() { return std::move(rows_); }

 private:
  std::vector<Finding> rows_;
};

// The start makes the folders that are missing.
absl::Status checkLogFile(const std::string& file) {
  if (file.empty()) return absl::OkStatus();
  const std::string there = existingPart(file);
  // With the slash only a folder will do.
  const std::string place = there == file ? file : there + "/";
  if (::access(place.c_str(), W_OK) != 0)
    return support::annotate(support::errnoStatus(errno, strCat("write to ", there)), "log.file");
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored))
    return absl::InvalidArgumentError(strCat("log.file: ", file, " is a folder"));
  return absl::OkStatus();
}

// On a port of the kernel's choice: a daemon may be using the one that is configured.
absl::Status checkStreamingAddress(const config::Streaming& streaming) {
  return support::annotate(streaming::listenOn(streaming.address, 0).status(), "streaming.address");
}

absl::Status checkMetricsAddress(const config::Metrics& metrics) {
  if (metrics.port == 0) return absl::OkStatus();
  return support::annotate(streaming::listenOn(metrics.address, 0).status(), "metrics.address");
}

absl::Status checkStreamingTls(const config::Streaming& streaming) {
  if (streaming.tlsCert.empty()) return absl::OkStatus();
  const auto tls =
      streaming::TlsContexts::load({streaming.tlsCert, streaming.tlsKey, streaming.tlsClientCa});
  return support::annotate(tls.status(), "streaming.tls_cert");
}

void examineSettings(const config::Config& config, const common::HostFacts& host, Rows& rows) {
  rows.refuse("configuration", engineSettings(config, host).status());
  rows.refuse("configuration", enginePreferences(config, host).status());
  rows.refuse("signature policy", signaturePolicy(config).status());
  rows.refuse("log", checkLogFile(config.log.file));
  rows.refuse("streaming", checkStreamingAddress(config.streaming));
  rows.refuse("streaming", checkStreamingTls(config.streaming));
  rows.refuse("metrics", checkMetricsAddress(config.metrics));
  if (!config.grpc.socketGroup.empty())
    rows.refuse("socket", cri::socketGroup(config.grpc.socketGroup).status());
}

std::string nameOf(plugins::Kind kind, const std::string& instance) {
  return strCat(plugins::kindName(kind), " ", instance);
}

void examineInstance(const plugins::Instance& instance, Rows& rows) {
  rows.add(BERTH_FINDING_OK, nameOf(instance.kind(), instance.name()), instance.library().path());
  const plugins::Operation op("examine", plugins::Operation::Clock::now() + kExaminationTime);
  std::vector<Finding> findings;
  const absl::Status examined = instance.examine(op, findings);
  for (const Finding& finding : findings)
    rows.add(finding.kind, strCat(finding.what, ", ", instance.name()), finding.detail);
  if (!examined.ok())
    rows.add(BERTH_FINDING_LIMITED, nameOf(instance.kind(), instance.name()),
             fromAbsl(examined.message()));
}

}  // namespace

plugins::HostServices servicesWithoutDaemon(const config::Config& config) {
  plugins::HostServices services;
  services.root = config.root;
  services.state = config.state;
  services.log = [](berth_log_level, std::string_view instance, std::string_view message,
                    const plugins::LogFields&) {
    std::fprintf(stderr, "%.*s: %.*s\n", static_cast<int>(instance.size()), instance.data(),
                 static_cast<int>(message.size()), message.data());
  };
  services.event = [](std::string_view, plugins::Event) {};
  services.saveState = [](auto...) { return absl::UnavailableError("no daemon"); };
  services.credentials = [](auto&&...) { return absl::NotFoundError("no daemon"); };
  return services;
}

std::vector<Finding> examineConfiguration(const config::Config& config,
                                          const common::HostFacts& host) {
  Rows rows;
  examineSettings(config, host, rows);
  const plugins::HostServices services = servicesWithoutDaemon(config);
  plugins::Registry registry(config.pluginDirs, services);
  // Its problems are those of the failures.
  registry.load(wantedPlugins(config)).IgnoreError();
  for (const plugins::Failure& failure : registry.failures())
    rows.refuse(nameOf(failure.wanted.kind, failure.wanted.name), failure.status);
  for (const auto& instance : registry.instances()) examineInstance(*instance, rows);
  return rows.take();
}

}  // namespace berth::program
