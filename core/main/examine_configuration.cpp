#include "berth/support/status.hpp"
#include "main/examination.hpp"
#include "main/print.hpp"
#include "main/surroundings.hpp"
#include "main/wiring.hpp"

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
  void add(berth_finding_kind kind, std::string_view what, std::string_view detail,
           bool spared = false) {
    rows_.push_back({kind, std::string(what), std::string(detail), spared});
  }
  std::vector<Finding> take() { return std::move(rows_); }

 private:
  std::vector<Finding> rows_;
};

void examineSettings(const config::Config& config, const common::HostFacts& host, Rows& rows) {
  rows.refuse("configuration", engineSettings(config, host).status());
  rows.refuse("configuration", enginePreferences(config, host).status());
  rows.refuse("signature policy", signaturePolicy(config).status());
  for (const Surrounding& one : checkSurroundings(config)) rows.refuse(one.what, one.status);
}

std::string nameOf(plugins::Kind kind, const std::string& instance) {
  return strCat(plugins::kindName(kind), " ", instance);
}

void examineInstance(const plugins::Instance& instance, bool required, Rows& rows) {
  rows.add(BERTH_FINDING_OK, nameOf(instance.kind(), instance.name()), instance.library().path());
  const plugins::Operation op("examine", plugins::Operation::Clock::now() + kExaminationTime);
  std::vector<Finding> findings;
  const absl::Status examined = instance.examine(op, findings);
  for (const Finding& finding : findings)
    rows.add(finding.kind, strCat(finding.what, ", ", instance.name()), finding.detail, !required);
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
    printError("%.*s: %.*s\n", static_cast<int>(instance.size()), instance.data(),
               static_cast<int>(message.size()), message.data());
  };
  services.event = [](auto&&...) {};
  services.saveState = [](auto...) { return absl::UnavailableError("no daemon"); };
  services.credentials = [](auto&&...) { return absl::NotFoundError("no daemon"); };
  return services;
}

std::vector<Finding> examineConfiguration(const config::Config& config,
                                          const common::HostFacts& host,
                                          const plugins::Registry::Before& before) {
  Rows rows;
  examineSettings(config, host, rows);
  const plugins::HostServices services = servicesWithoutDaemon(config);
  plugins::Registry registry(config.pluginDirs, services);
  // Its problems are those of the failures.
  registry.load(wantedPlugins(config), before).IgnoreError();
  for (const plugins::Failure& failure : registry.failures())
    rows.refuse(nameOf(failure.wanted.kind, failure.wanted.name), failure.status);
  for (const auto& instance : registry.instances()) {
    if (before) before(strCat(nameOf(instance->kind(), instance->name()), " to examine this host"));
    examineInstance(*instance, isRequired(config, instance->kind(), instance->name()), rows);
  }
  if (before) before("plugins to be destroyed");
  return rows.take();
}

}  // namespace berth::program
