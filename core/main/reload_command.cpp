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
  if (!response->next_start().empty())
    print("What waits for the next start would by now be refused:\n%s\n",
          response->next_start().c_str());
  for (const std::string& runtime : response->tried())
    print("The runtime \"%s\" is out of service and is tried again: see `berth plugins`.\n",
          runtime.c_str());
  return 0;
}

}  // namespace berth::program
