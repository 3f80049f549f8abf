#include "berth/support/clock.hpp"
#include "cri/convert.hpp"
#include "cri/image_service.hpp"

namespace berth::cri {

namespace v1 = runtime::v1;

grpc::Status ImageService::ImageFsInfo(grpc::ServerContext* context,
                                       const v1::ImageFsInfoRequest* /*request*/,
                                       v1::ImageFsInfoResponse* response) {
  plugins::Operation op("ImageFsInfo", deadlineOf(*context));
  auto filesystems = images_.filesystems(op);
  if (!filesystems.ok()) return toGrpc(filesystems.status());
  for (const auto& one : *filesystems) {
    v1::FilesystemUsage* usage = response->add_image_filesystems();
    usage->set_timestamp(support::nowNanoseconds());
    usage->mutable_fs_id()->set_mountpoint(one.path);
    usage->mutable_used_bytes()->set_value(one.bytes);
    usage->mutable_inodes_used()->set_value(one.inodes);
    // Writable layers lie beside the images' layers.
    *response->add_container_filesystems() = *usage;
  }
  return grpc::Status::OK;
}

}  // namespace berth::cri
