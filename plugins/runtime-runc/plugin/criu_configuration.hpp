// What CRIU has to be told and an OCI runtime has no option for.
#pragma once

#include <string>

#include <absl/status/status.h>

#include "records.hpp"

namespace berth::runc {

// Has a restored container's processes put into its own cgroup. CRIU would put them back into the
// one that they were dumped from, and only on v1 do the runtimes tell it another. It hears of it by
// a configuration file, `work`/criu.conf, which an annotation of the bundle names
// (runc-restore(8); criu(8), "CONFIGURATION FILES"). What the file says that the annotation named
// before, or /etc/criu/runc.conf, is kept. May be repeated. Blocks on files.
absl::Status tellCriuItsCgroup(const ContainerRecord& container, const std::string& work);

}  // namespace berth::runc
