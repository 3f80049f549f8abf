// Images as the pods of each runtime have them.
#pragma once

#include <memory>
#include <string>

#include <absl/status/statusor.h>

#include "engine/settings.hpp"
#include "images/image_service.hpp"

namespace berth::engine {

// Thread-safe, answers from memory. A runtime is the name of its plugin instance.
class PodImages {
 public:
  // Both must outlive it.
  PodImages(const Settings& settings, const images::ImageService& images)
      : settings_(settings), images_(images) {}

  const std::string& snapshotter(const std::string& runtime) const;
  // What their images are pulled for.
  images::PullTarget target(const std::string& runtime) const;
  // What a name means for them, or an id whatever it is of. NOT_FOUND.
  absl::StatusOr<std::shared_ptr<const images::Image>> find(const std::string& reference,
                                                            const std::string& runtime) const;
  // The same, but what their containers can be made from and mount: NOT_FOUND also for an id of an
  // image that is here for other platforms alone.
  absl::StatusOr<std::shared_ptr<const images::Image>> findToRun(const std::string& reference,
                                                                 const std::string& runtime) const;

 private:
  const Settings& settings_;
  const images::ImageService& images_;
};

}  // namespace berth::engine
