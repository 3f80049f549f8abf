// `berth config …`, `berth version`.
#include <cstdio>
#include <filesystem>
#include <map>

#include <boost/json/serialize.hpp>

#include "berth/plugin.hpp"
#include "berth/support/status.hpp"
#include "common/terminal.hpp"
#include "config/import.hpp"
#include "config/reference.hpp"
#include "main/admin_client.hpp"
#include "main/daemon_channel.hpp"
#include "main/daemon_socket.hpp"
#include "main/examination.hpp"
#include "main/options.hpp"
#include "main/print.hpp"
#include "main/wiring.hpp"

namespace berth::program {

using support::strCat;

namespace {

void printComment(const std::string& text) {
  print("# %s\n", text.c_str());
}

// Without a daemon: as a start would have it. Plugins that cannot be loaded are told of beside it.
int showFiles(const config::Config& config, const std::string& socket) {
  printComment(strCat("No daemon serves ", socket, ": what one that starts now would run with."));
  const plugins::HostServices services = servicesWithoutDaemon(config);
  plugins::Registry registry(config.pluginDirs, services);
  const absl::Status loaded = registry.load(wantedPlugins(config));
  std::fputs(config::dump(withAllOptions(config, registry)).c_str(), stdout);
  return loaded.ok() ? 0 : fail(loaded);
}

// What the plugins that `config` names declare of their options, by their names.
std::map<std::string, std::string> declarationsOf(const config::Config& config) {
  std::map<std::string, std::string> declarations;
  for (const plugins::Wanted& wanted : wantedPlugins(config)) {
    const auto path = plugins::findPlugin(wanted.plugin, config.pluginDirs);
    const auto library =
        path.ok() ? plugins::Library::load(*path, wanted.kind)
                  : absl::StatusOr<std::shared_ptr<const plugins::Library>>(path.status());
    if (!library.ok()) {
      printError("berth: without the options of a plugin: %s\n",
                 std::string(library.status().message()).c_str());
      continue;
    }
    declarations[wanted.plugin] = copy((*library)->description().options);
  }
  return declarations;
}

}  // namespace

int configShow(const ConfigOptions& options) {
  // A daemon knows what it runs with better than the files do.
  const auto socket = findDaemon(options);
  if (!socket.ok()) return fail(socket.status());
  const absl::Status reached = reachDaemon(*socket);
  if (absl::IsUnavailable(reached)) {
    const auto loaded = config::load(pathsOf(options));
    return loaded.ok() ? showFiles(*loaded, *socket) : fail(loaded.status());
  }
  if (!reached.ok()) return fail(reached);
  const auto running = askForConfiguration(*socket);
  if (!running.ok()) return fail(running.status());
  printComment(strCat("What the daemon that serves ", *socket, " runs with."));
  for (const berth::admin::v1::Change& change : running->pending())
    printComment(strCat("Waits for the next start: ", changeText(change)));
  std::fputs(running->toml().c_str(), stdout);
  return 0;
}

int configDefault(const ConfigOptions& options) {
  // Of the files only where plugins are counts here: they know their options.
  const auto loaded = config::load(pathsOf(options));
  if (!loaded.ok() && !options.file.empty()) return fail(loaded.status());
  config::Config defaults = config::defaults();
  if (loaded.ok()) defaults.pluginDirs = loaded->pluginDirs;
  std::fputs(config::defaultFile(declarationsOf(defaults)).c_str(), stdout);
  return 0;
}

int configKeys(const ConfigOptions& options) {
  const auto loaded = config::load(pathsOf(options));
  if (!loaded.ok()) return fail(loaded.status());
  const boost::json::object reference = config::reference(declarationsOf(*loaded));
  print("%s\n", common::jsonForTerminal(boost::json::serialize(reference)).c_str());
  return 0;
}

std::vector<std::string> importableForms() {
  return {"registries.conf", "hosts.toml"};
}

int configImport(const ImportOptions& wanted) {
  // Files beside it are named by it, and the engine has another working directory.
  const std::string path = std::filesystem::absolute(wanted.path).lexically_normal();
  const auto text = wanted.from == "hosts.toml" ? config::importHostsToml(path)
                                                : config::importRegistriesConf(path);
  if (!text.ok()) return fail(text.status());
  std::fputs(text->c_str(), stdout);
  return 0;
}

int version() {
  print("berth %s\nplugin ABI %u.%u\nCRI v1\n", BERTH_VERSION, BERTH_ABI_MAJOR, BERTH_ABI_MINOR);
  return 0;
}

}  // namespace berth::program
