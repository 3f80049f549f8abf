#include "berth/support/status.hpp"
#include "cri/image_service.hpp"
#include "cri/own_call.hpp"

namespace berth::cri {

grpc::Status ImageService::RemoveImage(grpc::ServerContext* context,
                                       const runtime::v1::RemoveImageRequest* request,
                                       runtime::v1::RemoveImageResponse* response) {
  const std::string& reference = request->image().image();
  if (reference.empty()) {
    return toGrpc(absl::InvalidArgumentError("RemoveImage: image.image is missing"));
  }
  // As ImageStatus finds it: a repeated call does not go on to the name's image for another
  // platform.
  const auto runtime = engine_.runtimeOf(request->image());
  if (!runtime.ok()) return toGrpc(runtime.status());
  return answerOwn<runtime::v1::RemoveImageResponse>(
      engine_.operations(), *context, support::strCat("RemoveImage ", reference),
      deadlineOf(*context), *response,
      [&images = images_, reference, platform = engine_.podImages().target(*runtime).platform](
          plugins::Operation& op, auto&) { return images.remove(op, reference, platform); });
}

}  // namespace berth::cri
