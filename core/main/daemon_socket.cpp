#include "main/daemon_socket.hpp"

#include <linux/limits.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "main/daemon_channel.hpp"
#include "main/print.hpp"

namespace berth::program {

using support::strCat;

namespace {

// For everybody to read: members of `grpc.socket_group` may not read the configuration.
constexpr mode_t kMode = 0644;

std::string fileIn(const std::string& state) {
  return strCat(state, "/serves");
}

bool answers(const std::string& socket) {
  return !absl::IsUnavailable(reachDaemon(socket));
}

std::string socketBy(const config::Config& config) {
  const auto told = support::readFile(fileIn(config.state), PATH_MAX);
  return told.ok() && answers(*told) ? *told : config.grpc.socket;
}

}  // namespace

absl::StatusOr<std::string> findDaemon(const ConfigOptions& options) {
  if (!options.socket.empty()) return options.socket;
  const config::Paths paths = pathsOf(options);
  const auto loaded = config::load(paths);
  if (loaded.ok()) return socketBy(*loaded);
  BERTH_ASSIGN_OR_RETURN(const config::Config readable, config::loadReadable(paths));
  const std::string socket = socketBy(readable);
  if (!answers(socket)) return loaded.status();
  // Who may use the socket need not be able to read the files.
  if (!absl::IsPermissionDenied(loaded.status()))
    printError("berth: %s\nberth: the daemon on %s is asked all the same\n",
               std::string(loaded.status().message()).c_str(), socket.c_str());
  return socket;
}

absl::Status tellOfSocket(const std::string& state, const std::string& socket) {
  // Of a daemon that was killed meanwhile; nothing else is replaced right there.
  BERTH_RETURN_IF_ERROR(support::removeTemporaries(state));
  return support::replaceFile(fileIn(state), socket, kMode, support::Durability::kVisible);
}

}  // namespace berth::program
