// `berth reload`: has the running daemon read its configuration anew.
#include <cstdio>

#include "main/admin_client.hpp"
#include "main/options.hpp"

namespace berth::program {

int reload(const ConfigOptions& options) {
  // Where the daemon is; what it reads is its own.
  auto loaded = config::load(pathsOf(options));
  if (!loaded.ok()) return fail(loaded.status());
  const auto response = askToReload(loaded->grpc.socket);
  if (!response.ok()) return fail(response.status());
  if (response->changes().empty()) std::puts("Nothing has changed.");
  for (const berth::admin::v1::Change& change : response->changes())
    std::printf("%s: %s -> %s%s\n", change.key().c_str(),
                change.from().empty() ? "none" : change.from().c_str(),
                change.to().empty() ? "none" : change.to().c_str(),
                change.restart() ? " (with the next start)" : "");
  return 0;
}

}  // namespace berth::program
