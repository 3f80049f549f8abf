// The configuration of a running daemon, read anew.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <vector>

#include <absl/status/statusor.h>

#include "config/changes.hpp"
#include "config/config.hpp"
#include "engine/engine.hpp"
#include "images/image_service.hpp"
#include "signatures/policy.hpp"

namespace berth::program {

// Thread-safe.
class Reloader {
 public:
  // Of a reload: less than a client waits.
  static constexpr std::chrono::seconds kTime{25};

  // `engine`, `images` and `registry` run by `running`, which `paths` were read as, and `policy`;
  // they must outlive the reloader.
  Reloader(config::Paths paths, config::Config running,
           std::shared_ptr<const signatures::Policy> policy, engine::Engine& engine,
           images::ImageService& images, plugins::Registry& registry)
      : paths_(std::move(paths)),
        running_(running),
        wanted_(running),
        accepted_(std::move(running)),
        policy_(std::move(policy)),
        engine_(engine),
        images_(images),
        registry_(registry) {}

  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;
  ~Reloader() { finish(); }

  struct Reloaded {
    std::vector<config::Change> changes;
    std::string nextStart;           // what that would refuse by now; empty: nothing is known of
    std::vector<std::string> tried;  // runtimes that were out of service
  };
  // Takes up what may change, the contents of the signature policy and of its keys too, and logs
  // it. On an error, which names file, line and key, and which is logged, everything stays as it
  // was: also when it is about something new that would wait for the next start, and make that
  // fail, or when a plugin does not let that be found out within the operation's time. What has
  // waited before and would fail by now is told, and keeps nothing. Also opens the log file anew,
  // and has runtimes that are out of service tried again. Blocks on the disk, and for the
  // operation's time.
  absl::StatusOr<Reloaded> reload(plugins::Operation& op);
  // The same on a thread of its own, within kTime; only the log tells of it. While one is under
  // way, another one follows it, however often that is asked for.
  void reloadBeside();
  // Gives up what is under way by itself, and waits for that. Idempotent.
  void finish();

  struct ReloadedPlugin {
    std::string table;  // "runtimes.runc"
    std::string path;
    std::string before, after;      // versions; before: empty when it was out of service
    std::vector<std::string> pods;  // that stay with the one before
  };
  // Reads the configuration anew, and has the plugin of one of its tables replaced by what that
  // says and its file is now, or put into service; nothing else takes effect. `name` is an
  // instance's, or a table's.
  // Blocks, for the operation's time.
  absl::StatusOr<ReloadedPlugin> reloadPlugin(const plugins::Operation& op,
                                              const std::string& name);

  struct Running {
    config::Config config;                // with all options of the plugins, as they run
    std::vector<config::Change> pending;  // what was read and waits for the next start
  };
  Running running();

 private:
  std::vector<config::Change> takeUp(const config::Config& wanted, engine::Preferences preferences,
                                     std::shared_ptr<const signatures::Policy> policy);
  absl::StatusOr<Reloaded> readAnew(plugins::Operation& op);
  absl::Status judgeWaiting(plugins::Operation& op, const config::Config& wanted);
  std::string nextRefusal(plugins::Operation& op);
  void reloadAsAsked();
  void endsWith(plugins::Operation* op);
  std::string podsOnReplaced(const plugins::Wanted& one) const;

  const config::Paths paths_;
  std::mutex reloading_;  // for as long as a reload takes; before the other
  std::mutex mutex_;      // never while something is waited for
  config::Config running_;
  config::Config wanted_;    // as the files were when they were last read
  config::Config accepted_;  // the last that were not refused: what waits in it was judged
  std::shared_ptr<const signatures::Policy> policy_;
  enum class Beside { kIdle, kUnderWay, kAskedAgain };
  Beside beside_ = Beside::kIdle;
  plugins::Operation* besideOp_ = nullptr;  // of the one that is under way
  bool ending_ = false;
  engine::Engine& engine_;
  images::ImageService& images_;
  plugins::Registry& registry_;
  const std::shared_ptr<plugins::Background> background_ = std::make_shared<plugins::Background>();
};

}  // namespace berth::program
