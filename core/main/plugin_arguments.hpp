// The arguments of `berth plugin new` and berth-plugin-new.
#pragma once

#include <CLI/CLI.hpp>

#include "main/completion.hpp"
#include "main/plugin_project.hpp"

namespace berth::program {

inline void declareArguments(CLI::App& app, PluginProject& project) {
  app.add_option("--kind", project.kind, "runtime, snapshotter, image-source or network")
      ->required()
      ->check(CLI::IsMember(pluginKinds()));
  app.add_option("--language", project.language, "c or c++, which is the default")
      ->check(CLI::IsMember(pluginLanguages()));
  app.add_option("--sdk", project.sdk, "where the SDK's examples and templates are")
      ->type_name(kPathType);
  app.add_option("name", project.name, "the name of the plugin")->required();
  app.add_option("folder", project.folder, "what is to be made; without it, that name");
}

}  // namespace berth::program
