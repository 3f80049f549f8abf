#include <boost/json.hpp>

#include "cri/convert.hpp"
#include "cri/image_service.hpp"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

std::string imageInfo(const images::Image& image) {
  boost::json::array layers;
  for (const plugins::Layer& layer : image.layers) layers.emplace_back(layer.diffId);
  return boost::json::serialize(
      boost::json::object{{"manifestDigest", image.manifestDigest},
                          {"architecture", image.config.architecture},
                          {"os", image.config.os},
                          {"created", image.config.created},
                          {"entrypoint", boost::json::value_from(image.config.entrypoint)},
                          {"cmd", boost::json::value_from(image.config.command)},
                          {"env", boost::json::value_from(image.config.environment)},
                          {"user", image.config.user},
                          {"workingDir", image.config.workingDirectory},
                          {"diffIds", layers}});
}

}  // namespace

grpc::Status ImageService::ImageStatus(grpc::ServerContext* /*context*/,
                                       const v1::ImageStatusRequest* request,
                                       v1::ImageStatusResponse* response) {
  if (request->image().image().empty()) {
    return toGrpc(absl::InvalidArgumentError("ImageStatus: image.image is missing"));
  }
  auto image = images_.find(request->image().image());
  // CRI, ImageStatus: an image that is not there is an answer without one.
  if (absl::IsNotFound(image.status())) return grpc::Status::OK;
  if (!image.ok()) return toGrpc(image.status());
  *response->mutable_image() = toCri(**image);
  if (request->verbose()) (*response->mutable_info())["info"] = imageInfo(**image);
  return grpc::Status::OK;
}

}  // namespace berth::cri
