// Where images are: from references to manifests, configurations, and the sources of layers.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "images/fetch.hpp"
#include "images/image_service.hpp"
#include "images/manifest.hpp"
#include "images/slots.hpp"
#include "plugins/registry.hpp"
#include "records.pb.h"

namespace berth::images {

// How references to files begin: "file:///PATH" is everything in the folder or archive at PATH. A
// source that reads files resolves it to an index, in which each image has its name as the
// annotation org.opencontainers.image.ref.name, and fetches by it what the index leads to.
inline constexpr std::string_view kFileScheme = "file://";

// A document that was resolved, and the source that had it.
struct Found {
  std::shared_ptr<plugins::ImageSource> source;
  plugins::Resolved resolved;
};

// Whether no source knows the name that was to be resolved: NOT_FOUND can be its content too.
bool isUnknownName(const absl::Status& status);

// Thread-safe; all calls but the last block on sources.
class Locator {
 public:
  // `registry` and `options` must outlive it.
  Locator(plugins::Registry& registry, const Options& options, Platform platform)
      : registry_(registry), options_(options), platform_(std::move(platform)) {}

  const Platform& standardPlatform() const { return platform_; }
  // That of a PullTarget. INVALID_ARGUMENT when it is none.
  absl::StatusOr<Platform> platform(const std::string& text) const;

  // Asks the configured sources in order; those that do not know the reference let the next one
  // try.
  absl::StatusOr<Found> resolve(const plugins::Operation& op,
                                const plugins::ImageRequest& request) const;
  // An index of all images in a folder or archive, of whichever source reads such, also one that
  // pulls do not ask.
  absl::StatusOr<Found> resolveFile(const plugins::Operation& op, const std::string& path) const;

  // Follows an index to the platform's manifest, and reads the configuration: the record of the
  // image, without names. That of an artifact has to be completed.
  absl::StatusOr<records::ImageRecord> describe(const plugins::Operation& op, const Origin& origin,
                                                const plugins::Resolved& resolved,
                                                const Platform& platform) const;

  // Gives the record of an artifact the configuration that stands in for its own, for which its
  // layers are fetched: not before it is known that it may be. Nothing for other images.
  absl::Status complete(const plugins::Operation& op, const Origin& origin,
                        const Platform& platform, Slots& downloads,
                        records::ImageRecord& record) const;

  // What the source says of a known image by another manifest than the one that is known, with as
  // many layers. NOT_FOUND when there is none.
  absl::StatusOr<records::ImageRecord> otherManifest(const plugins::Operation& op,
                                                     const Origin& origin,
                                                     const records::ImageRecord& record) const;

  // Calls `use` with every place that may have the content of an image that is known already, until
  // it succeeds: the source that it came from first, then the others in their order, by all its
  // names. A failure that no other place would mend is returned at once, else all of them are.
  absl::Status fromAny(const plugins::Operation& op, const records::ImageRecord& record,
                       const plugins::Credentials* credentials,
                       const std::function<absl::Status(const Origin&)>& use) const;

 private:
  absl::StatusOr<Found> ask(const plugins::Operation& op, const plugins::ImageRequest& request,
                            const std::vector<std::string>& sources) const;

  plugins::Registry& registry_;
  const Options& options_;
  const Platform platform_;
};

}  // namespace berth::images
