// A host of plugins for tests: keeps what they tell it.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "../support/temporary_directory.hpp"
#include "berth/support/status.hpp"
#include "plugins/registry.hpp"
#include "test_paths.hpp"

namespace berth::plugins::testing {

inline std::string pluginPath(const std::string& name) {
  return support::strCat(test_paths::plugins, "/berth-", name, ".so");
}

class TestHost {
 public:
  TestHost() {
    services_.root = directory_ / "root";
    services_.state = directory_ / "state";
    services_.log = [this](berth_log_level, std::string_view instance, std::string_view message,
                           const LogFields& fields) {
      if (onLog) onLog(message, fields);
      std::lock_guard lock(mutex_);
      log_.push_back(support::strCat(instance, ": ", message));
      for (const auto& [key, value] : fields) log_.back() += support::strCat(" ", key, "=", value);
    };
    services_.event = [this](std::string_view instance, Event event) {
      std::lock_guard lock(mutex_);
      events_.emplace_back(instance, std::move(event));
    };
    services_.saveState = [this](std::string_view kind, std::string_view instance,
                                 std::string_view object, std::string_view state) -> absl::Status {
      if (object == "unknown") return absl::NotFoundError("no record unknown");
      std::lock_guard lock(mutex_);
      states_[support::strCat(kind, " ", instance, " ", object)] = state;
      return absl::OkStatus();
    };
    services_.credentials = [](const support::RunLimits&, std::string_view registry,
                               const auto& found) -> absl::Status {
      if (registry != "registry.example:5000") return absl::NotFoundError("none");
      berth_credentials credentials{};
      credentials.size = sizeof credentials;
      credentials.username = {"user", 4};
      credentials.password = {"secret", 6};
      found(credentials);
      return absl::OkStatus();
    };
  }

  const HostServices& services() const { return services_; }
  const ::berth::testing::TemporaryDirectory& directory() const { return directory_; }
  std::vector<std::string> log() const {
    std::lock_guard lock(mutex_);
    return log_;
  }
  // The messages of the log that are one of `messages`, with the instance.
  std::vector<std::string> logged(const std::vector<std::string>& messages) const {
    std::vector<std::string> result;
    for (const std::string& line : log()) {
      const std::string message = line.substr(line.find(": ") + 2);
      if (std::find(messages.begin(), messages.end(), message) != messages.end()) {
        result.push_back(line);
      }
    }
    return result;
  }
  std::vector<std::pair<std::string, Event>> events() const {
    std::lock_guard lock(mutex_);
    return events_;
  }
  std::map<std::string, std::string> states() const {
    std::lock_guard lock(mutex_);
    return states_;
  }

  // Called on the plugin's thread before a line is kept; set before the plugin runs.
  std::function<void(std::string_view message, const LogFields& fields)> onLog;

 private:
  ::berth::testing::TemporaryDirectory directory_;
  HostServices services_;
  mutable std::mutex mutex_;
  std::vector<std::string> log_;
  std::vector<std::pair<std::string, Event>> events_;
  std::map<std::string, std::string> states_;
};

}  // namespace berth::plugins::testing
