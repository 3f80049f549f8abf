#include "plugin_check/child.hpp"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <absl/strings/str_join.h>

#include "berth/plugin.hpp"
#include "berth/support/files.hpp"
#include "berth/support/mounts.hpp"
#include "berth/support/process.hpp"
#include "berth/support/status.hpp"
#include "plugin_check/entry.hpp"
#include "plugin_check/sanitizer.hpp"

namespace berth::check {

using support::strCat;

namespace {

constexpr const char* kChildOption = "--run-check";
constexpr const char* kKindOption = "--show-kind";
constexpr std::string_view kKindMark = "\ninterface ";
constexpr std::string_view kInterfaceNetwork = "192.0.2.";  // for examples (RFC 5737)
constexpr auto kKindPatience = std::chrono::seconds(20);

absl::Status bringUpLoopback() {
  const support::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0)
    return support::errnoStatus(errno, "bring up the loopback interface");
  return absl::OkStatus();
}

// What the check and the plugin mount, and what they connect, is gone with their processes.
absl::Status isolate(Rights rights) {
  if (::unshare(CLONE_NEWNS) != 0) return support::errnoStatus(errno, "unshare(CLONE_NEWNS)");
  BERTH_RETURN_IF_ERROR(support::setPropagation("/", support::Propagation::kPrivate,
                                                support::MountScope::kRecursive));
  if (rights != Rights::kNetwork) return absl::OkStatus();
  if (::unshare(CLONE_NEWNET) != 0) return support::errnoStatus(errno, "unshare(CLONE_NEWNET)");
  BERTH_RETURN_IF_ERROR(bringUpLoopback());
  // sysfs shows the interfaces of the namespace it was mounted in.
  return support::mountFilesystem("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC);
}

absl::Status runIp(std::vector<std::string> arguments) {
  const std::string command = strCat("ip ", absl::StrJoin(arguments, " "));
  arguments.insert(arguments.begin(), "ip");
  BERTH_ASSIGN_OR_RETURN(const support::Output made, support::run({.argv = std::move(arguments)}));
  if (made.exitCode == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(strCat(command, ": ", made.standardError));
}

// For networks that give interfaces of the host to pods, which bring their addresses.
absl::Status makeInterface(const std::string& name, size_t number) {
  BERTH_RETURN_IF_ERROR(runIp({"link", "add", "name", name, "type", "veth"}));
  return runIp({"address", "add", strCat(kInterfaceNetwork, number, "/24"), "dev", name});
}

void runCheck(const Check& check, Probe& probe) {
  if (check.within && !probe.settings().pluginHost.empty())
    return probe.skip("looks at its own process, which does not have the plugin");
  // A part works in the namespaces of the process that started it.
  if (probe.part().empty() && ::geteuid() == 0) {
    const absl::Status isolated = isolate(check.rights);
    if (!isolated.ok()) {
      // Without rights to do so there are none to mount and connect either.
      if (check.rights != Rights::kAny) return probe.skip(isolated.ToString());
    } else if (check.rights == Rights::kNetwork) {
      size_t number = 0;
      for (const std::string& name : probe.settings().hostInterfaces) {
        if (!probe.succeeds(makeInterface(name, ++number), "make an interface of the host")) return;
      }
    }
  } else if (check.rights != Rights::kAny && ::geteuid() != 0) {
    return probe.skip("needs root");
  }
  check.run(probe);
}

}  // namespace

std::vector<std::string> childArguments(const Place& place) {
  return {"/proc/self/exe", kChildOption, place.folder, place.check, place.part};
}

bool isChild(int argc, char** argv) {
  return argc == 5 && std::strcmp(argv[1], kChildOption) == 0;
}

int runChild(int /*argc*/, char** argv) {
  const Place place{argv[2], argv[3], argv[4]};
  // Nothing may outlive whoever waits for this process.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::fcntl(3, F_SETFD, FD_CLOEXEC);
  auto text = support::readFile(strCat(place.folder, "/", kSettingsName));
  auto settings = text.ok() ? settingsFromJson(*text) : text.status();
  if (!settings.ok()) {
    std::fprintf(stderr, "%s\n", settings.status().ToString().c_str());
    return 3;
  }
  Probe probe(*std::move(settings), place);
  for (const Check& check : allChecks()) {
    if (check.name != place.check) continue;
    runCheck(check, probe);
    probe.step("end of the process");
    probe.finish();
    return 0;
  }
  return 3;
}

std::optional<plugins::Kind> askKind(const std::string& file) {
  support::Command command;
  command.argv = {"/proc/self/exe", kKindOption, file};
  command.environment = environmentFor(file, Leaks::kIgnored);
  support::RunLimits limits;
  limits.deadline = std::chrono::steady_clock::now() + kKindPatience;
  const auto output = support::run(command, {}, limits);
  if (!output.ok() || output->exitCode != 0) return std::nullopt;
  // A plugin may write there too.
  const size_t answer = output->standardOutput.rfind(kKindMark);
  if (answer == std::string::npos) return std::nullopt;
  return plugins::kindOf(
      std::string_view(output->standardOutput).substr(answer + kKindMark.size()));
}

bool isKindQuestion(int argc, char** argv) {
  return argc == 3 && std::strcmp(argv[1], kKindOption) == 0;
}

int answerKind(const std::string& file) {
  const auto entry = findEntry(file);
  if (!entry.ok()) return 1;
  const berth_plugin* given = (*entry)(BERTH_ABI_MAJOR, BERTH_ABI_MINOR);
  if (given == nullptr) return 1;
  std::printf("%s%s", std::string(kKindMark).c_str(),
              copy(detail::known(given).interface_id).c_str());
  return std::fflush(stdout);
}

}  // namespace berth::check
