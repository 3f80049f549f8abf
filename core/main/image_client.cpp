#include "main/image_client.hpp"

#include <chrono>

#include "berth-admin-v1.grpc.pb.h"
#include "berth/support/status.hpp"
#include "cri-runtime-v1.grpc.pb.h"
#include "main/daemon_channel.hpp"

namespace berth::program {

namespace admin = berth::admin::v1;
namespace cri = runtime::v1;
using support::strCat;

namespace {

// For what the daemon answers from memory, or after one write to its disk.
constexpr std::chrono::seconds kPatience{30};

std::unique_ptr<admin::Images::Stub> imagesOf(const std::string& socket) {
  return admin::Images::NewStub(channelTo(socket));
}

std::unique_ptr<cri::ImageService::Stub> criOf(const std::string& socket) {
  return cri::ImageService::NewStub(channelTo(socket));
}

}  // namespace

void AskedImages::setPatience() {
  context_.set_deadline(std::chrono::system_clock::now() + kPatience);
}

absl::Status AskedImages::pull(const admin::PullRequest& request, const ReportTaker& take) {
  const auto reader = imagesOf(socket_)->Pull(&context_, request);
  admin::PullReport report;
  while (reader->Read(&report)) take(report);
  return statusOf(reader->Finish(), socket_);
}

absl::Status AskedImages::import(const admin::ImportRequest& request, const ReportTaker& take) {
  const auto reader = imagesOf(socket_)->Import(&context_, request);
  admin::PullReport report;
  while (reader->Read(&report)) take(report);
  return statusOf(reader->Finish(), socket_);
}

absl::Status AskedImages::exportTo(
    const admin::ExportRequest& request,
    const std::function<absl::Status(const admin::ExportPart&)>& take) {
  const auto reader = imagesOf(socket_)->Export(&context_, request);
  admin::ExportPart part;
  absl::Status taken;
  while (taken.ok() && reader->Read(&part)) taken = take(part);
  if (!taken.ok()) cancel();
  const grpc::Status finished = reader->Finish();
  return taken.ok() ? statusOf(finished, socket_) : taken;
}

absl::StatusOr<std::string> AskedImages::inspect(const std::string& image) {
  setPatience();
  admin::InspectRequest request;
  request.set_image(image);
  admin::InspectResponse response;
  BERTH_RETURN_IF_ERROR(
      statusOf(imagesOf(socket_)->Inspect(&context_, request, &response), socket_));
  return response.json();
}

absl::StatusOr<admin::PinResponse> AskedImages::pin(const std::string& image, bool pinned) {
  setPatience();
  admin::PinRequest request;
  request.set_image(image);
  request.set_pinned(pinned);
  admin::PinResponse response;
  BERTH_RETURN_IF_ERROR(statusOf(imagesOf(socket_)->Pin(&context_, request, &response), socket_));
  return response;
}

absl::StatusOr<std::vector<cri::Image>> AskedImages::list() {
  setPatience();
  cri::ListImagesResponse response;
  BERTH_RETURN_IF_ERROR(statusOf(criOf(socket_)->ListImages(&context_, {}, &response), socket_));
  return std::vector<cri::Image>(response.images().begin(), response.images().end());
}

absl::StatusOr<cri::Image> AskedImages::status(const std::string& image) {
  setPatience();
  cri::ImageStatusRequest request;
  request.mutable_image()->set_image(image);
  cri::ImageStatusResponse response;
  BERTH_RETURN_IF_ERROR(
      statusOf(criOf(socket_)->ImageStatus(&context_, request, &response), socket_));
  if (!response.has_image())
    return absl::NotFoundError(strCat("image ", image, " is not on this node"));
  return response.image();
}

absl::Status AskedImages::remove(const std::string& image) {
  setPatience();
  cri::RemoveImageRequest request;
  request.mutable_image()->set_image(image);
  cri::RemoveImageResponse response;
  return statusOf(criOf(socket_)->RemoveImage(&context_, request, &response), socket_);
}

}  // namespace berth::program
