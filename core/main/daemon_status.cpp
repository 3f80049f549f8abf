#include "main/daemon_status.hpp"

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "cri-runtime-v1.grpc.pb.h"
#include "main/daemon_channel.hpp"

namespace berth::program {

using support::strCat;

absl::StatusOr<boost::json::array> askDaemon(const std::string& socket, const std::string& key) {
  auto stub = runtime::v1::RuntimeService::NewStub(channelTo(socket));
  grpc::ClientContext context;
  // The daemon waits for its network plugin first.
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  runtime::v1::StatusRequest request;
  request.set_verbose(true);
  runtime::v1::StatusResponse response;
  BERTH_RETURN_IF_ERROR(statusOf(stub->Status(&context, request, &response), socket));
  const auto found = response.info().find(key);
  if (found == response.info().end())
    return absl::UnimplementedError(strCat("the daemon on ", socket, " does not tell its ", key));
  BERTH_ASSIGN_OR_RETURN(const boost::json::value list, support::parseJson(found->second, key));
  if (!list.is_array())
    return absl::InternalError(strCat("what the daemon tells of its ", key, " is no list"));
  return list.get_array();
}

}  // namespace berth::program
