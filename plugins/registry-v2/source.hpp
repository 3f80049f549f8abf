// The plugin's class.
#pragma once

#include <optional>
#include <string_view>

#include "authorizer.hpp"
#include "berth/image_signatures.hpp"
#include "berth/image_source.hpp"
#include "client.hpp"
#include "http.hpp"
#include "options.hpp"

namespace berth::registry {

class RegistrySource final : public ImageSource, public Extensions<ImageSignatures> {
 public:
  using ImageSource::ImageSource;

  Status configure(std::string_view options) override;
  Status start() override;
  void stop() override;

  bool serves(std::string_view reference) override;
  Status resolve(const Op& op, const ImageRequest& request, uint64_t limit, Resolved& out) override;
  Status fetch(const Op& op, const ImageRequest& request, const Descriptor& descriptor,
               uint64_t offset, Sink& out) override;
  Status origin(const Op& op, const ImageRequest& request, std::string_view digest,
                ImageOrigin& out) override;
  Status signatures(const Op& op, const ImageRequest& request, std::string_view digest,
                    SignatureList& out) override;

 private:
  absl::Status resolveImage(const Op& op, const ImageRequest& request, uint64_t limit,
                            Resolved& out);
  absl::Status fetchContent(const Op& op, const ImageRequest& request, const Descriptor& descriptor,
                            uint64_t offset, Sink& out);
  absl::Status findSignatures(const Op& op, const ImageRequest& request, std::string_view digest,
                              SignatureList& out);
  Services services();

  Options options_;
  std::optional<HttpClient> http_;
  GrantCache grants_;
  DeadMirrors dead_;
};

}  // namespace berth::registry
