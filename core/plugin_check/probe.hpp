// What a running check tells of itself: the step it is in, and what it has found.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/json/object.hpp>

#include "berth/support/fd.hpp"
#include "berth/support/process.hpp"
#include "plugin_check/settings.hpp"
#include "plugins/library.hpp"

namespace berth::check {

// Where a check works: a folder of its own that goes with it.
struct Place {
  std::string folder;
  std::string check;  // its name
  std::string part;   // of a check that has several processes; empty in the first one
};

// What is told is written down at once, so that it is still there when the plugin ends the process.
// Thread-safe.
class Probe {
 public:
  Probe(Settings settings, Place place);
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  const Settings& settings() const { return settings_; }
  const std::string& part() const { return place_.part; }
  std::string path(std::string_view name) const;  // in the check's folder

  // What is being done from now on: named when the process ends or hangs.
  void step(std::string_view doing);
  void fail(std::string_view reason);
  void warn(std::string_view reason);
  // Why nothing can be said; a failure that was told counts all the same.
  void skip(std::string_view reason);
  // Fails with `otherwise` when it does not hold; returns whether it does.
  bool expect(bool holds, std::string_view otherwise);
  bool succeeds(const absl::Status& status, std::string_view doing);
  // That it fails, with one of the codes where any are given.
  bool fails(const absl::Status& status, std::string_view doing,
             std::initializer_list<absl::StatusCode> codes = {});
  bool failed() const { return failed_; }
  // The last word: the check has run to its end.
  void finish();

  // The plugin, loaded as berthd does it; null, and the check is skipped, when it is not accepted.
  std::shared_ptr<const plugins::Library> library();
  // Its options with the user's; what is wrong with those is a failure.
  absl::StatusOr<boost::json::object> options(const plugins::Library& library) const;

  // Runs this check's function in another process, with part() being `part`, and kills that process
  // once it has called ready(). False when it does not get there: a failure when the process
  // ended otherwise than by itself.
  bool killPart(const std::string& part);
  void ready();

 private:
  void write(std::string_view kind, std::string_view text);

  const Settings settings_;
  const Place place_;
  support::Fd record_;
  std::atomic<bool> failed_ = false;
};

}  // namespace berth::check
