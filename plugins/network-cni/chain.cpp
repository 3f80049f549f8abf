#include "chain.hpp"

#include <chrono>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "limits.hpp"
#include "result.hpp"

namespace berth::cni {

namespace bj = boost::json;
using support::strCat;

namespace {

// Nothing else may run meanwhile.
constexpr auto kGcLimit = std::chrono::minutes(1);
constexpr std::string_view kReservedPrefix = "cni.dev/";

bj::object namedConfig(const NetworkConfig& network, const PluginConfig& plugin) {
  bj::object config;
  for (const auto& [key, value] : plugin.object)
    if (!key.starts_with(bj::string_view(kReservedPrefix))) config[key] = value;
  config["cniVersion"] = network.version.text();
  config["name"] = network.name;
  return config;
}

// What the plugin declares and the request has a value for.
bj::object runtimeConfig(const PluginConfig& plugin, const bj::object& capabilities) {
  bj::object result;
  const bj::object* declared = support::objectMember(plugin.object, "capabilities");
  if (declared == nullptr) return result;
  for (const auto& [name, wanted] : *declared) {
    const bj::value* given = capabilities.if_contains(name);
    if (given != nullptr && wanted.is_bool() && wanted.get_bool()) result[name] = *given;
  }
  return result;
}

const bj::object* resultOf(const AttachmentRecord& record) {
  return record.result ? &*record.result : nullptr;
}

}  // namespace

bj::object requestConfig(const AttachmentRecord& record, const PluginConfig& plugin,
                         const bj::object* prevResult) {
  bj::object config = namedConfig(record.network, plugin);
  config.erase("capabilities");
  bj::object runtime = runtimeConfig(plugin, record.capabilities);
  if (!runtime.empty()) config["runtimeConfig"] = std::move(runtime);
  if (prevResult != nullptr) config["prevResult"] = *prevResult;
  return config;
}

bj::object networkWideConfig(const NetworkConfig& network, const PluginConfig& plugin) {
  return namedConfig(network, plugin);
}

std::string_view liveNamespace(const std::string& path) {
  struct statfs info = {};
  const bool live =
      !path.empty() && ::statfs(path.c_str(), &info) == 0 && info.f_type == NSFS_MAGIC;
  return live ? std::string_view(path) : std::string_view();
}

absl::StatusOr<std::string> Chain::run(std::string_view command, const AttachmentRecord& record,
                                       const PluginConfig& plugin, std::string_view namespacePath,
                                       const bj::object* prevResult,
                                       const support::RunLimits& limits) const {
  op_.stage(strCat("CNI ", command, " ", plugin.type));
  const Parameters parameters{.command = command,
                              .containerId = record.pod,
                              .namespacePath = namespacePath,
                              .interface = record.interface,
                              .args = record.args,
                              .lock = lock_};
  return invoker_.run(plugin.type, parameters, requestConfig(record, plugin, prevResult), limits);
}

absl::StatusOr<bj::object> Chain::add(const AttachmentRecord& record) const {
  bj::object result;
  const bj::object* previous = nullptr;
  for (const PluginConfig& plugin : record.network.plugins) {
    BERTH_ASSIGN_OR_RETURN(
        const std::string printed,
        run("ADD", record, plugin, record.namespacePath, previous, limitsOf(op_)));
    BERTH_ASSIGN_OR_RETURN(
        result, parseResult(printed, strCat("result of CNI plugin ", plugin.type, " ADD"),
                            record.network.version));
    previous = &result;
  }
  return result;
}

absl::Status Chain::remove(const AttachmentRecord& record, const support::RunLimits& limits) const {
  const std::string_view path = liveNamespace(record.namespacePath);
  const bj::object* previous =
      record.network.version >= kWithPrevResultOnDel ? resultOf(record) : nullptr;
  support::StatusCollector failures;
  const auto& plugins = record.network.plugins;
  for (auto plugin = plugins.rbegin(); plugin != plugins.rend(); ++plugin) {
    const absl::Status status = run("DEL", record, *plugin, path, previous, limits).status();
    // A plugin that does not know the container has nothing to release.
    if (!absl::IsNotFound(status)) failures.add(status);
  }
  return failures.status();
}

absl::Status Chain::check(const AttachmentRecord& record) const {
  if (record.network.version < kWithPrevResultOnDel || record.network.disableCheck)
    return absl::OkStatus();
  for (const PluginConfig& plugin : record.network.plugins) {
    BERTH_RETURN_IF_ERROR(
        run("CHECK", record, plugin, record.namespacePath, resultOf(record), limitsOf(op_))
            .status());
  }
  return absl::OkStatus();
}

absl::Status Chain::status(const NetworkConfig& network, const support::RunLimits& limits) const {
  if (network.version < kWithGc) return absl::OkStatus();
  for (const PluginConfig& plugin : network.plugins) {
    op_.stage(strCat("CNI STATUS ", plugin.type));
    BERTH_RETURN_IF_ERROR(
        invoker_.run(plugin.type, {.command = "STATUS"}, networkWideConfig(network, plugin), limits)
            .status());
  }
  return absl::OkStatus();
}

absl::Status Chain::gc(const NetworkConfig& network,
                       const std::vector<ValidAttachment>& valid) const {
  if (network.version < kWithGc || network.disableGc) return absl::OkStatus();
  bj::array attachments;
  for (const ValidAttachment& one : valid)
    attachments.push_back({{"containerID", one.containerId}, {"ifname", one.interface}});
  support::StatusCollector failures;
  for (const PluginConfig& plugin : network.plugins) {
    op_.stage(strCat("CNI GC ", plugin.type));
    bj::object config = networkWideConfig(network, plugin);
    config["cni.dev/valid-attachments"] = attachments;
    // Plugins built before the specification's text was settled read this name.
    config["cni.dev/attachments"] = attachments;
    failures.add(
        invoker_.run(plugin.type, {.command = "GC"}, config, limitsOf(op_, kGcLimit)).status());
  }
  return failures.status();
}

}  // namespace berth::cni
