// What the user of the checker has asked for, as it is handed to the processes that run the checks.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/json/object.hpp>

namespace berth::check {

struct Settings {
  std::string file;               // of the plugin, absolute
  std::string interfaceId;        // as it declares it; empty: it cannot be asked
  std::string pluginHost;         // the program whose process it is in; empty: the check's own
  boost::json::object options;    // of --config
  std::vector<std::string> sets;  // of --set: KEY=VALUE
  std::vector<std::string> extensions;  // ids that it is to offer
  std::string rootfs;        // runtimes: of the containers; empty: made from the host's busybox
  std::string cgroupParent;  // runtimes: below which pods' are made
  std::string cgroupDriver = "cgroupfs";
  std::vector<std::string> hostInterfaces;  // networks: made where the host's would be
  std::string reference;                    // image sources: an image that is there
  std::string unknownReference;             // one that is not; empty: made from the other
  std::vector<std::string> failed;          // checks before this one
  std::vector<std::string> valgrind;        // its path, or nothing
  int64_t timeLimit = 60;                   // seconds
};

boost::json::object toJson(const Settings& settings);
absl::StatusOr<Settings> settingsFromJson(std::string_view text);

// The options in a file: TOML, or JSON where the name ends in ".json".
absl::StatusOr<boost::json::object> readOptions(const std::string& path);

// The options with those of --set, as the plugin declares their types: text stays text for a
// string, all else is read as JSON. A key may be a path into tables: a.b.c.
absl::StatusOr<boost::json::object> optionsOf(const Settings& settings,
                                              std::string_view declaration);

}  // namespace berth::check
