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

grpc::Status ImageService::ListImages(grpc::ServerContext* /*context*/,
                                      const v1::ListImagesRequest* request,
                                      v1::ListImagesResponse* response) {
  const std::string& wanted = request->filter().image().image();
  if (wanted.empty()) {
    for (const auto& image : images_.list()) *response->add_images() = toCri(*image);
    return grpc::Status::OK;
  }
  auto image = images_.find(wanted);
  if (image.ok()) *response->add_images() = toCri(**image);
  return absl::IsNotFound(image.status()) ? grpc::Status::OK : toGrpc(image.status());
}

}  // namespace berth::cri
