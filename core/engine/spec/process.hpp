// The process that a container begins with, and those added later.
#pragma once

#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/json.hpp>

#include "common/image_config.hpp"
#include "cri-runtime-v1.pb.h"
#include "engine/spec/types.hpp"

namespace berth::spec {

// Kubernetes, "Define a Command and Arguments for a Container": command replaces the image's
// Entrypoint and Cmd; args alone replace Cmd. INVALID_ARGUMENT when nothing is left to run.
absl::StatusOr<std::vector<std::string>> processArguments(
    const runtime::v1::ContainerConfig& config, const common::ImageConfig& image);

// "KEY=value", each key once: PATH, TERM for a terminal, HOSTNAME, the configuration's, the
// image's, the request's; later ones override. What is no UTF-8 in a value becomes U+FFFD, with a
// warning.
absl::StatusOr<std::vector<std::string>> processEnvironment(
    const runtime::v1::ContainerConfig& config, const common::ImageConfig& image,
    const Defaults& defaults, const std::string& hostname, Warnings& warnings);

// The request's, else the image's, else "/". INVALID_ARGUMENT for a relative one.
absl::StatusOr<std::string> processDirectory(const runtime::v1::ContainerConfig& config,
                                             const common::ImageConfig& image);

enum class Terminal { kNo, kYes };

// OCI "Process" for an exec: as the container's own, with another command. `containerSpec` is the
// container's config.json. INVALID_ARGUMENT for an empty command.
absl::StatusOr<boost::json::object> execProcess(const boost::json::object& containerSpec,
                                                const std::vector<std::string>& command,
                                                Terminal terminal);

}  // namespace berth::spec
