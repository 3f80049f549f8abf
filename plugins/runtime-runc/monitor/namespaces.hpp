// Making a pod's namespaces.
#pragma once

#include <string>

#include "context.hpp"

namespace berth::runc::monitor {

// Descriptors that keep the namespaces alive; the network's is a bind mount instead.
struct PodNamespaces {
  Fd ipc;
  Fd uts;
  Fd user;
  Fd pid;
  pid_t initPid = 0;  // holds the shared PID namespace; a child of the caller
};

// Makes what context.config wants: a child unshares, sets hostname and sysctls, and the caller
// takes hold of the result. A user namespace comes first and owns the others. On an error nothing
// is left.
Status makeNamespaces(Context& context, PodNamespaces& namespaces);

// /proc/sys/… for a sysctl's name with dots or slashes; an error when it does not belong to a
// namespace that the pod has for itself.
Status sysctlPath(const protocol::StartRequest& config, const std::string& name, std::string& path);

}  // namespace berth::runc::monitor
