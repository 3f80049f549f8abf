#include "engine/pod_images.hpp"

#include "berth/support/status.hpp"
#include "images/name_platforms.hpp"

namespace berth::engine {

using support::strCat;

const std::string& PodImages::snapshotter(const std::string& runtime) const {
  const auto found = settings_.snapshotters.find(runtime);
  return found == settings_.snapshotters.end() ? settings_.snapshotter : found->second;
}

images::PullTarget PodImages::target(const std::string& runtime) const {
  const auto platform = settings_.platforms.find(runtime);
  return {snapshotter(runtime), platform == settings_.platforms.end() ? "" : platform->second};
}

absl::StatusOr<std::shared_ptr<const images::Image>> PodImages::find(
    const std::string& reference, const std::string& runtime) const {
  return images_.findFor(reference, target(runtime).platform);
}

absl::StatusOr<std::shared_ptr<const images::Image>> PodImages::findToRun(
    const std::string& reference, const std::string& runtime) const {
  const std::string platform = target(runtime).platform;
  auto image = images_.findFor(reference, platform);
  if (image.ok() && images::isFor(**image, platform)) return image;
  if (!images_.find(reference).ok()) return image;
  return absl::NotFoundError(strCat("image ", reference, " is on this node, but not for ",
                                    platform.empty() ? "images.platform" : platform,
                                    ", as pods of the runtime \"", runtime,
                                    "\" take it: it has to be pulled for them"));
}

}  // namespace berth::engine
