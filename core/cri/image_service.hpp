// The CRI ImageService: each verb in a file of its own. What is not overridden answers
// UNIMPLEMENTED.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "cri-runtime-v1.grpc.pb.h"
#include "engine/engine.hpp"
#include "images/image_service.hpp"

namespace berth::cri {

struct ImageSettings {
  std::chrono::seconds pullDeadline{0};  // 0: only the client's
  std::vector<std::string> pinned;       // names of images, or shell patterns for them
};

class ImageService final : public runtime::v1::ImageService::Service {
 public:
  // `images` and `engine` must outlive the service.
  ImageService(images::ImageService& images, engine::Engine& engine, ImageSettings settings)
      : images_(images), engine_(engine), settings_(std::move(settings)) {}

#define BERTH_CRI_VERB(Verb)                                                                 \
  grpc::Status Verb(grpc::ServerContext* context, const runtime::v1::Verb##Request* request, \
                    runtime::v1::Verb##Response* response) override;
  BERTH_CRI_VERB(ListImages)
  BERTH_CRI_VERB(ImageStatus)
  BERTH_CRI_VERB(PullImage)
  BERTH_CRI_VERB(RemoveImage)
  BERTH_CRI_VERB(ImageFsInfo)
#undef BERTH_CRI_VERB
  grpc::Status StreamImages(grpc::ServerContext* context,
                            const runtime::v1::StreamImagesRequest* request,
                            grpc::ServerWriter<runtime::v1::StreamImagesResponse>* writer) override;

 private:
  // What the spec means to the pods of its runtime handler.
  absl::StatusOr<std::shared_ptr<const images::Image>> find(
      const runtime::v1::ImageSpec& wanted) const;
  // Those that the filter names; all when it names none.
  absl::StatusOr<std::vector<runtime::v1::Image>> list(const runtime::v1::ImageFilter& filter);

  images::ImageService& images_;
  engine::Engine& engine_;
  const ImageSettings settings_;
};

// An image as the CRI shows it. The kubelet is asked to keep those that `pinned` names, by a full
// name or a shell pattern for one.
runtime::v1::Image toCri(const images::Image& image, const std::vector<std::string>& pinned);
// Of many the last are shown without annotations, when all together would be too much for one
// reply.
std::vector<runtime::v1::Image> toCri(
    const std::vector<std::shared_ptr<const images::Image>>& images,
    const std::vector<std::string>& pinned);

}  // namespace berth::cri
