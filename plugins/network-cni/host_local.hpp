// What a power cut leaves of addresses that the IPAM plugin host-local has given out.
#pragma once

#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "config.hpp"

namespace berth::cni {

// host-local keeps a file for each address, named after it, whose content says whose it is, and
// syncs none of them. A file that a power cut has emptied, or left with zeros alone, is nobody's:
// no DEL finds it, and its address would never be given out again. Removes such files of the
// network, under host-local's own lock, and gives their paths. To be called before pods are run:
// without the lock within a few seconds it is UNAVAILABLE. Blocks; any thread.
absl::StatusOr<std::vector<std::string>> releaseEmptyReservations(const NetworkConfig& network);

}  // namespace berth::cni
