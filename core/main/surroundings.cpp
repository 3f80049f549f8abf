#include "main/surroundings.hpp"

#include <array>
#include <cerrno>
#include <filesystem>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "common/refusal.hpp"
#include "common/trust.hpp"
#include "cri/server.hpp"
#include "main/folder_ties.hpp"
#include "main/wiring.hpp"
#include "store/store.hpp"
#include "streaming/listener.hpp"
#include "streaming/tls.hpp"

namespace berth::program {

using support::strCat;

namespace {

absl::Status notWritable(int error, const std::string& path) {
  if (error == EACCES && ::geteuid() != 0) return absl::OkStatus();
  absl::Status status = support::errnoStatus(error, strCat("write to ", path));
  if (error != EROFS) return status;
  return absl::FailedPreconditionError(
      strCat(support::fromAbsl(status.message()), "; remount it writable, or set another"));
}

// The start makes the folders that are missing.
absl::Status checkFolder(const std::string& folder) {
  const std::string there = existingPart(folder);
  // With the slash only a folder will do.
  if (::access(strCat(there, "/").c_str(), W_OK) == 0) return absl::OkStatus();
  return notWritable(errno, there);
}

// What other engines keep at the top of their folders.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kOthers = {{
    {"io.containerd.metadata.v1.bolt", "containerd"},
    {"io.containerd.runtime.v2.task", "containerd"},
    {"overlay-containers", "CRI-O or Podman"},
    {"overlay-layers", "CRI-O or Podman"},
    {"engine-id", "Docker"},
}};

// Of Berth alone, in the hands of root alone.
absl::Status checkOwnFolder(const std::string& folder) {
  BERTH_RETURN_IF_ERROR(checkFolder(folder));
  for (const auto& [name, engine] : kOthers) {
    if (support::pathExists(strCat(folder, "/", name)))
      return common::refusal(absl::FailedPreconditionError(
          strCat(folder, " is a folder of ", engine, " (", name, "); set one of Berth's own")));
  }
  if (::geteuid() != 0) return absl::OkStatus();
  // It may be where its file system has yet to be mounted, and so is no refusal that stays.
  const absl::Status open = common::refuseWritableByOthers(folder);
  return absl::Status(open.code(), open.message());
}

absl::Status checkFile(const std::string& file) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored))
    return absl::InvalidArgumentError(strCat(file, " is a folder"));
  if (!support::pathExists(file)) return checkFolder(file.substr(0, file.rfind('/') + 1));
  if (::access(file.c_str(), W_OK) == 0) return absl::OkStatus();
  return notWritable(errno, file);
}

absl::Status checkSocket(const std::string& socket) {
  BERTH_RETURN_IF_ERROR(checkFile(socket));
  return cri::refuseNoSocket(socket);
}

absl::Status checkCgroupDriver(const std::string& driver) {
  // As sd_booted(3) finds it out.
  if (driver != "systemd" || support::pathExists("/run/systemd/system")) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "systemd does not run this host, and so makes no cgroups; set \"cgroupfs\", or \"auto\"");
}

absl::Status checkTls(const config::Streaming& streaming) {
  if (streaming.tlsCert.empty()) return absl::OkStatus();
  return streaming::TlsContexts::load({streaming.tlsCert, streaming.tlsKey, streaming.tlsClientCa})
      .status();
}

}  // namespace

std::string existingPart(std::string path) {
  while (path.size() > 1 && !support::pathExists(path)) {
    path.resize(path.rfind('/'));
    if (path.empty()) path = "/";
  }
  return path;
}

std::vector<Surrounding> checkSurroundings(const config::Config& config) {
  std::vector<Surrounding> all;
  const auto add = [&](std::string_view what, std::string_view key, const absl::Status& status) {
    all.push_back({what, config::atKey(config, key, status)});
  };
  add("root", "root", checkOwnFolder(config.root));
  add("state", "state", checkOwnFolder(config.state));
  add("root", "root", refusePodsOfAnotherRoot(config.root, config.state));
  add("state", "state", refusePodsInAnotherState(config.root, config.state));
  add("database", "root", store::Store::refuseNewer(strCat(config.root, "/berth.db")));
  add("socket", "grpc.socket", checkSocket(config.grpc.socket));
  all.push_back({"socket", serverSettings(config).status()});
  if (!config.log.file.empty()) add("log", "log.file", checkFile(config.log.file));
  add("cgroups", "cgroup.driver", checkCgroupDriver(config.cgroup.driver));
  // On a port of the kernel's choice: a daemon may be using the one that is configured.
  add("streaming", "streaming.address", streaming::listenOn(config.streaming.address, 0).status());
  add("streaming", "streaming.tls_cert", checkTls(config.streaming));
  if (config.metrics.port != 0)
    add("metrics", "metrics.address", streaming::listenOn(config.metrics.address, 0).status());
  return all;
}

absl::Status checkMetricsPort(const config::Config& config) {
  if (config.metrics.port == 0) return absl::OkStatus();
  const absl::Status status =
      streaming::listenOn(config.metrics.address, static_cast<uint16_t>(config.metrics.port))
          .status();
  return config::atKey(config, absl::IsAlreadyExists(status) ? "metrics.port" : "metrics.address",
                       status);
}

}  // namespace berth::program
