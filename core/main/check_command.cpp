// `berth check`: what this host offers and lacks.
#include <chrono>
#include <cstdio>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "berth/support/criu.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "common/host_facts.hpp"
#include "main/options.hpp"
#include "main/wiring.hpp"

namespace berth::program {

namespace {

using support::strCat;

enum class Finding { kOk, kMissing, kOptional };

struct Row {
  std::string what;
  Finding finding;
  std::string detail;
};

bool kernelOffersFilesystem(std::string_view name) {
  auto text = support::readFile("/proc/filesystems");
  return text.ok() && text->find(strCat("\t", name, "\n")) != std::string::npos;
}

std::string programPath(std::string_view name) {
  for (const char* directory :
       {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}) {
    std::string path = strCat(directory, "/", name);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

Row programRow(std::string_view name, Finding without, std::string_view meaning) {
  const std::string path = programPath(name);
  if (!path.empty()) return {std::string(name), Finding::kOk, path};
  return {std::string(name), without, strCat("not installed: ", meaning)};
}

Row yesNo(std::string_view what, bool present, Finding without, std::string_view yes,
          std::string_view no) {
  return {std::string(what), present ? Finding::kOk : without, std::string(present ? yes : no)};
}

Row criuRow() {
  const std::string path = programPath("criu");
  if (path.empty()) return {"criu", Finding::kOptional, "not installed: checkpoints are refused"};
  constexpr auto kTime = std::chrono::seconds(30);
  const absl::Status works =
      support::checkCriu({.deadline = std::chrono::steady_clock::now() + kTime});
  if (works.ok()) return {"criu", Finding::kOk, path};
  return {"criu", Finding::kOptional,
          strCat("checkpoints are refused: ", support::fromAbsl(works.message()))};
}

std::string cgroupText(const common::HostFacts& host) {
  switch (host.cgroupMode) {
    case common::CgroupMode::kLegacy:
      return "version 1";
    case common::CgroupMode::kHybrid:
      return "version 1 controllers, version 2 beside them";
    case common::CgroupMode::kUnified:
      return "version 2";
  }
  return "";
}

std::vector<Row> inspect(const config::Config& config, const common::HostFacts& host) {
  std::vector<Row> rows;
  rows.push_back(yesNo("root", ::geteuid() == 0, Finding::kMissing, "running as root",
                       "berthd must run as root"));
  rows.push_back({"kernel", Finding::kOk, strCat(host.kernel.major, ".", host.kernel.minor)});
  rows.push_back({"cgroups", Finding::kOk, cgroupText(host)});
  rows.push_back({"cgroup driver", Finding::kOk,
                  cgroupDriver(config) == spec::CgroupDriver::kSystemd ? "systemd" : "cgroupfs"});
  rows.push_back(yesNo("overlay", kernelOffersFilesystem("overlay"), Finding::kMissing,
                       "offered by the kernel", "load it: modprobe overlay"));
  rows.push_back(yesNo("seccomp", host.seccomp, Finding::kOptional, "filters work",
                       "containers cannot be filtered"));
  rows.push_back(yesNo("user namespaces", host.userNamespaces, Finding::kOptional, "work",
                       "pods with user namespaces are refused"));
  rows.push_back(yesNo("AppArmor", host.appArmor, Finding::kOptional, "enabled", "not enabled"));
  rows.push_back(yesNo("SELinux", host.seLinux, Finding::kOptional, "enabled", "not enabled"));
  rows.push_back(yesNo("swap accounting", host.swapAccounting, Finding::kOptional, "works",
                       "swap limits are ignored"));
  rows.push_back(yesNo("CAP_SYS_RESOURCE", host.hasSysResource(), Finding::kOptional, "held",
                       "oom_score_adj and rlimits are clamped to the daemon's own"));
  rows.push_back(programRow("runc", Finding::kOptional, "the default runtime needs it"));
  rows.push_back(programRow("crun", Finding::kOptional, "another OCI runtime"));
  rows.push_back(criuRow());
  rows.push_back(programRow("iptables", Finding::kOptional, "host ports and masquerading need it"));
  rows.push_back(yesNo("/dev/kvm", ::access("/dev/kvm", R_OK | W_OK) == 0, Finding::kOptional,
                       "usable", "virtual machine runtimes need it"));
  for (const plugins::Wanted& wanted : wantedPlugins(config)) {
    auto path = plugins::findPlugin(wanted.plugin, config.pluginDirs);
    auto library = path.ok()
                       ? plugins::Library::load(*path, wanted.kind)
                       : absl::StatusOr<std::shared_ptr<const plugins::Library>>(path.status());
    rows.push_back({strCat(plugins::kindName(wanted.kind), " ", wanted.name),
                    library.ok() ? Finding::kOk : Finding::kMissing,
                    library.ok() ? *path : std::string(library.status().message())});
  }
  return rows;
}

}  // namespace

int check(const ConfigOptions& options) {
  auto loaded = config::load(pathsOf(options));
  if (!loaded.ok()) return fail(loaded.status());
  auto host = common::collectHostFacts();
  if (!host.ok()) return fail(host.status());
  bool missing = false;
  for (const Row& row : inspect(*loaded, *host)) {
    const char* mark = row.finding == Finding::kOk        ? "ok"
                       : row.finding == Finding::kMissing ? "MISSING"
                                                          : "without";
    std::printf("%-8s %-20s %s\n", mark, row.what.c_str(), row.detail.c_str());
    missing = missing || row.finding == Finding::kMissing;
  }
  std::puts(missing ? "This host cannot run Berth yet: see the lines marked MISSING."
                    : "This host can run Berth.");
  return missing ? 1 : 0;
}

}  // namespace berth::program
