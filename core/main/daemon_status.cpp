#include "main/daemon_status.hpp"

#include <chrono>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "cri-runtime-v1.grpc.pb.h"
#include "main/daemon_channel.hpp"

namespace berth::program {

namespace v1 = runtime::v1;
using support::strCat;

namespace {

// The daemon waits for its network plugin first.
constexpr std::chrono::seconds kPatience{10};

}  // namespace

absl::StatusOr<v1::StatusResponse> askForStatus(const std::string& socket) {
  const auto stub = v1::RuntimeService::NewStub(channelTo(socket));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  v1::StatusRequest request;
  request.set_verbose(true);
  v1::StatusResponse response;
  BERTH_RETURN_IF_ERROR(statusOf(stub->Status(&context, request, &response), socket));
  return response;
}

absl::StatusOr<boost::json::value> infoOf(const v1::StatusResponse& status, const std::string& key,
                                          const std::string& socket) {
  const auto found = status.info().find(key);
  if (found == status.info().end())
    return absl::UnimplementedError(strCat("the daemon on ", socket, " does not tell its ", key));
  return support::parseJson(found->second, key);
}

absl::StatusOr<boost::json::array> listOf(const v1::StatusResponse& status, const std::string& key,
                                          const std::string& socket) {
  BERTH_ASSIGN_OR_RETURN(const boost::json::value list, infoOf(status, key, socket));
  if (list.is_array()) return list.get_array();
  return absl::InternalError(strCat("what the daemon tells of its ", key, " is no list"));
}

absl::StatusOr<boost::json::array> askDaemon(const std::string& socket, const std::string& key) {
  BERTH_ASSIGN_OR_RETURN(const v1::StatusResponse status, askForStatus(socket));
  return listOf(status, key, socket);
}

std::string wordOf(v1::ContainerState state) {
  switch (state) {
    case v1::CONTAINER_CREATED:
      return "created";
    case v1::CONTAINER_RUNNING:
      return "running";
    case v1::CONTAINER_EXITED:
      return "exited";
    default:
      return "unknown";
  }
}

}  // namespace berth::program
