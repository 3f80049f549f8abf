#include <algorithm>
#include <string_view>

#include "namespaces.hpp"

namespace berth::runc::monitor {

using protocol::NamespaceMode;

namespace {

// As sysctl(8) has it: the first separator decides; with slashes first, dots belong to the names
// ("net/ipv4/conf/eth0.1/rp_filter"), with dots first it is the other way round.
std::string withSlashes(const std::string& name) {
  const size_t first = name.find_first_of("./");
  if (first == std::string::npos || name[first] == '/') return name;
  std::string path = name;
  for (char& c : path) {
    if (c == '.') {
      c = '/';
    } else if (c == '/') {
      c = '.';
    }
  }
  return path;
}

// ipc_namespaces(7)
bool isIpc(std::string_view path) {
  constexpr std::string_view kExact[] = {
      "kernel/auto_msgmni",     "kernel/msg_next_id", "kernel/msgmax",      "kernel/msgmnb",
      "kernel/msgmni",          "kernel/sem",         "kernel/sem_next_id", "kernel/shm_next_id",
      "kernel/shm_rmid_forced", "kernel/shmall",      "kernel/shmmax",      "kernel/shmmni"};
  return std::find(std::begin(kExact), std::end(kExact), path) != std::end(kExact) ||
         path.starts_with("fs/mqueue/");
}

bool leavesFolder(std::string_view path) {
  return path.empty() || path.front() == '/' || path.find("//") != std::string_view::npos ||
         path.find("..") != std::string_view::npos;
}

}  // namespace

Status sysctlPath(const protocol::StartRequest& config, const std::string& name,
                  std::string& path) {
  const std::string slashes = withSlashes(name);
  if (leavesFolder(slashes)) {
    return failure(Code::kInvalidArgument, {"\"", name, "\" is no sysctl name"});
  }
  NamespaceMode mode = NamespaceMode::kHost;
  std::string_view owner;
  if (slashes.starts_with("net/")) {
    mode = config.net;
    owner = "network";
  } else if (isIpc(slashes)) {
    mode = config.ipc;
    owner = "IPC";
  } else if (slashes == "kernel/domainname") {
    mode = config.uts;
    owner = "UTS";
  } else {
    return failure(Code::kInvalidArgument,
                   {"sysctl ", name, " is not namespaced: setting it would change the host"});
  }
  if (mode != NamespaceMode::kNew) {
    return failure(Code::kInvalidArgument, {"sysctl ", name, " needs a ", owner,
                                            " namespace of the pod's own; it has the host's"});
  }
  path = concat({"/proc/sys/", slashes});
  return {};
}

}  // namespace berth::runc::monitor
