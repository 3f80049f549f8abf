// What goes into a container's OCI runtime specification, and what comes out.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "berth/support/user_namespace.hpp"
#include "common/host_facts.hpp"
#include "common/image_config.hpp"
#include "cri-runtime-v1.pb.h"
#include "engine/spec/warnings.hpp"

namespace berth::cdi {
class Registry;
}
namespace berth::hooks {
class Registry;
}

namespace berth::spec {

// How a runtime keeps pods apart.
enum class Isolation {
  kNamespaces,      // the pod's namespaces are joined by path
  kVirtualMachine,  // the guest has its own; only the network's path means something
};

enum class CgroupDriver { kCgroupfs, kSystemd };

// What the handler's runtime can do, as its plugin reports it.
struct RuntimeFeatures {
  std::string ociVersion = "1.0.2";
  Isolation isolation = Isolation::kNamespaces;
  bool recursiveReadOnly = false;
  bool idmappedMounts = false;
  bool userNamespaces = false;
  bool netDevices = false;  // linux.netDevices, by its OCI version
};
// From the JSON object that a runtime plugin's features() writes; members left out stay false.
RuntimeFeatures runtimeFeatures(const boost::json::object& features);

// Paths of the namespaces that a container joins; empty where the pod has none of its own.
struct NamespacePaths {
  std::string network;
  std::string ipc;
  std::string uts;
  std::string pid;        // of the pod, for NamespaceMode POD
  std::string targetPid;  // of the target container, for NamespaceMode TARGET
  std::string user;
};

// Files made for the pod; an empty path leaves the image's own file alone.
struct PodFiles {
  std::string hosts;
  std::string hostname;
  std::string resolvConf;
  // A tmpfs shared by the pod; not looked at when the pod uses the host's IPC namespace. Empty: a
  // tmpfs for the container alone.
  std::string shm;
};

// A process limit as configured: "nofile" or "RLIMIT_NOFILE".
struct Ulimit {
  std::string name;
  uint64_t soft = 0;
  uint64_t hard = 0;
};

enum class DeviceOwnership {
  kHost,             // as the host's node
  kSecurityContext,  // run_as_user and run_as_group, when not 0
};

enum class PrivilegedDevices {
  kAll,   // privileged containers get every device of the host
  kNone,  // only those that are asked for
};

// The part of the configuration that shapes containers.
struct Defaults {
  // What a container has that asks for nothing.
  std::vector<std::string> capabilities = {
      "CHOWN",   "DAC_OVERRIDE", "FSETID",           "FOWNER",
      "MKNOD",   "NET_RAW",      "SETGID",           "SETUID",
      "SETFCAP", "SETPCAP",      "NET_BIND_SERVICE", "SYS_CHROOT",
      "KILL",    "AUDIT_WRITE"};
  std::vector<Ulimit> ulimits;
  std::vector<std::string> environment;  // "KEY=value"; the image and the request override
  // For requests without a seccomp profile: "unconfined", "runtime/default", "localhost/<path>".
  std::string seccompWhenUnset = "unconfined";
  std::string seccompDefaultFile;  // replaces the built-in RuntimeDefault profile
  std::string seccompRoot = "/var/lib/kubelet/seccomp";  // for relative Localhost profiles
  std::string appArmorProfile;  // the loaded profile that RuntimeDefault stands for
  int64_t pidsLimit = 0;        // 0: none
  // Annotations of pods and containers that reach the runtime: beginnings of their names, or shell
  // patterns for the whole name.
  std::vector<std::string> annotations;
  // Of pods that set none of that name.
  std::map<std::string, std::string> defaultAnnotations;
  DeviceOwnership deviceOwnership = DeviceOwnership::kHost;
  PrivilegedDevices privilegedDevices = PrivilegedDevices::kAll;
};

// SELinux labels of a pod; empty without SELinux.
struct SeLinuxLabels {
  std::string process;
  std::string mount;
};

// Everything is borrowed for the call.
struct ContainerSpecInput {
  const runtime::v1::PodSandboxConfig& pod;
  const runtime::v1::ContainerConfig& config;
  const common::ImageConfig& image;
  const common::HostFacts& host;
  const Defaults& defaults;
  const RuntimeFeatures& features;
  std::string podId;
  std::string containerId;
  std::string imageName;   // for annotations: the reference the user gave
  std::string rootfsPath;  // absolute; mounted, for users and groups are read from it
  std::string logPath;     // for annotations
  NamespacePaths namespaces;
  PodFiles files;
  CgroupDriver cgroupDriver = CgroupDriver::kCgroupfs;
  Isolation isolation = Isolation::kNamespaces;
  SeLinuxLabels podLabels;  // from podSeLinuxLabels()
  // Where the sources of mounts are shown with mapped ids, when the runtime cannot map them itself.
  std::string mappedMounts;
  // Directories below which this engine keeps mounts of its own.
  std::vector<std::string> ownDirectories;
  cdi::Registry* cdi = nullptr;      // null: no CDI device is known
  hooks::Registry* hooks = nullptr;  // null: none
  // Further mounts (image volumes); a mount of the request on the same path wins.
  std::vector<runtime::v1::Mount> extraMounts;
};

// A source to be shown with mapped ids at another place while the container is started: what the
// specification mounts is that place.
struct MappedMount {
  std::string source;  // without links
  std::string target;
  support::IdRanges uids;
  support::IdRanges gids;
  bool propagates = false;  // the container is to see mounts that are made below the source later
};

// A host path to be labelled before the container starts.
struct Relabel {
  std::string path;
  std::string label;
};

struct ContainerSpec {
  boost::json::object spec;  // config.json
  runtime::v1::LinuxContainerUser user;
  // Sources of bind mounts that do not exist yet: to be made as directories (0755), as the kubelet
  // expects for volumes of type hostPath.
  std::vector<std::string> missingDirectories;
  std::vector<MappedMount> mappedMounts;
  std::vector<Relabel> relabels;
  Warnings warnings;
};

}  // namespace berth::spec
