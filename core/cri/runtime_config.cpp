#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::RuntimeConfig(grpc::ServerContext* /*context*/,
                                           const runtime::v1::RuntimeConfigRequest* /*request*/,
                                           runtime::v1::RuntimeConfigResponse* response) {
  response->mutable_linux()->set_cgroup_driver(
      engine_.settings().cgroupDriver == spec::CgroupDriver::kSystemd ? runtime::v1::SYSTEMD
                                                                      : runtime::v1::CGROUPFS);
  return grpc::Status::OK;
}

}  // namespace berth::cri
