#include "main/wiring.hpp"

#include <algorithm>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "common/capability_names.hpp"
#include "common/refusal.hpp"
#include "config/document.hpp"
#include "images/manifest.hpp"

namespace berth::program {

namespace {

// What a reply of ExecSync has beside the output.
constexpr int64_t kReplyOverhead = 64;

common::LogLevel levelOf(const std::string& name) {
  if (name == "trace") return common::LogLevel::kTrace;
  if (name == "debug") return common::LogLevel::kDebug;
  if (name == "warn") return common::LogLevel::kWarning;
  if (name == "error") return common::LogLevel::kError;
  return common::LogLevel::kInfo;
}

volumes::ImageDefinedVolumes definedVolumes(const std::string& name) {
  if (name == "mkdir") return volumes::ImageDefinedVolumes::kMakeDirectory;
  if (name == "ignore") return volumes::ImageDefinedVolumes::kIgnore;
  return volumes::ImageDefinedVolumes::kBind;
}

// Each must be one that a pod with all namespaces of its own could ask for.
absl::StatusOr<spec::Sysctls> defaultSysctls(const config::Config& config,
                                             const common::HostFacts& host) {
  runtime::v1::PodSandboxConfig pod;
  for (const std::string& entry : config.containers.defaultSysctls) {
    const size_t equals = entry.find('=');
    (*pod.mutable_linux()->mutable_sysctls())[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  auto sysctls = spec::podSysctls(pod, {});
  if (!sysctls.ok())
    return config::atKey(config, "containers.default_sysctls", common::refusal(sysctls.status()));
  if (host.inUserNamespace) sysctls->erase(std::string(spec::kPingGroups));
  return sysctls;
}

// Runtimes that are to use another snapshotter than images are unpacked for by default.
std::map<std::string, std::string> snapshotterExceptions(const config::Config& config) {
  std::map<std::string, std::string> exceptions;
  for (const auto& [name, runtime] : config.runtimes) {
    if (runtime.snapshotter != config.images.snapshotter) exceptions[name] = runtime.snapshotter;
  }
  return exceptions;
}

// Runtimes whose pods get other images of an index than others.
absl::StatusOr<std::map<std::string, std::string>> platformExceptions(
    const config::Config& config) {
  std::map<std::string, std::string> exceptions;
  BERTH_ASSIGN_OR_RETURN(const images::Platform standard,
                         images::parsePlatform(config.images.platform));
  for (const auto& [name, runtime] : config.runtimes) {
    BERTH_ASSIGN_OR_RETURN(const std::string own,
                           images::platformBeside(standard, runtime.platform));
    if (!own.empty()) exceptions[name] = own;
  }
  return exceptions;
}

template <class Instance>
plugins::Isolation isolationOf(const Instance& instance) {
  plugins::Isolation isolation;
  isolation.process = instance.isolation == "process";
  if (instance.isolationCapabilities.empty()) return isolation;
  uint64_t kept = 0;
  for (const std::string& name : instance.isolationCapabilities) {
    if (const auto number = common::capabilityNumber(name); number.has_value())
      kept |= common::capabilityBit(*number);
  }
  isolation.capabilities = kept;
  return isolation;
}

}  // namespace

bool isRequired(const config::Config& config, plugins::Kind kind, const std::string& name) {
  return kind != plugins::Kind::kRuntime || name == config.defaultRuntime;
}

std::vector<plugins::Wanted> wantedPlugins(const config::Config& config) {
  std::vector<plugins::Wanted> wanted;
  const auto add = [&](plugins::Kind kind, std::string_view section, const auto& instances) {
    for (const auto& [name, one] : instances)
      wanted.push_back({kind,
                        name,
                        one.plugin,
                        one.options,
                        {config::joinKey(section, name), one.place},
                        isolationOf(one),
                        isRequired(config, kind, name)});
  };
  add(plugins::Kind::kImageSource, "sources", config.sources);
  add(plugins::Kind::kSnapshotter, "snapshotters", config.snapshotters);
  add(plugins::Kind::kNetwork, "networks", config.networks);
  add(plugins::Kind::kRuntime, "runtimes", config.runtimes);
  return wanted;
}

config::Config withAllOptions(config::Config config, const plugins::Registry& registry) {
  const auto set = [](auto& instances, const plugins::Instance& instance) {
    const auto found = instances.find(instance.name());
    if (found != instances.end()) found->second.options = instance.options();
  };
  for (const auto& instance : registry.instances()) {
    switch (instance->kind()) {
      case plugins::Kind::kImageSource:
        set(config.sources, *instance);
        break;
      case plugins::Kind::kSnapshotter:
        set(config.snapshotters, *instance);
        break;
      case plugins::Kind::kNetwork:
        set(config.networks, *instance);
        break;
      case plugins::Kind::kRuntime:
        set(config.runtimes, *instance);
        break;
    }
  }
  return config;
}

common::LogSettings logSettings(const config::Config& config) {
  return {levelOf(config.log.level),
          config.log.format == "json" ? common::LogFormat::kJson : common::LogFormat::kText,
          config.log.file};
}

spec::CgroupDriver cgroupDriver(const config::Config& config) {
  if (config.cgroup.driver == "systemd") return spec::CgroupDriver::kSystemd;
  if (config.cgroup.driver == "cgroupfs") return spec::CgroupDriver::kCgroupfs;
  return support::pathExists("/run/systemd/system") ? spec::CgroupDriver::kSystemd
                                                    : spec::CgroupDriver::kCgroupfs;
}

absl::StatusOr<engine::Settings> engineSettings(const config::Config& config,
                                                const common::HostFacts& host) {
  engine::Settings settings;
  settings.root = config.root;
  settings.state = config.state;
  settings.network = config.network;
  settings.snapshotter = config.images.snapshotter;
  settings.snapshotters = snapshotterExceptions(config);
  BERTH_ASSIGN_OR_RETURN(settings.platforms, platformExceptions(config));
  settings.cgroupDriver = cgroupDriver(config);
  settings.imageDefinedVolumes = definedVolumes(config.containers.imageVolumes);
  BERTH_ASSIGN_OR_RETURN(settings.defaultSysctls, defaultSysctls(config, host));
  settings.cdiDirs = config.containers.cdiDirs;
  settings.hooksDirs = config.containers.hooksDirs;
  return settings;
}

absl::StatusOr<engine::Preferences> enginePreferences(const config::Config& config,
                                                      const common::HostFacts& host) {
  engine::Preferences preferences;
  preferences.defaultRuntime = config.defaultRuntime;
  preferences.execSyncOutputBytes = static_cast<size_t>(std::min(
      config.containers.execSyncOutputBytes, config.grpc.maxMessageBytes - kReplyOverhead));
  spec::Defaults& defaults = preferences.containerDefaults;
  defaults.capabilities = config.containers.defaultCapabilities;
  defaults.environment = config.containers.defaultEnv;
  for (const std::string& text : config.containers.defaultUlimits) {
    BERTH_ASSIGN_OR_RETURN(const config::Ulimit limit, config::parseUlimit(text));
    defaults.ulimits.push_back({limit.type, limit.soft, limit.hard});
  }
  if (config.containers.seccompProfile.starts_with('/')) {
    defaults.seccompDefaultFile = config.containers.seccompProfile;
  }
  defaults.seccompWhenUnset = config.containers.seccompWhenUnset;
  if (host.appArmor) defaults.appArmorProfile = config.containers.apparmorProfile;
  defaults.pidsLimit = config.containers.pidsLimit;
  if (config.containers.deviceOwnership == "security-context") {
    defaults.deviceOwnership = spec::DeviceOwnership::kSecurityContext;
  }
  for (const auto& [name, runtime] : config.runtimes) {
    spec::Defaults own = defaults;
    own.annotations = runtime.annotations;
    for (const std::string& entry : runtime.defaultAnnotations) {
      const size_t equals = entry.find('=');
      own.defaultAnnotations[entry.substr(0, equals)] = entry.substr(equals + 1);
    }
    if (runtime.privilegedDevices == "none") {
      own.privilegedDevices = spec::PrivilegedDevices::kNone;
    }
    preferences.runtimeDefaults[name] = std::move(own);
  }
  return preferences;
}

absl::StatusOr<std::shared_ptr<const signatures::Policy>> signaturePolicy(
    const config::Config& config) {
  const std::string& path = config.images.signaturePolicy;
  if (path.empty()) return std::shared_ptr<const signatures::Policy>();
  auto policy = signatures::Policy::load(path, signatures::OpenPgp());
  if (!policy.ok()) return config::atKey(config, "images.signature_policy", policy.status());
  return policy;
}

std::shared_ptr<const images::ShortNames> shortNames(const config::Config& config) {
  return std::make_shared<const images::ShortNames>(config.images.searchRegistries,
                                                    config.images.shortNames);
}

images::Options imageOptions(const config::Config& config) {
  images::Options options;
  options.sources = config.images.sources;
  options.snapshotter = config.images.snapshotter;
  options.platform = config.images.platform;
  options.concurrentDownloads = static_cast<unsigned>(config.images.maxConcurrentDownloads);
  options.concurrentUnpacks = static_cast<unsigned>(config.images.maxConcurrentUnpacks);
  options.maxLayerBytes = static_cast<uint64_t>(config.images.maxLayerBytes);
  options.writeBytesPerSecond = static_cast<uint64_t>(config.images.maxWriteBytesPerSecond);
  options.maxManifestBytes = static_cast<uint64_t>(config.images.maxManifestBytes);
  options.shortNames = shortNames(config);
  return options;
}

cri::ImageSettings imageSettings(const config::Config& config) {
  return {std::chrono::seconds(config.images.pullDeadlineSeconds), config.images.pinned};
}

absl::StatusOr<cri::ServerSettings> serverSettings(const config::Config& config) {
  cri::ServerSettings settings{config.grpc.socket, config.grpc.socketMode, std::nullopt,
                               static_cast<int>(config.grpc.maxMessageBytes)};
  if (config.grpc.socketGroup.empty()) return settings;
  const auto group = cri::socketGroup(config.grpc.socketGroup);
  if (!group.ok()) return config::atKey(config, "grpc.socket_group", group.status());
  settings.group = *group;
  return settings;
}

streaming::Settings streamingSettings(const config::Config& config) {
  const config::Streaming& given = config.streaming;
  streaming::Settings settings;
  settings.address = given.address;
  settings.port = static_cast<uint16_t>(given.port);
  settings.idleTimeout = std::chrono::seconds(given.idleTimeoutSeconds);
  settings.tokenLifetime = std::chrono::seconds(given.tokenLifetimeSeconds);
  settings.maxSessions = static_cast<uint32_t>(given.maxSessions);
  settings.certificateFile = given.tlsCert;
  settings.keyFile = given.tlsKey;
  settings.clientCaFile = given.tlsClientCa;
  return settings;
}

}  // namespace berth::program
