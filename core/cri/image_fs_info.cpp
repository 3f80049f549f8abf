#include "berth/support/clock.hpp"
#include "berth/support/status.hpp"
#include "cri/image_service.hpp"
#include "cri/own_call.hpp"

namespace berth::cri {

namespace v1 = runtime::v1;

grpc::Status ImageService::ImageFsInfo(grpc::ServerContext* context,
                                       const v1::ImageFsInfoRequest* /*request*/,
                                       v1::ImageFsInfoResponse* response) {
  return answerOwn<v1::ImageFsInfoResponse>(
      engine_.operations(), *context, "ImageFsInfo", deadlineOf(*context), *response,
      [&images = images_](plugins::Operation& op, v1::ImageFsInfoResponse& answer) -> absl::Status {
        BERTH_ASSIGN_OR_RETURN(const auto filesystems, images.filesystems(op));
        for (const auto& one : filesystems) {
          v1::FilesystemUsage* usage = answer.add_image_filesystems();
          usage->set_timestamp(support::nowNanoseconds());
          usage->mutable_fs_id()->set_mountpoint(one.path);
          usage->mutable_used_bytes()->set_value(one.bytes);
          usage->mutable_inodes_used()->set_value(one.inodes);
          // Writable layers lie beside the images' layers.
          *answer.add_container_filesystems() = *usage;
        }
        return absl::OkStatus();
      });
}

}  // namespace berth::cri
