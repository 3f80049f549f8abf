// Addresses of the IPAM plugin host-local that are given out to nobody.
#pragma once

#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "config.hpp"

namespace berth::cni {

// host-local keeps a file for each address, named after it, writes into it whose it is, and syncs
// none of them. A file that is empty since it was killed in between, or that a power cut has
// emptied or filled with zeros, is nobody's: no DEL finds it, and its address would never be given
// out again. Removes such files of the network, under host-local's own lock, and gives their paths.
// UNAVAILABLE without the lock within a few seconds. Blocks; any thread.
absl::StatusOr<std::vector<std::string>> releaseEmptyReservations(const NetworkConfig& network);

}  // namespace berth::cni
