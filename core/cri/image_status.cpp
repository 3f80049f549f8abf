#include <boost/json.hpp>

#include "berth/support/json.hpp"
#include "cri/convert.hpp"
#include "cri/image_service.hpp"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

// Under the names that other engines use, so that people's scripts find it.
std::string imageInfo(const images::Image& image, const std::string& configuration) {
  constexpr std::string_view kWhat = "the image's configuration";
  auto spec = support::parseJson(configuration, kWhat);
  boost::json::object labels;
  if (const auto config = common::parseImageConfig(configuration, kWhat); config.ok())
    for (const auto& [key, value] : config->labels) labels[key] = value;
  return boost::json::serialize(
      boost::json::object{{"chainID", image.layers.empty() ? "" : image.layers.back().chainId},
                          {"manifestDigest", image.manifestDigest},
                          {"labels", std::move(labels)},
                          {"imageSpec", spec.ok() ? *std::move(spec) : boost::json::value()}});
}

}  // namespace

grpc::Status ImageService::ImageStatus(grpc::ServerContext* /*context*/,
                                       const v1::ImageStatusRequest* request,
                                       v1::ImageStatusResponse* response) {
  if (request->image().image().empty()) {
    return toGrpc(absl::InvalidArgumentError("ImageStatus: image.image is missing"));
  }
  auto image = find(request->image());
  // CRI, ImageStatus: an image that is not there is an answer without one.
  if (absl::IsNotFound(image.status())) return grpc::Status::OK;
  if (!image.ok()) return toGrpc(image.status());
  if (request->verbose()) {
    const auto content = images_.content(**image);
    if (absl::IsNotFound(content.status())) return grpc::Status::OK;
    if (!content.ok()) return toGrpc(content.status());
    (*response->mutable_info())["info"] = imageInfo(**image, content->config);
  }
  *response->mutable_image() = toCri(**image, settings_.pinned);
  return grpc::Status::OK;
}

}  // namespace berth::cri
