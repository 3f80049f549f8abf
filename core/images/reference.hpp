// Image references, completed as the ecosystem does (distribution's reference grammar).
#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

namespace berth::images {

// Of short names where nothing else is configured.
inline constexpr std::string_view kDefaultRegistry = "docker.io";

struct Reference {
  std::string registry;    // "docker.io", "registry.example:5000"; lowercase
  std::string repository;  // "library/busybox"
  std::string tag;         // empty when only a digest is given
  std::string digest;      // "sha256:…" or empty

  std::string name() const;    // registry/repository
  std::string tagged() const;  // name:tag; empty without a tag
  // What a source is asked: the digest decides when there is one.
  std::string full() const;
};

// "busybox" is docker.io/library/busybox:latest; "a.example/b@sha256:…" has no tag.
// INVALID_ARGUMENT says what is wrong with it.
absl::StatusOr<Reference> parseReference(std::string_view text);

// The same, but "busybox" has neither tag nor digest.
absl::StatusOr<Reference> parseNamed(std::string_view text);

// Whether it begins with a registry: "localhost/app" does, "team/app" does not.
bool namesRegistry(std::string_view text);

}  // namespace berth::images
