#include "loopback.hpp"

#include <cerrno>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>

#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"

namespace berth::cni {
namespace {

using support::errnoStatus;
using support::strCat;

// The kernel gives each namespace's loopback device this index.
constexpr int kLoopbackIndex = 1;

struct LinkUpRequest {
  nlmsghdr header;
  ifinfomsg link;
};

struct Acknowledgement {
  nlmsghdr header;
  nlmsgerr error;
};

absl::Status setLoopbackUp() {
  const support::Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) return errnoStatus(errno, "open a route netlink socket");
  LinkUpRequest request = {};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_NEWLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  request.link.ifi_family = AF_UNSPEC;
  request.link.ifi_index = kLoopbackIndex;
  request.link.ifi_flags = IFF_UP;
  request.link.ifi_change = IFF_UP;
  if (::send(socket.get(), &request, sizeof request, 0) != ssize_t{sizeof request})
    return errnoStatus(errno, "send a netlink request");
  // The kernel handles the request within send(), so the answer is there already. It repeats the
  // request after the error, which is cut off here.
  Acknowledgement answer = {};
  const ssize_t count = ::recv(socket.get(), &answer, sizeof answer, MSG_TRUNC);
  if (count < 0) return errnoStatus(errno, "receive the netlink answer");
  if (count < ssize_t{sizeof answer} || answer.header.nlmsg_type != NLMSG_ERROR)
    return absl::InternalError("the netlink answer is no acknowledgement");
  return answer.error.error == 0 ? absl::OkStatus()
                                 : errnoStatus(-answer.error.error, "set the interface up");
}

absl::Status enterAndSetUp(const std::string& path) {
  BERTH_ASSIGN_OR_RETURN(const support::Fd target, support::openFile(path, O_RDONLY));
  if (::setns(target.get(), CLONE_NEWNET) != 0)
    return errnoStatus(errno, "enter the network namespace");
  return setLoopbackUp();
}

}  // namespace

LoopbackSetup::LoopbackSetup(std::string namespacePath) : path_(std::move(namespacePath)) {
  const auto setUp = [this] {
    return support::annotate(enterAndSetUp(path_), strCat("bring up loopback in ", path_));
  };
  auto thread = support::startThread([this, setUp] { status_ = support::returnThrown(setUp); });
  if (thread.ok()) {
    thread_ = *std::move(thread);
  } else {
    status_ = thread.status();
  }
}

LoopbackSetup::~LoopbackSetup() {
  if (thread_.joinable()) thread_.join();
}

absl::Status LoopbackSetup::wait() {
  if (thread_.joinable()) thread_.join();
  return status_;
}

}  // namespace berth::cni
