#include <algorithm>
#include <fnmatch.h>

#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "common/text.hpp"
#include "cri/convert.hpp"
#include "cri/image_service.hpp"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

// What images' authors write must not fill the reply that all images share, of which the kubelet
// takes 16 MiB: its garbage collection lives by it.
constexpr size_t kMostSpecBytes = 4u << 20;
constexpr size_t kMostUserBytes = 256;

bool isPinned(const images::Image& image, const std::vector<std::string>& patterns) {
  const auto named = [&](const std::string& pattern) {
    const auto matches = [&](const std::string& name) {
      return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
    };
    return std::any_of(image.repoTags.begin(), image.repoTags.end(), matches) ||
           std::any_of(image.repoDigests.begin(), image.repoDigests.end(), matches);
  };
  return image.pinned || std::any_of(patterns.begin(), patterns.end(), named);
}

// CRI, Image: the uid when the image's user is a number, its name otherwise; a group is left out.
void setUser(const std::string& imageUser, v1::Image& result) {
  const std::string user = imageUser.substr(0, imageUser.find(':'));
  const auto uid = common::parseNumber<int64_t>(user);
  if (uid && *uid >= 0)
    result.mutable_uid()->set_value(*uid);
  else
    result.set_username(std::string(support::utf8Prefix(user, kMostUserBytes)));
}

}  // namespace

v1::Image toCri(const images::Image& image, const std::vector<std::string>& pinned) {
  v1::Image result;
  result.set_id(image.id);
  for (const std::string& tag : image.repoTags) result.add_repo_tags(tag);
  for (const std::string& digest : image.repoDigests) result.add_repo_digests(digest);
  result.set_size(image.size);
  result.set_pinned(isPinned(image, pinned));
  setUser(image.user, result);
  for (const auto& [key, value] : image.annotations)
    (*result.mutable_spec()->mutable_annotations())[key] = value;
  return result;
}

std::vector<v1::Image> toCri(const std::vector<std::shared_ptr<const images::Image>>& images,
                             const std::vector<std::string>& pinned) {
  std::vector<v1::Image> result;
  size_t bytes = 0;
  for (const auto& image : images) {
    v1::Image& one = result.emplace_back(toCri(*image, pinned));
    const size_t more = one.spec().ByteSizeLong();
    if (bytes + more > kMostSpecBytes) {
      one.clear_spec();
    } else {
      bytes += more;
    }
  }
  return result;
}

absl::StatusOr<std::shared_ptr<const images::Image>> ImageService::find(
    const v1::ImageSpec& wanted) const {
  BERTH_ASSIGN_OR_RETURN(const std::string runtime, engine_.runtimeOf(wanted));
  return engine_.podImages().find(wanted.image(), runtime);
}

absl::StatusOr<std::vector<v1::Image>> ImageService::list(const v1::ImageFilter& filter) {
  if (filter.image().image().empty()) return toCri(images_.list(), settings_.pinned);
  std::vector<v1::Image> result;
  auto image = find(filter.image());
  if (image.ok()) {
    result.push_back(toCri(**image, settings_.pinned));
  } else if (!absl::IsNotFound(image.status())) {
    return image.status();
  }
  return result;
}

grpc::Status ImageService::ListImages(grpc::ServerContext* /*context*/,
                                      const v1::ListImagesRequest* request,
                                      v1::ListImagesResponse* response) {
  auto images = list(request->filter());
  if (!images.ok()) return toGrpc(images.status());
  for (v1::Image& image : *images) *response->add_images() = std::move(image);
  return grpc::Status::OK;
}

}  // namespace berth::cri
