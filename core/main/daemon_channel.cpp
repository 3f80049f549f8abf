#include "main/daemon_channel.hpp"

#include "berth/support/status.hpp"

namespace berth::program {

using support::strCat;

std::shared_ptr<grpc::Channel> channelTo(const std::string& socket) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(strCat("unix:", socket), grpc::InsecureChannelCredentials(),
                                   arguments);
}

absl::Status statusOf(const grpc::Status& status, const std::string& socket) {
  if (status.ok()) return absl::OkStatus();
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE)
    return absl::UnavailableError(
        strCat("no daemon answers on ", socket, ": ", status.error_message()));
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED)
    return absl::UnimplementedError(
        strCat("the daemon on ", socket, " is older than this command and does not know it"));
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      support::toAbsl(status.error_message()));
}

}  // namespace berth::program
