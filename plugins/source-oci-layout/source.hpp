// The plugin's class.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "berth/image_signatures.hpp"
#include "berth/image_source.hpp"
#include "options.hpp"
#include "sets.hpp"

namespace berth::layout {

class LayoutSource final : public ImageSource, public Extensions<ImageSignatures> {
 public:
  using ImageSource::ImageSource;

  Status configure(std::string_view options) override;
  bool serves(std::string_view reference) override;
  Status resolve(const Op& op, const ImageRequest& request, uint64_t limit, Resolved& out) override;
  Status fetch(const Op& op, const ImageRequest& request, const Descriptor& descriptor,
               uint64_t offset, Sink& out) override;
  Status origin(const Op& op, const ImageRequest& request, std::string_view digest,
                ImageOrigin& out) override;
  Status signatures(const Op& op, const ImageRequest& request, std::string_view digest,
                    SignatureList& out) override;

 private:
  // A document and where it lies.
  struct Place {
    Document document;
    std::string path;
    std::string transport;
    std::string location;  // the path without links
  };
  absl::StatusOr<Place> placeOf(const Check& check, std::string_view reference);
  absl::StatusOr<Place> findConfigured(const Check& check, std::string_view reference);
  absl::Status fetchBlob(const Check& check, std::string_view reference,
                         const Descriptor& descriptor, uint64_t offset, Sink& out);
  // Of the configured paths, without those that are damaged, each of which is told of once.
  absl::StatusOr<std::shared_ptr<const ImageSet>> usable(const std::string& path,
                                                         const Check& check);

  Options options_;
  Sets sets_;
  std::mutex mutex_;
  std::set<std::string> complained_;
};

}  // namespace berth::layout
