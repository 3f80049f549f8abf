// An image source plugin as the core calls it. Contracts: sdk/include/berth/image_source.h.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "berth/image_signatures.h"
#include "berth/image_source.h"
#include "plugins/instance.hpp"
#include "plugins/operation.hpp"

namespace berth::plugins {

// OCI image spec, "Content Descriptors".
struct Descriptor {
  std::string mediaType;
  std::string digest;
  uint64_t size = 0;  // bytes
  std::vector<std::string> urls;
  std::map<std::string, std::string> annotations;
};

// CRI AuthConfig. Never log it.
struct Credentials {
  std::string username, password, auth, serverAddress, identityToken, registryToken;
};

struct ImageRequest {
  std::string reference;
  const Credentials* credentials = nullptr;  // null: the source's own
};

struct Resolved {
  Descriptor descriptor;
  std::string document;
};

// Where an image comes from (containers-transports(5)).
struct ImageOrigin {
  std::string transport = "docker";
  std::string location;  // absolute path; empty where the reference says all
};

// What somebody has signed, as it came: not yet trusted. Contract: berth/image_signatures.h.
struct ImageSignature {
  berth_signature_kind kind = BERTH_SIGNATURE_SIMPLE;
  std::string payload;
  std::string signature;  // of sigstore, in base64
};

using ByteSink = std::function<absl::Status(std::string_view)>;

// All functions block, and may be called from any thread.
class ImageSource {
 public:
  explicit ImageSource(Instance& instance);

  // Once, after the start.
  void findExtensions();
  const std::string& name() const { return instance_.name(); }
  bool serves(const std::string& reference);
  absl::StatusOr<Resolved> resolve(const Operation& op, const ImageRequest& request,
                                   uint64_t limit);
  // A failure of `out` itself is returned as it is.
  absl::Status fetch(const Operation& op, const ImageRequest& request, const Descriptor& descriptor,
                     uint64_t offset, const ByteSink& out);

  // Of what resolve() has given. A source that does not tell has images of registries.
  absl::StatusOr<ImageOrigin> origin(const Operation& op, const ImageRequest& request,
                                     const std::string& digest);
  // Of a manifest or index; none from a source that has no signatures. RESOURCE_EXHAUSTED past a
  // bound of their number and size.
  absl::StatusOr<std::vector<ImageSignature>> signatures(const Operation& op,
                                                         const ImageRequest& request,
                                                         const std::string& digest);

 private:
  Instance& instance_;
  berth_image_source table_{};
  berth_image_signatures signatures_{};
};

}  // namespace berth::plugins
