// A plugin that is ready to be led through its life.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "plugin_check/probe.hpp"
#include "plugins/library.hpp"

namespace berth::check {

struct Subject {
  std::shared_ptr<const plugins::Library> library;
  std::string options;  // JSON, defaults filled in
  const berth_plugin& plugin() const { return library->description(); }
};

// None, and the probe knows why, when the plugin or the options are not accepted.
std::optional<Subject> prepareSubject(Probe& probe);

// Whether a failure is this process's, which is not root's.
bool lacksRights(const absl::Status& status);

}  // namespace berth::check
