// `berth reload`: has the running daemon read its configuration anew.
#include "main/admin_client.hpp"
#include "main/daemon_socket.hpp"
#include "main/options.hpp"
#include "main/print.hpp"

namespace berth::program {

int reload(const ConfigOptions& options) {
  // What the daemon reads is its own.
  const auto socket = findDaemon(options);
  if (!socket.ok()) return fail(socket.status());
  const auto response = askToReload(*socket);
  if (!response.ok()) return fail(response.status());
  if (response->changes().empty()) print("Nothing has changed.\n");
  for (const berth::admin::v1::Change& change : response->changes())
    print("%s%s\n", changeText(change).c_str(), change.restart() ? " (with the next start)" : "");
  return 0;
}

}  // namespace berth::program
