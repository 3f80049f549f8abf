#include "peers.hpp"

#include <absl/strings/str_cat.h>
#include <absl/strings/substitute.h>
#include <boost/json.hpp>

#include "berth/support/json.hpp"

namespace berth::bench {
namespace {

// A JSON string is a TOML basic string as well.
std::string quoted(const std::string& text) {
  return boost::json::serialize(boost::json::string(text));
}

}  // namespace

std::string cniConflist(const std::string& bridge, const std::string& subnetPrefix, int index,
                        const std::string& dataDirectory) {
  const std::string subnet = absl::StrCat(subnetPrefix, ".", index * 16, ".0/20");
  const boost::json::value conflist = {
      {"cniVersion", "1.0.0"},
      {"name", bridge},
      {"plugins",
       boost::json::array{
           boost::json::object{
               {"type", "bridge"},
               {"bridge", bridge},
               {"isGateway", true},
               {"ipam",
                {{"type", "host-local"},
                 {"dataDir", dataDirectory},
                 {"ranges",
                  boost::json::array{boost::json::array{boost::json::object{{"subnet", subnet}}}}},
                 {"routes", boost::json::array{boost::json::object{{"dst", "0.0.0.0/0"}}}}}}},
           boost::json::object{{"type", "portmap"}, {"capabilities", {{"portMappings", true}}}}}}};
  return boost::json::serialize(conflist);
}

std::string containerdConfig(const PeerLayout& layout, const Options& options) {
  constexpr char kTemplate[] = R"(version = 2
root = $0
state = $1

[grpc]
address = $2

[plugins."io.containerd.internal.v1.opt"]
path = $3

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = $4
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = $5
conf_dir = $6

[plugins."io.containerd.grpc.v1.cri".registry]
config_path = $7

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = $8
Root = $9
)";
  return absl::Substitute(kTemplate, quoted(layout.root()), quoted(layout.state()),
                          quoted(layout.socket()), quoted(layout.directory + "/opt"),
                          quoted(options.sandboxImage), quoted(options.cniBinDirectory),
                          quoted(layout.cniConfDirectory()), quoted(layout.registryDirectory()),
                          quoted(options.runc), quoted(layout.state() + "/runc"));
}

std::string containerdHosts(const RegistryMirror& registry) {
  return absl::StrCat("server = ", quoted(registry.url), "\n\n[host.", quoted(registry.url),
                      "]\ncapabilities = [\"pull\", \"resolve\"]\n");
}

std::string berthConfig(const PeerLayout& layout, const Options& options,
                        const std::string& handler) {
  constexpr char kTemplate[] = R"(root = $0
state = $1
$2
[grpc]
socket = $3

[networks.cni.options]
conf_dir = $4
bin_dirs = [$5]

[runtimes.runc.options]
path = $6
)";
  const std::string plugins =
      options.berthPlugins.empty()
          ? std::string()
          : absl::StrCat("plugin_dirs = [", quoted(options.berthPlugins), "]\n");
  std::string text = absl::Substitute(
      kTemplate, quoted(layout.root()), quoted(layout.state()), plugins, quoted(layout.socket()),
      quoted(layout.cniConfDirectory()), quoted(options.cniBinDirectory), quoted(options.runc));
  if (handler == kShimHandler) {
    absl::StrAppend(&text, "\n[runtimes.", kShimHandler, "]\nplugin = \"runtime-kata\"\n[runtimes.",
                    kShimHandler, ".options]\nshim = ", quoted(kShim),
                    "\nisolation = \"namespaces\"\nbinary = ", quoted(options.runc), "\n");
  }
  for (const RegistryMirror& registry : options.registries) {
    absl::StrAppend(&text, "\n[sources.registry.options.registries.", quoted(registry.host),
                    "]\nmirrors = [", quoted(registry.url), "]\n");
  }
  return text;
}

}  // namespace berth::bench
