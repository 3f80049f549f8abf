#include "network_stats.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/socket.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"

namespace berth::runc {

using support::errnoStatus;
using support::Fd;
using support::strCat;

namespace {

berth_interface_stats countersOf(const rtnl_link_stats64& link) {
  berth_interface_stats counters{};
  counters.size = sizeof counters;
  counters.rx_bytes = link.rx_bytes;
  counters.rx_packets = link.rx_packets;
  counters.rx_errors = link.rx_errors;
  counters.rx_dropped = link.rx_dropped;
  counters.tx_bytes = link.tx_bytes;
  counters.tx_packets = link.tx_packets;
  counters.tx_errors = link.tx_errors;
  counters.tx_dropped = link.tx_dropped;
  return counters;
}

void parseLink(const nlmsghdr* header, std::vector<InterfaceStats>& out) {
  const auto* link = static_cast<const ifinfomsg*>(NLMSG_DATA(header));
  if ((link->ifi_flags & IFF_LOOPBACK) != 0) return;
  InterfaceStats found;
  const auto* attribute = reinterpret_cast<const rtattr*>(reinterpret_cast<const char*>(link) +
                                                          NLMSG_ALIGN(sizeof *link));
  auto left = static_cast<int>(header->nlmsg_len - NLMSG_LENGTH(sizeof *link));
  while (RTA_OK(attribute, left)) {
    if (attribute->rta_type == IFLA_IFNAME) {
      const char* name = static_cast<const char*>(RTA_DATA(attribute));
      found.name.assign(name, ::strnlen(name, RTA_PAYLOAD(attribute)));
    } else if (attribute->rta_type == IFLA_STATS64) {
      // The kernel's struct may be longer than ours, or (an older kernel) shorter.
      rtnl_link_stats64 counters{};
      std::memcpy(&counters, RTA_DATA(attribute),
                  std::min<size_t>(sizeof counters, RTA_PAYLOAD(attribute)));
      found.counters = countersOf(counters);
    }
    attribute = RTA_NEXT(attribute, left);
  }
  if (!found.name.empty()) out.push_back(std::move(found));
}

}  // namespace

absl::StatusOr<NetworkStats> NetworkStats::open(const std::string& path) {
  BERTH_ASSIGN_OR_RETURN(const Fd name, support::openFile(path, O_RDONLY));
  Fd socket;
  // A thread's namespace is its own and ends with it; the socket stays where it was made.
  BERTH_RETURN_IF_ERROR(support::onOwnThread([&]() -> absl::Status {
    if (::setns(name.get(), CLONE_NEWNET) == 0) {
      socket.reset(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
    }
    if (socket) return absl::OkStatus();
    return errnoStatus(errno, strCat("open a netlink socket in namespace ", path));
  }));
  return NetworkStats(std::move(socket), path);
}

absl::StatusOr<std::vector<InterfaceStats>> NetworkStats::read() {
  const std::string doing = strCat("list the interfaces of namespace ", path_);
  struct {
    nlmsghdr header;
    ifinfomsg link;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.header.nlmsg_seq = ++sequence_;
  if (::send(socket_.get(), &request, sizeof request, 0) < 0) return errnoStatus(errno, doing);
  std::vector<InterfaceStats> found;
  alignas(nlmsghdr) char buffer[32u << 10];
  for (;;) {
    // A dump is answered from within send() and recv(): there is nothing to wait for.
    const ssize_t got = ::recv(socket_.get(), buffer, sizeof buffer, 0);
    if (got < 0) return errnoStatus(errno, doing);
    auto left = static_cast<size_t>(got);
    for (const auto* header = reinterpret_cast<const nlmsghdr*>(buffer); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_seq != sequence_) continue;
      if (header->nlmsg_type == NLMSG_DONE) return found;
      if (header->nlmsg_type == NLMSG_ERROR) {
        return errnoStatus(-static_cast<const nlmsgerr*>(NLMSG_DATA(header))->error, doing);
      }
      if (header->nlmsg_type == RTM_NEWLINK) parseLink(header, found);
    }
  }
}

}  // namespace berth::runc
