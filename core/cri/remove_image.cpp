#include "berth/support/status.hpp"
#include "cri/convert.hpp"
#include "cri/image_service.hpp"

namespace berth::cri {

grpc::Status ImageService::RemoveImage(grpc::ServerContext* context,
                                       const runtime::v1::RemoveImageRequest* request,
                                       runtime::v1::RemoveImageResponse* /*response*/) {
  const std::string& reference = request->image().image();
  if (reference.empty()) {
    return toGrpc(absl::InvalidArgumentError("RemoveImage: image.image is missing"));
  }
  plugins::Operation op(support::strCat("RemoveImage ", reference), deadlineOf(*context));
  if (request->image().runtime_handler().empty()) return toGrpc(images_.remove(op, reference));
  const auto image = find(request->image());
  if (absl::IsNotFound(image.status())) return grpc::Status::OK;
  return toGrpc(image.ok() ? images_.remove(op, (*image)->id) : image.status());
}

}  // namespace berth::cri
