// The configuration of a running daemon, read anew.
#pragma once

#include <mutex>
#include <vector>

#include <absl/status/statusor.h>

#include "config/changes.hpp"
#include "config/config.hpp"
#include "engine/engine.hpp"
#include "images/image_service.hpp"

namespace berth::program {

// Thread-safe.
class Reloader {
 public:
  // `engine`, `images` and `registry` run by `running`, which `paths` were read as; they must
  // outlive the reloader.
  Reloader(config::Paths paths, config::Config running, engine::Engine& engine,
           images::ImageService& images, plugins::Registry& registry)
      : paths_(std::move(paths)),
        running_(running),
        wanted_(std::move(running)),
        engine_(engine),
        images_(images),
        registry_(registry) {}

  // Takes up what may change, and logs it; the signature policy and its keys are read anew in any
  // case. On an error, which names file, line and key, everything
  // stays as it was: also when it is about something that would wait for the next start, and make
  // that fail. Also opens the log file anew. Blocks on the disk.
  absl::StatusOr<std::vector<config::Change>> reload();

  struct ReloadedPlugin {
    std::string table;  // "runtimes.runc"
    std::string path;
    std::string before, after;      // versions
    std::vector<std::string> pods;  // that stay with the one before
  };
  // Reads the configuration anew, and has the plugin of one of its tables replaced by what that
  // says and its file is now; nothing else takes effect. `name` is an instance's, or a table's.
  // Blocks, for the operation's time.
  absl::StatusOr<ReloadedPlugin> reloadPlugin(const plugins::Operation& op,
                                              const std::string& name);

  struct Running {
    config::Config config;                // with all options of the plugins, as they run
    std::vector<config::Change> pending;  // what was read and waits for the next start
  };
  Running running();

 private:
  std::string podsOnReplaced(const plugins::Wanted& one) const;

  const config::Paths paths_;
  std::mutex mutex_;
  config::Config running_;
  config::Config wanted_;  // as the files were when they were last read
  engine::Engine& engine_;
  images::ImageService& images_;
  plugins::Registry& registry_;
};

}  // namespace berth::program
