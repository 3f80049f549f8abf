#include "netlink.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace vethnet {

using berth::Status;

namespace {

Status failure(const std::string& doing, int reason) {
  return {BERTH_INTERNAL, doing + ": " + std::strerror(reason)};
}

// A message with its attributes; nested ones are closed in the order of a stack.
class Message {
 public:
  template <class Fixed>
  Message(uint16_t type, int flags, const Fixed& fixed) {
    header().nlmsg_type = type;
    header().nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    header().nlmsg_len = NLMSG_LENGTH(0);
    append(&fixed, sizeof fixed);
  }

  void add(uint16_t type, const void* data, size_t size) {
    const size_t at = begin(type);
    append(data, size);
    end(at);
  }
  void add(uint16_t type, const std::string& text) { add(type, text.c_str(), text.size() + 1); }
  void add(uint16_t type, uint32_t value) { add(type, &value, sizeof value); }

  size_t begin(uint16_t type) {
    const size_t at = NLMSG_ALIGN(header().nlmsg_len);
    const rtattr attribute = {RTA_LENGTH(0), type};
    header().nlmsg_len = static_cast<uint32_t>(at);
    append(&attribute, sizeof attribute);
    return at;
  }
  void end(size_t at) {
    const auto length = static_cast<uint16_t>(header().nlmsg_len - at);
    std::memcpy(bytes_ + at, &length, sizeof length);
  }
  void append(const void* data, size_t size) {
    std::memcpy(bytes_ + header().nlmsg_len, data, size);
    header().nlmsg_len += static_cast<uint32_t>(NLMSG_ALIGN(size));
  }

  // The kernel handles it within send(2), so that its answer is there already.
  Status carryOut(int socket, const std::string& doing) {
    struct {
      nlmsghdr header;
      nlmsgerr error;
    } answer = {};
    if (::send(socket, bytes_, header().nlmsg_len, 0) < 0) return failure(doing, errno);
    if (::recv(socket, &answer, sizeof answer, MSG_TRUNC) < 0) return failure(doing, errno);
    if (answer.header.nlmsg_type != NLMSG_ERROR) return failure(doing, EPROTO);
    return answer.error.error == 0 ? Status() : failure(doing, -answer.error.error);
  }

 private:
  nlmsghdr& header() { return *reinterpret_cast<nlmsghdr*>(bytes_); }
  alignas(nlmsghdr) char bytes_[512] = {};
};

ifinfomsg link(unsigned index = 0) {
  ifinfomsg result = {};
  result.ifi_index = static_cast<int>(index);
  return result;
}

int ask(int socket, unsigned long what, const std::string& name, ifreq& request) {
  request = {};
  if (name.size() >= sizeof request.ifr_name) return -1;
  std::memcpy(request.ifr_name, name.data(), name.size());
  return ::ioctl(socket, what, &request);
}

}  // namespace

Netlink::~Netlink() {
  if (socket_ >= 0) ::close(socket_);
}

Status Netlink::open(const std::string& path) {
  int reason = 0;
  // A socket stays in the namespace in which it was made. The host's thread must not leave its
  // own, not for a moment: another one does.
  std::thread([&] {
    const int target = path.empty() ? -1 : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (path.empty() || (target >= 0 && ::setns(target, CLONE_NEWNET) == 0))
      socket_ = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    reason = errno;
    if (target >= 0) ::close(target);
  }).join();
  return socket_ >= 0 ? Status()
                      : failure("open " + (path.empty() ? "a route socket" : path), reason);
}

unsigned Netlink::find(const std::string& name) const {
  ifreq request;
  return ask(socket_, SIOCGIFINDEX, name, request) == 0 ? static_cast<unsigned>(request.ifr_ifindex)
                                                        : 0;
}

bool Netlink::isUp(const std::string& name) const {
  ifreq request;
  return ask(socket_, SIOCGIFFLAGS, name, request) == 0 && (request.ifr_flags & IFF_UP) != 0;
}

Status Netlink::makePair(const std::string& name, const std::string& peer, int peerNamespace,
                         uint32_t mtu) {
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, link());
  message.add(IFLA_IFNAME, name);
  if (mtu != 0) message.add(IFLA_MTU, mtu);
  const size_t info = message.begin(IFLA_LINKINFO);
  message.add(IFLA_INFO_KIND, "veth");
  const size_t data = message.begin(IFLA_INFO_DATA);
  const size_t other = message.begin(VETH_INFO_PEER);
  const ifinfomsg none = link();
  message.append(&none, sizeof none);
  message.add(IFLA_IFNAME, peer);
  if (mtu != 0) message.add(IFLA_MTU, mtu);
  message.add(IFLA_NET_NS_FD, static_cast<uint32_t>(peerNamespace));
  message.end(other);
  message.end(data);
  message.end(info);
  return message.carryOut(socket_, "make the veth pair " + name);
}

Status Netlink::remove(const std::string& name) {
  const unsigned index = find(name);
  if (index == 0) return {};
  return Message(RTM_DELLINK, 0, link(index)).carryOut(socket_, "remove " + name);
}

Status Netlink::setUp(const std::string& name) {
  ifinfomsg up = link(find(name));
  up.ifi_flags = IFF_UP;
  up.ifi_change = IFF_UP;
  return Message(RTM_NEWLINK, 0, up).carryOut(socket_, "set up " + name);
}

Status Netlink::addAddress(const std::string& name, uint32_t address) {
  ifaddrmsg fixed = {};
  fixed.ifa_family = AF_INET;
  fixed.ifa_prefixlen = 32;
  fixed.ifa_index = find(name);
  Message message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, fixed);
  message.add(IFA_LOCAL, htonl(address));
  message.add(IFA_ADDRESS, htonl(address));
  return message.carryOut(socket_, "give an address to " + name);
}

namespace {
rtmsg route(unsigned char prefix, unsigned char scope) {
  rtmsg result = {};
  result.rtm_family = AF_INET;
  result.rtm_dst_len = prefix;
  result.rtm_table = RT_TABLE_MAIN;
  result.rtm_protocol = RTPROT_STATIC;
  result.rtm_scope = scope;
  result.rtm_type = RTN_UNICAST;
  return result;
}
}  // namespace

Status Netlink::addRoute(const std::string& name, uint32_t target) {
  Message message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route(32, RT_SCOPE_LINK));
  message.add(RTA_DST, htonl(target));
  message.add(RTA_OIF, find(name));
  return message.carryOut(socket_, "make a route by " + name);
}

Status Netlink::addDefaultRoute(const std::string& name, uint32_t gateway) {
  Message message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route(0, RT_SCOPE_UNIVERSE));
  message.add(RTA_GATEWAY, htonl(gateway));
  message.add(RTA_OIF, find(name));
  return message.carryOut(socket_, "make the default route by " + name);
}

}  // namespace vethnet
