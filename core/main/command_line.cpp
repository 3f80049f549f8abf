#include "main/command_line.hpp"

#include <cstdio>

#include "berth/support/status.hpp"
#include "berth/support/suggestion.hpp"
#include "main/completion.hpp"
#include "main/plugin_arguments.hpp"

namespace berth::program {

using support::strCat;

namespace {

constexpr const char* kConfigOption = "--config";
constexpr const char* kSocketOption = "--socket";

std::string unknownCommand(const CLI::App& where, const std::string& before,
                           const std::string& word) {
  std::vector<std::string> names;
  for (const CLI::App* command : where.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  const std::string near = support::nearest(word, names);
  return strCat("there is no command \"", before, word, "\"",
                near.empty() ? std::string() : strCat("; did you mean \"", before, near, "\"?"),
                near.empty() ? strCat("; see ", before, "--help") : std::string());
}

}  // namespace

CommandLine::CommandLine() : app_("berth: a container engine for Kubernetes nodes", "berth") {
  app_.require_subcommand(1);
  app_.set_version_flag("--version", strCat("berth ", BERTH_VERSION), "print the version");
  // In front of the command as well as after it.
  addConfigOption(&app_);
  withConfig(
      add(&app_, "serve", "run the engine in the foreground", [this] { return serve(options_); }));
  addCheck();
  addConfig();
  addImages();
  withDaemon(add(&app_, "plugins", "list the plugins and what they can do",
                 [this] { return listPlugins(options_); }));
  addPlugin();
  withDaemon(add(&app_, "ops", "list what the running engine is doing, the oldest first",
                 [this] { return listOperations(options_); }));
  withDaemon(add(&app_, "status", "say how the running engine does, in one page",
                 [this] { return status(options_); }));
  addExplain();
  addNetwork();
  withDaemon(add(&app_, "reload", "have the running engine read its configuration anew",
                 [this] { return reload(options_); }));
  CLI::App* completion =
      add(&app_, "completion", "print what a shell completes the commands of berth with", [this] {
        std::fputs(completionScript(app_, shell_).c_str(), stdout);
        return 0;
      });
  completion->add_option("shell", shell_, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember(completionShells()));
  add(&app_, "version", "print the version", version);
}

void CommandLine::addCheck() {
  CLI::App* check = withDaemon(add(&app_, "check", "say what this host offers and lacks", [this] {
    return wanted_.storage ? checkStorage(options_, wanted_) : program::check(options_);
  }));
  CLI::Option* storage = check->add_flag(
      "--storage", wanted_.storage, "check what the running engine keeps: images, layers, records");
  check->add_flag("--quick", wanted_.quick, "do not read the content of files")->needs(storage);
  check->add_flag("--repair", wanted_.repair, "drop what is damaged, so that it is pulled again")
      ->needs(storage);
}

void CommandLine::addConfig() {
  CLI::App* config = add(&app_, "config", "look at the configuration", nullptr);
  config->require_subcommand(1);
  withDaemon(add(config, "show", "print exactly what runs, or what would without a daemon",
                 [this] { return configShow(options_); }));
  CLI::App* check = withConfig(
      add(config, "check", "say what of it would keep the engine or a runtime from starting",
          [this] { return configCheck(options_, configCheck_); }));
  check->add_flag("--verbose", configCheck_.verbose, "print what is waited for, before it is");
  check
      ->add_option_function<double>(
          "--limit",
          [this](double seconds) { configCheck_.limit = std::chrono::duration<double>(seconds); },
          "give up after so long, saying what hangs")
      ->type_name("SECONDS");
  withConfig(add(config, "default", "print a file with every key, explained",
                 [this] { return configDefault(options_); }));
  withConfig(add(config, "keys", "print every key as JSON, with those of the plugins in use",
                 [this] { return configKeys(options_); }));
  CLI::App* import = add(config, "import", "print another engine's registries as configuration",
                         [this] { return configImport(import_); });
  import->add_option("--from", import_.from, "registries.conf or hosts.toml")
      ->required()
      ->check(CLI::IsMember(importableForms()));
  import->add_option("path", import_.path, "the file, or containerd's folder certs.d")
      ->required()
      ->type_name(kPathType);
}

void CommandLine::addImages() {
  CLI::App* image = add(&app_, "image", "look after the images of the running engine", nullptr);
  image->require_subcommand(1);
  const auto verb = [&](const std::string& name, const std::string& help,
                        int (*perform)(const ConfigOptions&, const ImageOptions&)) {
    return withDaemon(
        add(image, name, help, [this, perform] { return perform(options_, images_); }));
  };
  const auto takesImage = [this](CLI::App* command) {
    command->add_option("image", images_.image, "its name or id")->required();
  };
  const auto takesImages = [this](CLI::App* command) {
    command->add_option("image", images_.images, "their names or ids")->required();
  };
  const auto takesPath = [this](CLI::App* command, const std::string& help) {
    command->add_option("path", images_.path, help)->required()->type_name(kPathType);
  };
  const auto takesTarget = [this](CLI::App* command) {
    command->add_option("--snapshotter", images_.snapshotter,
                        "what keeps the layers, instead of images.snapshotter");
    command->add_option("--platform", images_.platform,
                        "which image of an index, instead of images.platform");
  };
  CLI::App* list = verb("list", "list the images", listImages);
  list->add_flag("--json", images_.json, "as JSON");
  takesImage(verb("inspect", "print all there is to know of an image, as JSON", inspectImage));
  CLI::App* pull = verb("pull", "fetch an image, showing how far it is", pullImage);
  takesImage(pull);
  takesTarget(pull);
  CLI::App* import = verb("import", "take in the images of a folder or an archive", importImages);
  takesPath(import, "an OCI layout, an OCI archive, or what docker save writes");
  import->add_option("name", images_.images, "of the images that are wanted; otherwise all");
  takesTarget(import);
  CLI::App* write = verb("export", "write an image as an OCI layout or archive", exportImage);
  takesImage(write);
  takesPath(write, "what to write: an archive when it ends in .tar, else a folder");
  CLI::Option* original = write->add_flag("--original", images_.original,
                                          "fail rather than write layers with other digests");
  write->add_flag("--offline", images_.offline, "do not ask where the image came from")
      ->excludes(original);
  CLI::App* remove = verb("remove", "remove images, with all their names", removeImages);
  takesImages(remove);
  remove->add_flag("--force", images_.force, "also those that are pinned");
  takesImages(verb("pin", "have the kubelet keep images when the disk gets full", pinImages));
  takesImages(verb("unpin", "take that back", unpinImages));
}

void CommandLine::addExplain() {
  CLI::App* explain = add(&app_, "explain", "show where time went", nullptr);
  explain->require_subcommand(1);
  CLI::App* pod = withDaemon(add(explain, "pod", "the operations on a pod, stage by stage",
                                 [this] { return explainPod(options_, explained_); }));
  pod->add_option("pod", explained_.pod,
                  "its id, or that of a container, its name, or namespace/name")
      ->required();
  pod->add_option("--html", explained_.page,
                  "write a page with a chart to this file; -: to standard output")
      ->type_name(kPathType);
}

void CommandLine::addNetwork() {
  CLI::App* network = add(&app_, "network", "see to pods that their network holds up", nullptr);
  network->require_subcommand(1);
  CLI::App* abandon =
      withDaemon(add(network, "abandon", "end a pod that its network does not let go of any more",
                     [this] { return abandonNetwork(options_, pod_); }));
  abandon->add_option("pod", pod_, "its id, its name, or namespace/name")->required();
}

void CommandLine::addPlugin() {
  CLI::App* plugin =
      add(&app_, "plugin", "write plugins, and replace those of the running engine", nullptr);
  plugin->require_subcommand(1);
  declareArguments(*add(plugin, "new", "begin a project: code, test and packaging of a plugin",
                        [this] { return newPlugin(project_); }),
                   project_);
  CLI::App* reload =
      withDaemon(add(plugin, "reload", "have the running engine use the file that is there now",
                     [this] { return reloadPlugin(options_, plugin_); }));
  reload->add_option("name", plugin_, "of the instance, or its table: runtimes.runc")->required();
}

std::string CommandLine::wrongCommand(int argc, const char* const* argv) const {
  const CLI::App* at = &app_;
  std::string before = "berth ";
  for (int i = 1; i < argc && at->get_require_subcommand_min() > 0; ++i) {
    const std::string word = argv[i];
    if (word == kConfigOption || word == kSocketOption) ++i;  // and what it takes
    if (word.starts_with('-')) continue;
    const auto next =
        at->get_subcommands([&](const CLI::App* command) { return command->get_name() == word; });
    if (next.empty()) return unknownCommand(*at, before, word);
    at = next.front();
    before += word + " ";
  }
  return {};
}

int CommandLine::run() const {
  for (const auto& [command, run] : commands_)
    if (command->parsed()) return run();
  return 2;
}

// Without `run` it only has subcommands.
CLI::App* CommandLine::add(CLI::App* parent, const std::string& name, const std::string& help,
                           Run run) {
  CLI::App* command = parent->add_subcommand(name, help);
  if (run) commands_.emplace_back(command, std::move(run));
  return command;
}

CLI::App* CommandLine::withConfig(CLI::App* command) {
  addConfigOption(command);
  return command;
}

CLI::App* CommandLine::withDaemon(CLI::App* command) {
  command
      ->add_option(kSocketOption, options_.socket,
                   "where the running engine is, instead of looking for it")
      ->type_name(kPathType);
  return withConfig(command);
}

void CommandLine::addConfigOption(CLI::App* app) {
  app->add_option(kConfigOption, options_.file,
                  "configuration file, instead of /etc/berth/berth.toml")
      ->type_name(kPathType);
}

}  // namespace berth::program
