// What operators do with images (core/api/berth-admin-v1.proto, service Images).
#pragma once

#include "berth-admin-v1.grpc.pb.h"
#include "cri/call_watch.hpp"
#include "cri/image_service.hpp"
#include "images/image_service.hpp"

namespace berth::program {

class ImageAdmin final : public berth::admin::v1::Images::Service {
 public:
  // `images` must outlive the service.
  ImageAdmin(images::ImageService& images, cri::ImageSettings settings)
      : images_(images), settings_(std::move(settings)) {}

  grpc::Status Pull(grpc::ServerContext* context, const berth::admin::v1::PullRequest* request,
                    grpc::ServerWriter<berth::admin::v1::PullReport>* writer) override;
  grpc::Status Import(grpc::ServerContext* context, const berth::admin::v1::ImportRequest* request,
                      grpc::ServerWriter<berth::admin::v1::PullReport>* writer) override;
  grpc::Status Export(grpc::ServerContext* context, const berth::admin::v1::ExportRequest* request,
                      grpc::ServerWriter<berth::admin::v1::ExportPart>* writer) override;
  grpc::Status Inspect(grpc::ServerContext* context,
                       const berth::admin::v1::InspectRequest* request,
                       berth::admin::v1::InspectResponse* response) override;
  grpc::Status Pin(grpc::ServerContext* context, const berth::admin::v1::PinRequest* request,
                   berth::admin::v1::PinResponse* response) override;

 private:
  engine::Deadline deadlineOf(const grpc::ServerContext& context) const;

  images::ImageService& images_;
  const cri::ImageSettings settings_;
  cri::CallWatch calls_;
};

}  // namespace berth::program
