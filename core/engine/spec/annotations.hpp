// Annotations by which runtimes, hooks and monitoring tools recognise what Kubernetes runs.
#pragma once

#include <boost/json.hpp>

#include "cri-runtime-v1.pb.h"
#include "engine/spec/types.hpp"

namespace berth::spec {

// Those of containerd (io.kubernetes.cri.*) and of CRI-O (io.kubernetes.cri-o.*), since tools know
// one or the other, and those of the request that the configuration lets through. Any thread, does
// not block.
boost::json::object containerAnnotations(const ContainerSpecInput& input);

// The same for a pod, for runtimes that are given a specification of it (virtual machines).
boost::json::object podAnnotations(const runtime::v1::PodSandboxConfig& pod,
                                   const std::string& podId, const Defaults& defaults);

}  // namespace berth::spec
