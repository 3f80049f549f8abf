// What the service manager that started the daemon is told of it: systemd's protocol (sd_notify(3),
// sd_watchdog_enabled(3)).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/status.h>

namespace berth::common {

class ServiceManager {
 public:
  // Takes what a manager has set out of the environment, which programs that the daemon starts
  // inherit: they must not speak in its name, and OCI runtimes would hand the socket on to
  // containers. Only while there is one thread.
  static ServiceManager fromEnvironment();

  // How soon it must hear alive() again after ready(); nothing: it does not watch this process.
  std::optional<std::chrono::microseconds> patience() const { return patience_; }

  // Each sends one message; OK when there is no manager. A status is for people. Where the manager
  // does not take what it was sent before, they wait for a second at most, and working() does not.
  // Before ready() and after stopping(): the daemon is at work, and will be heard of again within
  // that time, which the manager is to wait beyond its own patience.
  absl::Status working(std::string_view status, std::chrono::microseconds time) const;
  absl::Status ready(std::string_view status) const;
  absl::Status stopping(std::string_view status) const;
  absl::Status alive() const;

 private:
  enum class Delivery { kWait, kAtOnce };
  absl::Status send(const std::string& message, Delivery delivery = Delivery::kWait) const;

  std::string socket_;  // a path, or a name after "@"; empty: there is no manager
  std::optional<std::chrono::microseconds> patience_;
};

}  // namespace berth::common
