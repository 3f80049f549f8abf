#include "berth/streams/unix_socket.hpp"

#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "berth/support/steps.hpp"

namespace berth::streams {

namespace {

Status addressAt(int directory, const std::string& name, sockaddr_un& address) {
  const std::string path = concat({"/proc/self/fd/", Number(directory), "/", name});
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return failure(Code::kInvalidArgument, {"the socket's name is too long: ", name});
  }
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return {};
}

}  // namespace

Status listenAt(int directory, const std::string& name, int type, Fd& listener) {
  sockaddr_un address{};
  if (Status status = addressAt(directory, name, address); !isOk(status)) return status;
  Fd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return errnoFailure(errno, {"make the socket ", name});
  const mode_t mask = umask(0177);
  const int bound =
      bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);  // NOLINT
  const int error = errno;
  umask(mask);
  if (bound != 0) return errnoFailure(error, {"bind the socket ", name, " in the run folder"});
  support::durableStep("bind socket", name.c_str());
  if (listen(socket.get(), 64) != 0) {
    const int reason = errno;
    support::steps::unlinkat(directory, name.c_str(), 0);
    return errnoFailure(reason, {"listen on the socket ", name});
  }
  listener = std::move(socket);
  return {};
}

Status connectAt(int directory, const std::string& name, int type, Fd& socket) {
  sockaddr_un address{};
  if (Status status = addressAt(directory, name, address); !isOk(status)) return status;
  Fd made(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!made ||
      connect(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return errnoFailure(errno, {"connect to the socket ", name});
  }
  socket = std::move(made);
  return {};
}

ssize_t receiveWithFds(int socket, char* buffer, size_t size, Fd* fds, size_t most, size_t& count) {
  // Room for more than is taken: descriptors beyond it are closed by the kernel.
  constexpr size_t kRoom = 8;
  alignas(cmsghdr) char control[CMSG_SPACE(kRoom * sizeof(int))];
  iovec part{buffer, size};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  count = 0;
  const ssize_t received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (received < 0) return -1;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t present = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < present; ++i) {
      int fd = -1;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      Fd owner(fd);
      if (count < most) fds[count++] = std::move(owner);
    }
  }
  return received;
}

}  // namespace berth::streams
