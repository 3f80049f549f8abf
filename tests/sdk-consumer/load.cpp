// sdk-consumer-load DIRECTORY FILE...: leads each network plugin through its life with the real
// plugin host.
#include <cstdio>
#include <string>

#include "berth/support/status.hpp"
#include "plugins/registry.hpp"

namespace {

absl::Status tryPlugin(const std::string& directory, const std::string& file) {
  using namespace berth::plugins;
  HostServices services;
  services.root = directory;
  services.state = directory;
  bool logged = false;
  services.log = [&](berth_log_level, std::string_view, std::string_view, const LogFields&) {
    logged = true;
  };
  Registry registry({}, services);
  BERTH_RETURN_IF_ERROR(registry.load({{Kind::kNetwork, "quiet", file, {}}}));
  BERTH_RETURN_IF_ERROR(registry.start());
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Network> network, registry.network("quiet"));
  Operation op("attach a pod");
  NetworkRequest request;
  request.pod = "pod-1";
  BERTH_ASSIGN_OR_RETURN(const NetworkResult result, network->attach(op, request));
  BERTH_RETURN_IF_ERROR(network->detach(op, request, result.state));
  if (result.addresses.size() != 1 || result.addresses[0] != "192.0.2.1" || op.stage() != "pod-1" ||
      !logged) {
    return absl::InternalError("the plugin did not do what it was asked");
  }
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 2; i < argc; ++i) {
    const absl::Status status = tryPlugin(argv[1], argv[i]);
    if (!status.ok()) {
      std::fprintf(stderr, "%s: %s\n", argv[i], status.ToString().c_str());
      return 1;
    }
  }
  return argc > 2 ? 0 : 2;
}
