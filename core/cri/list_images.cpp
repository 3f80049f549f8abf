#include "cri/convert.hpp"
#include "cri/image_service.hpp"

namespace berth::cri {

namespace v1 = runtime::v1;

v1::Image toCri(const images::Image& image) {
  v1::Image result;
  result.set_id(image.id);
  for (const std::string& tag : image.repoTags) result.add_repo_tags(tag);
  for (const std::string& digest : image.repoDigests) result.add_repo_digests(digest);
  result.set_size(image.size);
  result.set_pinned(image.pinned);
  // CRI, Image: the uid when the image's user is a number, its name otherwise; a group is left out.
  const std::string user = image.config.user.substr(0, image.config.user.find(':'));
  if (user.empty()) return result;
  if (user.find_first_not_of("0123456789") == std::string::npos && user.size() < 10) {
    result.mutable_uid()->set_value(std::stoll(user));
  } else {
    result.set_username(user);
  }
  return result;
}

absl::StatusOr<std::vector<v1::Image>> ImageService::list(const v1::ImageFilter& filter) {
  std::vector<v1::Image> result;
  const std::string& wanted = filter.image().image();
  if (wanted.empty()) {
    for (const auto& image : images_.list()) result.push_back(toCri(*image));
    return result;
  }
  auto image = images_.find(wanted);
  if (image.ok()) {
    result.push_back(toCri(**image));
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
