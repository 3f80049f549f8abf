// Messages about the pod: starting its monitor, saying hello.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "result.hpp"

namespace berth::runc::protocol {

// ---- starting a monitor ------------------------------------------------------------------------

struct Sysctl {
  std::string
      name;  // with dots or slashes: "net.ipv4.ip_forward", "net/ipv4/conf/eth0.1/rp_filter"
  std::string value;
};
template <typename V>
void visit(V& v, Sysctl& m) {
  v.field(1, m.name);
  v.field(2, m.value);
}

struct IdMapping {
  uint32_t containerId = 0;
  uint32_t hostId = 0;
  uint32_t size = 0;
};
template <typename V>
void visit(V& v, IdMapping& m) {
  v.field(1, m.containerId);
  v.field(2, m.hostId);
  v.field(3, m.size);
}

enum class NamespaceMode : uint8_t {
  kHost = 0,  // none is made; the pod's containers have the host's, or one each
  kNew = 1,   // one is made and held for the pod
};

struct StartRequest {
  uint32_t minVersion = kOldestVersion;
  uint32_t maxVersion = kVersion;
  std::string podId;
  std::string runDir;  // exists, owned by root, 0700; the monitor puts its files there
  std::string hostname;
  std::vector<Sysctl> sysctls;
  NamespaceMode net = NamespaceMode::kHost;
  NamespaceMode ipc = NamespaceMode::kHost;
  NamespaceMode uts = NamespaceMode::kHost;
  NamespaceMode pid = NamespaceMode::kHost;  // kNew: one that all containers of the pod share
  NamespaceMode user = NamespaceMode::kHost;
  std::vector<IdMapping> uidMappings;  // with user = kNew
  std::vector<IdMapping> gidMappings;
  std::string netPin;  // with net = kNew: where it is bind-mounted; must not exist yet
  std::string runtimePath;
  std::string runtimeRoot;
  std::vector<std::string> runtimeArgs;         // global arguments, such as --systemd-cgroup
  std::vector<std::string> runtimeEnvironment;  // "K=V", on top of the inherited environment
  // A score to try for the monitor itself. It is ignored where the host does not allow it.
  uint8_t setOomScoreAdj = 0;
  int32_t oomScoreAdj = 0;
  std::vector<std::string> cgroupDirs;  // existing cgroups the monitor moves itself into
  // A sealed memory file with the program of runtimePath, opened by the monitor at its start;
  // empty: none.
  std::string runtimeCopy;
};
template <typename V>
void visit(V& v, StartRequest& m) {
  v.always(1, m.minVersion);
  v.always(2, m.maxVersion);
  v.field(3, m.podId);
  v.field(4, m.runDir);
  v.field(5, m.hostname);
  v.field(6, m.sysctls);
  v.field(7, m.net);
  v.field(8, m.ipc);
  v.field(9, m.uts);
  v.field(10, m.pid);
  v.field(11, m.user);
  v.field(12, m.uidMappings);
  v.field(13, m.gidMappings);
  v.field(14, m.netPin);
  v.field(15, m.runtimePath);
  v.field(16, m.runtimeRoot);
  v.field(17, m.runtimeArgs);
  v.field(18, m.runtimeEnvironment);
  v.field(19, m.setOomScoreAdj);
  v.field(20, m.oomScoreAdj);
  v.field(21, m.cgroupDirs);
  v.field(22, m.runtimeCopy);
}

// What a monitor holds for its pod. A path is empty where the pod has the host's namespace; else
// it is good for setns() and for an OCI spec's namespace path while the monitor lives (the
// network's while it is pinned).
struct PodFacts {
  std::string podId;
  int32_t monitorPid = 0;
  int32_t initPid = 0;  // PID 1 of the shared PID namespace, seen from the host
  std::string netPath;
  std::string ipcPath;
  std::string utsPath;
  std::string pidPath;
  std::string userPath;
};
template <typename V>
void visit(V& v, PodFacts& m) {
  v.field(1, m.podId);
  v.field(2, m.monitorPid);
  v.field(3, m.initPid);
  v.field(4, m.netPath);
  v.field(5, m.ipcPath);
  v.field(6, m.utsPath);
  v.field(7, m.pidPath);
  v.field(8, m.userPath);
}

struct StartReply {
  Result result;
  uint32_t version = 0;
  PodFacts facts;
};
template <typename V>
void visit(V& v, StartReply& m) {
  v.field(1, m.result);
  v.field(2, m.version);
  v.field(3, m.facts);
}

// ---- connections -------------------------------------------------------------------------------

struct HelloRequest {
  uint32_t minVersion = kOldestVersion;
  uint32_t maxVersion = kVersion;
};
template <typename V>
void visit(V& v, HelloRequest& m) {
  v.always(1, m.minVersion);
  v.always(2, m.maxVersion);
}

struct HelloReply {
  Result result;
  uint32_t version = 0;        // the one that both speak from now on
  std::string programVersion;  // of the monitor
  PodFacts facts;
};
template <typename V>
void visit(V& v, HelloReply& m) {
  v.field(1, m.result);
  v.field(2, m.version);
  v.field(3, m.programVersion);
  v.field(4, m.facts);
}

}  // namespace berth::runc::protocol
