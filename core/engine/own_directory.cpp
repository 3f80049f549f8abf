#include "engine/own_directory.hpp"

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "engine/spec/namespaces.hpp"

namespace berth::engine {

absl::Status makeOwnDirectory(const std::string& path, const Pod& pod) {
  const auto namespaces =
      pod.peek([](const records::PodRecord& r) { return spec::podNamespaces(r.config()); });
  BERTH_RETURN_IF_ERROR(namespaces.status());
  BERTH_RETURN_IF_ERROR(support::makeDirectories(path.substr(0, path.rfind('/')), 0711));
  return support::makeDirectories(path, namespaces->user ? 0711 : 0700);
}

}  // namespace berth::engine
