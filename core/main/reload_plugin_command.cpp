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
  const std::string before =
      response->before().empty() ? "out of service" : "version " + response->before();
  print("%s: %s -> %s (%s)\n", response->table().c_str(), before.c_str(), response->after().c_str(),
        response->path().c_str());
  for (const std::string& pod : response->pods())
    print("  stays with the one before: %s\n", pod.c_str());
  return 0;
}

}  // namespace berth::program
