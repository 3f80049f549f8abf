// Names of images as layouts and archives have them.
#pragma once

#include <string>
#include <string_view>

namespace berth::layout {

// "busybox:1" is docker.io/library/busybox:1, and what has neither a tag nor a digest means
// ":latest". A name with neither "/" nor ":" in it is a tag (OCI image specification, "Pre-Defined
// Annotation Keys", org.opencontainers.image.ref.name) and stays as it is.
std::string completeName(std::string_view name);
inline bool isBareTag(std::string_view name) {
  return name.find_first_of("/:@") == std::string_view::npos;
}

// What stands behind "@"; empty when nothing does.
std::string_view digestOfReference(std::string_view reference);

}  // namespace berth::layout
