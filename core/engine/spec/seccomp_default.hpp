// The seccomp profile for containers that ask for the runtime's default.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "common/host_facts.hpp"

namespace berth::spec {

// What conditional rules of a profile are decided by.
struct SeccompConditions {
  std::string architecture;   // "amd64"
  uint64_t capabilities = 0;  // of the container
  common::KernelVersion kernel;
  bool x32 = false;  // HostFacts
};

// linux.seccomp of the OCI runtime specification: everything is refused with EPERM but what
// containerd and Docker let through by default, which images have come to rely on. Names that the
// installed libseccomp does not know are left out, and so is the x32 ABI where the kernel has none:
// runtimes take longer to compile its part of the filter than all else, and libseccomp ends who
// uses an ABI that a filter does not name. Computed once for equal conditions; any thread, does not
// block.
boost::json::object defaultSeccompProfile(const SeccompConditions& conditions);

// The seccomp names of an architecture and of those whose programs it runs as well, native first;
// empty when libseccomp's default, the native one, has to do.
std::vector<std::string> seccompArchitectures(std::string_view architecture);

// Whether the installed libseccomp knows the name on any architecture.
bool isSystemCall(const std::string& name);

}  // namespace berth::spec
