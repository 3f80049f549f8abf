// `berth plugins`: asks the running daemon; without one it loads the plugins as a start would.
#include <cstdio>

#include <boost/json.hpp>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "cri/plugin_list.hpp"
#include "main/daemon_status.hpp"
#include "main/options.hpp"
#include "main/wiring.hpp"

namespace berth::program {

namespace {

using support::strCat;

// Loads and configures without starting: nothing a running daemon uses is touched.
absl::StatusOr<boost::json::array> loadHere(const config::Config& config) {
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
  services.credentials = [](auto...) { return absl::NotFoundError("no daemon"); };
  plugins::Registry registry(config.pluginDirs, services);
  BERTH_RETURN_IF_ERROR(registry.load(wantedPlugins(config)));
  return cri::pluginList(registry);
}

void print(const boost::json::array& list) {
  std::printf("%-12s %-14s %-22s %-8s %-5s %-11s %-11s %s\n", "NAME", "KIND", "PLUGIN", "VERSION",
              "ABI", "THREADING", "STATE", "PATH");
  for (const boost::json::value& value : list) {
    const boost::json::object& one = value.as_object();
    const auto text = [&](std::string_view key) { return support::stringMember(one, key); };
    std::printf("%-12s %-14s %-22s %-8s %-5s %-11s %-11s %s\n", text("name").c_str(),
                text("kind").c_str(), text("plugin").c_str(), text("version").c_str(),
                text("abi").c_str(), text("threading").c_str(), text("state").c_str(),
                text("path").c_str());
    std::string capabilities;
    for (const std::string& capability : support::stringsMember(one, "capabilities")) {
      capabilities += strCat(" ", capability);
    }
    if (!capabilities.empty()) std::printf("  can:%s\n", capabilities.c_str());
  }
}

}  // namespace

int listPlugins(const ConfigOptions& options) {
  auto loaded = config::load(pathsOf(options));
  if (!loaded.ok()) return fail(loaded.status());
  auto list = askDaemon(loaded->grpc.socket, "plugins");
  if (!list.ok()) {
    std::fprintf(stderr, "No daemon answers on %s; these are loaded as it would load them.\n",
                 loaded->grpc.socket.c_str());
    list = loadHere(*loaded);
  }
  if (!list.ok()) return fail(list.status());
  print(*list);
  return 0;
}

}  // namespace berth::program
