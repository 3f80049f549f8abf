// An image source plugin as the core calls it. Contracts: sdk/include/berth/image_source.h.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

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

using ByteSink = std::function<absl::Status(std::string_view)>;

// All functions block, and may be called from any thread.
class ImageSource {
 public:
  explicit ImageSource(Instance& instance);

  const std::string& name() const { return instance_.name(); }
  bool serves(const std::string& reference);
  absl::StatusOr<Resolved> resolve(const Operation& op, const ImageRequest& request,
                                   uint64_t limit);
  // A failure of `out` itself is returned as it is.
  absl::Status fetch(const Operation& op, const ImageRequest& request, const Descriptor& descriptor,
                     uint64_t offset, const ByteSink& out);

 private:
  Instance& instance_;
  berth_image_source table_{};
};

}  // namespace berth::plugins
