#include "engine/names.hpp"

#include "berth/support/status.hpp"

namespace berth::engine {

using support::strCat;

std::string podName(const runtime::v1::PodSandboxMetadata& metadata) {
  return strCat(spokenName(metadata), "/", metadata.uid(), "/", metadata.attempt());
}

std::string containerName(const std::string& pod, const runtime::v1::ContainerMetadata& metadata) {
  return strCat(pod, "/", metadata.name(), "/", metadata.attempt());
}

std::string spokenName(const runtime::v1::PodSandboxMetadata& metadata) {
  return strCat(metadata.namespace_(), "/", metadata.name());
}

}  // namespace berth::engine
