// Images' parts for tests.
#pragma once

#include <cstdint>
#include <string>

#include "plugin_under_test.hpp"
#include "scripted_server.hpp"

namespace berth::registry_test {

inline constexpr const char* kManifestType = "application/vnd.oci.image.manifest.v1+json";
inline constexpr const char* kIndexType = "application/vnd.oci.image.index.v1+json";
inline constexpr const char* kConfigType = "application/vnd.oci.image.config.v1+json";
inline constexpr const char* kLayerType = "application/vnd.oci.image.layer.v1.tar";

std::string sha256(const std::string& bytes);
// The same bytes for the same seed; they do not repeat.
std::string noise(size_t size, uint64_t seed);
// A small, valid image manifest; `mark` makes it one of its own.
std::string manifest(const std::string& mark);
TestDescriptor describe(const std::string& bytes, const std::string& mediaType = kLayerType);

Reply manifestReply(const std::string& document);
Reply statusReply(int status, const std::string& body = {});
// The whole blob, or its part from where a Range header says (206).
Reply blobReply(const std::string& blob, const Received& request);

}  // namespace berth::registry_test
