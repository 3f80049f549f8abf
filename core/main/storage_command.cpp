// `berth check --storage`: has the running daemon compare what it keeps with what it was.
#include <cstdio>
#include <string>

#include "berth/support/status.hpp"
#include "main/admin_client.hpp"
#include "main/daemon_channel.hpp"
#include "main/daemon_socket.hpp"
#include "main/options.hpp"
#include "main/print.hpp"

namespace berth::program {

namespace admin = berth::admin::v1;

namespace {

const char* markOf(admin::StorageState state) {
  switch (state) {
    case admin::STORAGE_SOUND:
      return "ok";
    case admin::STORAGE_INCOMPLETE:
      return "to pull";
    case admin::STORAGE_IS_SET_ASIDE:
      return "aside";
    case admin::STORAGE_DAMAGED:
      return "DAMAGED";
    case admin::STORAGE_REPAIRED:
      return "repaired";
    default:
      return "unknown";
  }
}

// The name has a line of its own: most are long.
void printFinding(const admin::StorageFinding& finding) {
  std::string detail = finding.detail();
  const bool isShort = finding.state() == admin::STORAGE_SOUND;
  for (size_t at = 0; (at = detail.find('\n', at)) != std::string::npos; ++at)
    detail.replace(at, 1, "\n" + std::string(11, ' '));
  print("%-8s %s%s%s\n", markOf(finding.state()), finding.what().c_str(),
        isShort ? ": " : "\n           ", detail.c_str());
  std::fflush(stdout);
}

}  // namespace

int checkStorage(const ConfigOptions& options, const CheckOptions& wanted) {
  const auto socket = findDaemon(options);
  if (!socket.ok()) return fail(socket.status());
  admin::CheckStorageRequest request;
  request.set_repair(wanted.repair);
  if (wanted.quick) request.set_depth(admin::STORAGE_QUICK);
  size_t damaged = 0;
  size_t repaired = 0;
  const absl::Status asked =
      askToCheckStorage(*socket, request, [&](const admin::StorageFinding& finding) {
        printFinding(finding);
        if (finding.state() == admin::STORAGE_DAMAGED ||
            finding.state() == admin::STORAGE_IS_SET_ASIDE)
          ++damaged;
        if (finding.state() == admin::STORAGE_REPAIRED) ++repaired;
      });
  if (!asked.ok() && absl::IsUnavailable(reachDaemon(*socket)))
    return fail(absl::UnavailableError(
        support::strCat(support::fromAbsl(asked.message()),
                        "; it sets aside what it cannot read, and is what can check the rest")));
  if (!asked.ok()) return fail(asked);
  if (damaged != 0) {
    print("%s\n", wanted.repair
                      ? "Not all could be repaired: see the lines marked DAMAGED and aside."
                      : "Something is damaged, or was: --repair drops what can be dropped.");
    return 1;
  }
  print("%s\n", repaired != 0 ? "What was damaged is repaired: pull the images marked so again."
                              : "No damage was found.");
  return 0;
}

}  // namespace berth::program
