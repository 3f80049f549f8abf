#include "cri/convert.hpp"
#include "cri/image_service.hpp"
#include "cri/stream_list.hpp"

namespace berth::cri {

grpc::Status ImageService::StreamImages(
    grpc::ServerContext* context, const runtime::v1::StreamImagesRequest* request,
    grpc::ServerWriter<runtime::v1::StreamImagesResponse>* writer) {
  auto images = list(request->filter());
  if (!images.ok()) return toGrpc(images.status());
  return streamList(*context, *writer, *std::move(images),
                    &runtime::v1::StreamImagesResponse::add_images);
}

}  // namespace berth::cri
