// `berth plugin reload`: has the running daemon replace a plugin.
#include <cstdio>

#include "main/admin_client.hpp"
#include "main/options.hpp"

namespace berth::program {

int reloadPlugin(const ConfigOptions& options, const std::string& name) {
  auto loaded = config::load(pathsOf(options));
  if (!loaded.ok()) return fail(loaded.status());
  const auto response = askToReloadPlugin(loaded->grpc.socket, name);
  if (!response.ok()) return fail(response.status());
  std::printf("%s: version %s -> %s (%s)\n", response->table().c_str(), response->before().c_str(),
              response->after().c_str(), response->path().c_str());
  for (const std::string& pod : response->pods())
    std::printf("  stays with the one before: %s\n", pod.c_str());
  return 0;
}

}  // namespace berth::program
