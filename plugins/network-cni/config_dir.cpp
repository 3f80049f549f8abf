#include "config_dir.hpp"

#include <string_view>
#include <sys/stat.h>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"

namespace berth::cni {
namespace {

using support::strCat;

constexpr size_t kLargestFile = 4u << 20;

bool isConfigFile(std::string_view name) {
  return name.ends_with(".conflist") || name.ends_with(".conf") || name.ends_with(".json");
}

// Plugins beside those of the list, from the folder named as the network (CNI spec, section 1).
absl::Status addFolderPlugins(const std::string& directory, NetworkConfig& network) {
  const std::string folder = strCat(directory, "/", network.name);
  auto names = support::listDirectory(folder);
  if (absl::IsNotFound(names.status())) return absl::OkStatus();
  // A file of that name is no folder of plugins.
  if (!names.ok() && !support::pathExists(strCat(folder, "/."))) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(names.status());
  for (const std::string& name : *names) {
    if (!name.ends_with(".conf")) continue;
    const std::string path = strCat(folder, "/", name);
    BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile(path, kLargestFile));
    BERTH_ASSIGN_OR_RETURN(const boost::json::value value, support::parseJson(text, path));
    BERTH_ASSIGN_OR_RETURN(PluginConfig plugin, parsePlugin(value, path));
    network.plugins.push_back(std::move(plugin));
  }
  return absl::OkStatus();
}

absl::StatusOr<NetworkConfig> loadFile(const std::string& directory, const std::string& name) {
  const std::string path = strCat(directory, "/", name);
  BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile(path, kLargestFile));
  const FileKind kind = name.ends_with(".conflist") ? FileKind::kList : FileKind::kEither;
  BERTH_ASSIGN_OR_RETURN(NetworkConfig network, parseNetwork(text, path, kind));
  if (!network.loadOnlyInlined) BERTH_RETURN_IF_ERROR(addFolderPlugins(directory, network));
  if (network.plugins.empty())
    return absl::InvalidArgumentError(
        strCat(path, ": it has no plugins, neither inline nor in ", directory, "/", network.name));
  return network;
}

void appendStat(const std::string& path, std::string& out) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) return;
  out +=
      strCat(path, " ", info.st_dev, " ", info.st_ino, " ", info.st_size, " ", info.st_mtim.tv_sec,
             ".", info.st_mtim.tv_nsec, " ", info.st_ctim.tv_sec, ".", info.st_ctim.tv_nsec, "\n");
}

}  // namespace

LoadedNetworks loadNetworks(const std::string& directory, const std::string& name) {
  LoadedNetworks loaded;
  const auto files = support::listDirectory(directory);
  if (!files.ok()) {
    if (!absl::IsNotFound(files.status())) loaded.problems.emplace_back(files.status().message());
    return loaded;
  }
  for (const std::string& file : *files) {
    struct stat info = {};
    const std::string path = strCat(directory, "/", file);
    if (!isConfigFile(file) || (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)))
      continue;
    auto network = loadFile(directory, file);
    if (!network.ok()) {
      loaded.problems.emplace_back(network.status().message());
    } else if (name.empty() || network->name == name) {
      loaded.network = *std::move(network);
      return loaded;
    }
  }
  return loaded;
}

std::string fingerprint(const std::string& directory) {
  std::string result;
  const auto names = support::listDirectory(directory);
  if (!names.ok()) return result;
  for (const std::string& name : *names) {
    const std::string path = strCat(directory, "/", name);
    struct stat info = {};
    if (isConfigFile(name)) {
      appendStat(path, result);
    } else if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
      const auto plugins = support::listDirectory(path);
      if (!plugins.ok()) continue;
      for (const std::string& plugin : *plugins)
        if (plugin.ends_with(".conf")) appendStat(strCat(path, "/", plugin), result);
    }
  }
  return result;
}

}  // namespace berth::cni
