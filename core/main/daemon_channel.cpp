#include "main/daemon_channel.hpp"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

#include "berth/support/fd.hpp"
#include "berth/support/status.hpp"

namespace berth::program {

using support::strCat;

std::shared_ptr<grpc::Channel> channelTo(const std::string& socket) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(strCat("unix:", socket), grpc::InsecureChannelCredentials(),
                                   arguments);
}

absl::Status reachDaemon(const std::string& socket) {
  const std::string doing = strCat("connect to ", socket);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() >= sizeof address.sun_path) return support::errnoStatus(ENAMETOOLONG, doing);
  std::memcpy(address.sun_path, socket.c_str(), socket.size() + 1);
  const support::Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return support::errnoStatus(errno, doing);
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
    return absl::OkStatus();
  switch (errno) {
    case EAGAIN:  // more clients than it takes at once
      return absl::OkStatus();
    case EACCES:
      return absl::PermissionDeniedError(
          strCat("no right to connect to ", socket, ": run as root, or be in grpc.socket_group"));
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
      return absl::UnavailableError(
          strCat("no daemon answers on ", socket,
                 "; start it: systemctl start berth; what it says: journalctl -u berth"));
    default:
      return support::errnoStatus(errno, doing);
  }
}

absl::Status statusOf(const grpc::Status& status, const std::string& socket) {
  if (status.ok()) return absl::OkStatus();
  // It may be the daemon that has answered so.
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE)
    BERTH_RETURN_IF_ERROR(reachDaemon(socket));
  // In gRPC's own words, not the daemon's.
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED &&
      status.error_message() == "Deadline Exceeded")
    return absl::DeadlineExceededError(strCat("the daemon on ", socket,
                                              " has not answered in time; what it says: "
                                              "journalctl -u berth"));
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED)
    return absl::UnimplementedError(
        strCat("the daemon on ", socket,
               " is older than this command and does not know it; restart it, through which pods "
               "go on: systemctl restart berth"));
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      support::toAbsl(status.error_message()));
}

}  // namespace berth::program
