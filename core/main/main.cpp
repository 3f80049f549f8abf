// `berth` with its subcommands; called as `berthd` it serves.
#include <cstdio>
#include <string_view>

#include <CLI/CLI.hpp>

#include "main/options.hpp"

namespace {

bool calledAsDaemon(std::string_view name) {
  const size_t slash = name.rfind('/');
  return (slash == std::string_view::npos ? name : name.substr(slash + 1)) == "berthd";
}

int runDaemon(int argc, char** argv) {
  CLI::App app("berthd: the Berth container engine", "berthd");
  berth::program::ConfigOptions options;
  app.add_option("--config", options.file, "configuration file, instead of /etc/berth/berth.toml");
  app.set_version_flag("--version", BERTH_VERSION);
  CLI11_PARSE(app, argc, argv);
  return berth::program::serve(options);
}

int runCommand(int argc, char** argv) {
  CLI::App app("berth: a container engine for Kubernetes nodes", "berth");
  app.require_subcommand(1);
  berth::program::ConfigOptions options;
  const auto withConfig = [&](CLI::App* command) {
    command->add_option("--config", options.file,
                        "configuration file, instead of /etc/berth/berth.toml");
    return command;
  };
  CLI::App* serve = withConfig(app.add_subcommand("serve", "run the engine in the foreground"));
  CLI::App* check = withConfig(app.add_subcommand("check", "say what this host offers and lacks"));
  berth::program::CheckOptions wanted;
  CLI::Option* storage = check->add_flag(
      "--storage", wanted.storage, "check what the running engine keeps: images, layers, records");
  check->add_flag("--quick", wanted.quick, "do not read the content of files")->needs(storage);
  check->add_flag("--repair", wanted.repair, "drop what is damaged, so that it is pulled again")
      ->needs(storage);
  CLI::App* config = app.add_subcommand("config", "look at the configuration");
  config->require_subcommand(1);
  CLI::App* show = withConfig(
      config->add_subcommand("show", "print exactly what runs, or what would without a daemon"));
  CLI::App* checkConfig = withConfig(
      config->add_subcommand("check", "say what of it would keep the engine from starting"));
  CLI::App* defaults =
      withConfig(config->add_subcommand("default", "print a file with every key, explained"));
  CLI::App* plugins =
      withConfig(app.add_subcommand("plugins", "list the plugins and what they can do"));
  CLI::App* ops = withConfig(
      app.add_subcommand("ops", "list what the running engine is doing, the oldest first"));
  CLI::App* reload = withConfig(
      app.add_subcommand("reload", "have the running engine read its configuration anew"));
  CLI::App* version = app.add_subcommand("version", "print the version");
  CLI11_PARSE(app, argc, argv);

  if (serve->parsed()) return berth::program::serve(options);
  if (check->parsed())
    return wanted.storage ? berth::program::checkStorage(options, wanted)
                          : berth::program::check(options);
  if (show->parsed()) return berth::program::configShow(options);
  if (checkConfig->parsed()) return berth::program::configCheck(options);
  if (defaults->parsed()) return berth::program::configDefault(options);
  if (plugins->parsed()) return berth::program::listPlugins(options);
  if (ops->parsed()) return berth::program::listOperations(options);
  if (reload->parsed()) return berth::program::reload(options);
  if (version->parsed()) return berth::program::version();
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  return calledAsDaemon(argv[0]) ? runDaemon(argc, argv) : runCommand(argc, argv);
}
