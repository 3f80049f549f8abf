// `berth plugins`: asks the running daemon; without one it loads the plugins as a start would.
#include <algorithm>

#include <boost/json.hpp>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "cri/plugin_list.hpp"
#include "main/daemon_channel.hpp"
#include "main/daemon_socket.hpp"
#include "main/daemon_status.hpp"
#include "main/examination.hpp"
#include "main/options.hpp"
#include "main/print.hpp"
#include "main/wiring.hpp"

namespace berth::program {

namespace {

using support::strCat;

// Loads and configures without starting: nothing a running daemon uses is touched.
boost::json::array loadHere(const config::Config& config) {
  const plugins::HostServices services = servicesWithoutDaemon(config);
  plugins::Registry registry(config.pluginDirs, services);
  // The list has what could not be loaded.
  registry.load(wantedPlugins(config)).IgnoreError();
  return cri::pluginList(registry);
}

absl::StatusOr<boost::json::array> pluginsOf(const ConfigOptions& options) {
  BERTH_ASSIGN_OR_RETURN(const std::string socket, findDaemon(options));
  const absl::Status reached = reachDaemon(socket);
  if (reached.ok()) return askDaemon(socket, "plugins");
  if (!absl::IsUnavailable(reached)) return reached;
  BERTH_ASSIGN_OR_RETURN(const config::Config config, config::load(pathsOf(options)));
  printError("No daemon answers on %s; these are loaded as it would load them.\n", socket.c_str());
  return loadHere(config);
}

void printList(const char* what, const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += strCat(" ", item);
  if (!text.empty()) print("%s%s\n", what, text.c_str());
}

bool hasFailed(const boost::json::value& one) {
  return support::stringMember(one.as_object(), "state") == "failed";
}

std::string processText(const boost::json::object& process) {
  const int64_t pid = support::intMember(process, "pid", 0);
  const int64_t restarts = support::intMember(process, "restarts", 0);
  return strCat(pid != 0 ? strCat("pid ", pid) : std::string("none at this moment"),
                ", started again ", restarts, restarts == 1 ? " time" : " times");
}

void printPlugins(const boost::json::array& list) {
  print("%-12s %-14s %-22s %-8s %-5s %-11s %-11s %s\n", "NAME", "KIND", "PLUGIN", "VERSION", "ABI",
        "THREADING", "STATE", "PATH");
  for (const boost::json::value& value : list) {
    const boost::json::object& one = value.as_object();
    const auto text = [&](std::string_view key) { return support::stringMember(one, key); };
    // Of what could not be loaded not everything is known.
    const auto cell = [&](std::string_view key) {
      return text(key).empty() ? std::string("-") : text(key);
    };
    print("%-12s %-14s %-22s %-8s %-5s %-11s %-11s %s\n", cell("name").c_str(),
          cell("kind").c_str(), cell("plugin").c_str(), cell("version").c_str(),
          cell("abi").c_str(), cell("threading").c_str(), cell("state").c_str(),
          cell("path").c_str());
    if (const auto* process = one.if_contains("process");
        process != nullptr && process->is_object())
      print("  in a process of its own: %s\n", processText(process->get_object()).c_str());
    printList("  can:", support::stringsMember(one, "capabilities"));
    printList("  offers what no part of the engine uses:", support::stringsMember(one, "unused"));
    if (const auto* pods = one.if_contains("pods"); pods != nullptr && !pods->is_null())
      print("  pods on it: %lld%s\n", static_cast<long long>(support::intMember(one, "pods", 0)),
            text("state") == "draining" ? ", and none that begins" : "");
    if (!text("error").empty()) print("  %s\n", text("error").c_str());
  }
}

}  // namespace

int listPlugins(const ConfigOptions& options) {
  const auto list = pluginsOf(options);
  if (!list.ok()) return fail(list.status());
  printPlugins(*list);
  return std::any_of(list->begin(), list->end(), hasFailed) ? 1 : 0;
}

}  // namespace berth::program
