// Image references: "host[:port]/path[:tag][@digest]", complete (OCI distribution spec, "Pulling
// manifests", and the grammar of names there).
#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

namespace berth::registry {

struct Reference {
  std::string host;    // as configured and shown: "docker.io", "[::1]:5000"; lowercase
  std::string path;    // "library/busybox"
  std::string tag;     // may be empty when there is a digest
  std::string digest;  // may be empty when there is a tag

  // What the registry is asked for: the digest when there is one.
  const std::string& target() const { return digest.empty() ? tag : digest; }
};

// INVALID_ARGUMENT naming the part that breaks the grammar. A path without a slash on docker.io is
// put under library/, where Docker Hub keeps such images.
absl::StatusOr<Reference> parseReference(std::string_view text);

// Whether the reference starts with a registry host: a first component with a dot or a colon, or
// localhost. Cheap; says nothing of the rest.
bool namesRegistry(std::string_view text);

// "host", "host:port", "[v6]", "[v6]:port".
bool isHostAndPort(std::string_view text);

// The host without its port and brackets: "::1" for "[::1]:5000".
std::string_view hostWithoutPort(std::string_view host);

// 127.0.0.0/8, ::1 or localhost, with or without a port.
bool isLoopback(std::string_view host);

}  // namespace berth::registry
