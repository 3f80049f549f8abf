#include <algorithm>

#include "berth/support/status.hpp"
#include "cri/image_service.hpp"
#include "cri/own_call.hpp"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

plugins::Credentials credentialsOf(const v1::AuthConfig& auth) {
  return {auth.username(),       auth.password(),       auth.auth(),
          auth.server_address(), auth.identity_token(), auth.registry_token()};
}

}  // namespace

grpc::Status ImageService::PullImage(grpc::ServerContext* context,
                                     const v1::PullImageRequest* request,
                                     v1::PullImageResponse* response) {
  const std::string& reference = request->image().image();
  if (reference.empty()) {
    return toGrpc(absl::InvalidArgumentError("PullImage: image.image is missing"));
  }
  engine::Deadline deadline = deadlineOf(*context);
  if (settings_.pullDeadline.count() > 0) {
    deadline = std::min(deadline, engine::Deadline::clock::now() + settings_.pullDeadline);
  }
  const auto runtime = engine_.runtimeOf(request->image(), request->sandbox_config());
  if (!runtime.ok()) return toGrpc(runtime.status());
  return answerOwn<v1::PullImageResponse>(
      engine_.operations(), *context, support::strCat("PullImage ", reference), deadline, *response,
      [&images = images_, request = *request, target = engine_.podImages().target(*runtime),
       pod = engine_.podOf(request->sandbox_config())](plugins::Operation& op, auto& answer) {
        op.about(pod);
        const plugins::Credentials credentials = credentialsOf(request.auth());
        const auto image =
            images.pull(op, request.image().image(), request.has_auth() ? &credentials : nullptr,
                        target, nullptr);
        if (image.ok()) answer.set_image_ref((*image)->id);
        return image.status();
      });
}

}  // namespace berth::cri
