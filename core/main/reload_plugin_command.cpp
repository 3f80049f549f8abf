// `berth plugin reload`: has the running daemon replace a plugin.
#include "main/admin_client.hpp"
#include "main/daemon_socket.hpp"
#include "main/options.hpp"
#include "main/print.hpp"

namespace berth::program {

int reloadPlugin(const ConfigOptions& options, const std::string& name) {
  const auto socket = findDaemon(options);
  if (!socket.ok()) return fail(socket.status());
  const auto response = askToReloadPlugin(*socket, name);
  if (!response.ok()) return fail(response.status());
  print("%s: version %s -> %s (%s)\n", response->table().c_str(), response->before().c_str(),
        response->after().c_str(), response->path().c_str());
  for (const std::string& pod : response->pods())
    print("  stays with the one before: %s\n", pod.c_str());
  return 0;
}

}  // namespace berth::program
