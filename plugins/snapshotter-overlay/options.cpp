#include "options.hpp"

#include <array>

#include "berth/support/json.hpp"
#include "berth/support/options.hpp"
#include "berth/support/status.hpp"

namespace berth::overlay {

using support::strCat;

namespace {

// Some times what large images have; unpacking them takes 16 bytes of memory each.
constexpr int64_t kMostEntries = 4'000'000;

// Parameters that the plugin itself sets, or that would change what a layer's directory means.
constexpr std::array<std::string_view, 9> kOwnParameters = {"lowerdir", "lowerdir+", "datadir+",
                                                            "upperdir", "workdir",   "context",
                                                            "source",   "volatile",  "userxattr"};

absl::Status checkMountOption(const std::string& place, const std::string& option) {
  const std::string_view name = std::string_view(option).substr(0, option.find('='));
  if (name.empty()) return support::optionError(place, "an overlay parameter has no name");
  const std::string quoted = strCat("\"", option, "\"");
  if (option.find(',') != std::string::npos)
    return support::optionError(place, strCat(quoted, ": give each parameter as an element"));
  for (const std::string_view own : kOwnParameters)
    if (name == own)
      return support::optionError(place,
                                  strCat(quoted, ": this parameter is the snapshotter's own"));
  return absl::OkStatus();
}

absl::StatusOr<MountApi> parseMountApi(const std::string& text) {
  if (text == "auto") return MountApi::kAuto;
  if (text == "descriptors") return MountApi::kDescriptors;
  if (text == "names") return MountApi::kNames;
  return support::optionError("mount_api",
                              strCat("\"", text, "\" is none of auto, descriptors, names"));
}

}  // namespace

const std::string_view kOptionTable = R"json([
{"key": "root", "type": "string", "default": "", "example": "/mnt/nvme/layers",
 "help": "Where layers and snapshots are kept; empty: the directory that the host gives this instance."},
{"key": "mount_options", "type": "array", "default": [], "example": ["xino=off"],
 "help": "Further parameters of every overlay mount, as [\"xino=off\"]."},
{"key": "durable", "type": "boolean", "default": true, "example": false,
 "help": "A layer is on the disk before it is visible, so that no power cut leaves half of one."},
{"key": "volatile", "type": "boolean", "default": true, "example": false,
 "help": "Writable layers are not synced: no unmount waits for the disk, and fsync in a container returns at once for its root filesystem. They are lost with their container anyway."},
{"key": "max_layer_entries", "type": "integer", "default": 4000000, "example": 1000000,
 "help": "The most entries of a layer's archive: each takes an inode, and a layer with more is refused."},
{"key": "mount_api", "type": "string", "default": "auto", "example": "names",
 "help": "How layers are handed to the kernel: auto, descriptors (Linux 6.13), names (any)."
}
])json";

absl::StatusOr<Options> parseOptions(std::string_view json, std::string_view defaultRoot) {
  BERTH_ASSIGN_OR_RETURN(const boost::json::object table,
                         support::parseJsonObject(json, "options of the overlay snapshotter"));
  Options options;
  options.root = support::stringMember(table, "root");
  if (options.root.empty()) options.root = std::string(defaultRoot);
  if (!options.root.starts_with('/'))
    return support::optionError("root", strCat("\"", options.root, "\" is no absolute path"));
  while (options.root.size() > 1 && options.root.ends_with('/')) options.root.pop_back();
  BERTH_ASSIGN_OR_RETURN(options.mountOptions, support::stringsOption(table, "mount_options"));
  for (size_t i = 0; i < options.mountOptions.size(); ++i)
    BERTH_RETURN_IF_ERROR(
        checkMountOption(strCat("mount_options[", i, "]"), options.mountOptions[i]));
  options.durability =
      support::boolMember(table, "durable", true) ? Durability::kSynced : Durability::kVisible;
  options.volatileUpper = support::boolMember(table, "volatile", true);
  const int64_t entries = support::intMember(table, "max_layer_entries", kMostEntries);
  if (entries < 1)
    return support::optionError("max_layer_entries", strCat(entries, " is less than one"));
  options.maxLayerEntries = static_cast<uint64_t>(entries);
  BERTH_ASSIGN_OR_RETURN(options.mountApi,
                         parseMountApi(support::stringMember(table, "mount_api", "auto")));
  return options;
}

}  // namespace berth::overlay
