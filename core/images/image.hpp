// What the daemon keeps in memory of each image.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "plugins/snapshotter.hpp"

namespace berth::images {

// A whole image; immutable. Names change by a new object taking its place. What its author can make
// as long as he likes is not here, or cut short: a node has hundreds of them.
struct Image {
  // "sha256:…", digest of the config blob; of an artifact, of its manifest
  std::string id;
  std::string manifestDigest;                                 // of the platform's manifest
  std::vector<std::string> repoTags;                          // "registry.example/app:1.0"
  std::vector<std::string> repoDigests;                       // "registry.example/app@sha256:…"
  std::map<std::string, std::vector<std::string>> platforms;  // of names (name_platforms.hpp)
  uint64_t size = 0;  // bytes of manifest, config and layers as transferred
  std::string user;   // of the configuration; the first kMostUserBytes
  // Of the platform's manifest, in the order of their keys; those that fit into
  // kMostAnnotationBytes.
  std::map<std::string, std::string> annotations;
  bool isCheckpoint = false;           // by any of its manifest's annotations
  std::vector<plugins::Layer> layers;  // lowest first
  bool pinned = false;
};

inline constexpr size_t kMostUserBytes = 512;
inline constexpr size_t kMostAnnotationBytes = 16u << 10;

}  // namespace berth::images
