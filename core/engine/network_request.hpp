// What a network is asked for a pod.
#pragma once

#include <cstdint>
#include <string_view>

#include <absl/status/statusor.h>

#include "berth/runtime.h"
#include "plugins/network.hpp"
#include "records.pb.h"

namespace berth::engine {

// From the pod's configuration: names, namespace, host ports, DNS, and the bandwidth annotations
// kubernetes.io/{ingress,egress}-bandwidth; of the others all but BERTH_NETWORK_ABANDONED.
// INVALID_ARGUMENT for values that are none.
absl::StatusOr<plugins::NetworkRequest> networkRequest(const records::PodRecord& pod);

// A Kubernetes quantity as a whole number ("10M", "1Gi", "1.5k", "1e6"), at least 0.
// INVALID_ARGUMENT when it is none or does not fit.
absl::StatusOr<uint64_t> parseQuantity(std::string_view text);

}  // namespace berth::engine
