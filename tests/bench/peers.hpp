// The configuration files of the engines that the bench starts: same runc, same CNI plugins, same
// registry for all, each with folders and a network of its own. Pure text, nothing is written.
#pragma once

#include <string>
#include <vector>

#include "options.hpp"

namespace berth::bench {

// Where one engine keeps its things.
struct PeerLayout {
  std::string directory;  // everything below is in it
  std::string socket() const { return directory + "/cri.sock"; }
  std::string root() const { return directory + "/root"; }
  std::string state() const { return directory + "/state"; }
  std::string cniConfDirectory() const { return directory + "/net.d"; }
  std::string registryDirectory() const { return directory + "/certs.d"; }
  std::string configFile() const { return directory + "/config.toml"; }
  std::string logFile() const { return directory + "/daemon.log"; }
};

// bridge, host-local addresses and portmap, CNI 1.0.0. `index` chooses the engine's own /20.
std::string cniConflist(const std::string& bridge, const std::string& subnetPrefix, int index,
                        const std::string& dataDirectory);

// Version 2 of containerd's configuration, which 1.6 to 2.x read.
std::string containerdConfig(const PeerLayout& layout, const Options& options);
// A hosts.toml for one registry.
std::string containerdHosts(const RegistryMirror& registry);

// The shim v2 of Debian's containerd, which containerd itself uses for its pods.
inline constexpr const char* kShim = "/usr/bin/containerd-shim-runc-v2";
inline constexpr const char* kShimHandler = "shim";

// With the handler kShimHandler, whose pods runtime-kata runs through kShim, if that is `handler`.
std::string berthConfig(const PeerLayout& layout, const Options& options,
                        const std::string& handler);

}  // namespace berth::bench
