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
  // As ImageStatus finds it: a repeated call does not go on to the name's image for another
  // platform.
  const auto runtime = engine_.runtimeOf(request->image());
  if (!runtime.ok()) return toGrpc(runtime.status());
  return toGrpc(images_.remove(op, reference, engine_.podImages().target(*runtime).platform));
}

}  // namespace berth::cri
