// A network for pods that are to reach nobody: loopback alone, and on it the address that the pod
// is known by.
#include <arpa/inet.h>
#include <berth/network.hpp>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <future>
#include <net/if.h>
#include <sched.h>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>

namespace {

using berth::NetworkRequest;
using berth::Op;
using berth::Status;

Status failed(const std::string& doing) {
  return {BERTH_INTERNAL, doing + ": " + std::strerror(errno)};
}

// One of 100.64.0.0/10, made of the pod's id: the same at each call, so that there is no state.
in_addr addressOf(std::string_view pod) {
  uint32_t number = 0;
  for (const char letter : pod) number = 31 * number + static_cast<unsigned char>(letter);
  return {htonl(0x64400000 | (number & 0x3fffff))};
}

// Runs `work`, with a socket in the pod's namespace, on a thread of its own: the host's threads
// must not leave theirs, not for a moment.
template <class Work>
Status inPod(const NetworkRequest& request, Work work) {
  const auto run = [&]() -> Status {
    const std::string path(request.namespacePath);
    const int space = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const bool entered = space >= 0 && ::setns(space, CLONE_NEWNET) == 0;
    const int control = entered ? ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
    Status status = control >= 0 ? work(control) : failed("enter \"" + path + "\"");
    if (control >= 0) ::close(control);
    if (space >= 0) ::close(space);
    return status;
  };
  return std::async(std::launch::async, run).get();
}

// An interface's request (netdevice(7)): "lo" is loopback, "lo:pod" the pod's address on it.
ifreq named(const char* name) {
  ifreq request{};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  return request;
}

class Alone final : public berth::Network {
 public:
  using Network::Network;

  Status configure(std::string_view /*options*/) override { return {}; }

  Status attach(const Op& op, const NetworkRequest& request, berth::NetworkResult& out) override {
    if (request.pod.empty()) return {BERTH_INVALID_ARGUMENT, "the pod has no id"};
    if (!request.portMappings.empty())
      host().warn("host ports of a pod lead nowhere", {{"pod", request.pod}});
    op.stage("bring up loopback");
    sockaddr_in address{
        .sin_family = AF_INET, .sin_port = 0, .sin_addr = addressOf(request.pod), .sin_zero = {}};
    Status status = inPod(request, [&](int control) -> Status {
      ifreq up = named("lo"), own = named("lo:pod");
      up.ifr_flags = IFF_UP;
      std::memcpy(&own.ifr_addr, &address, sizeof address);
      if (::ioctl(control, SIOCSIFFLAGS, &up) != 0) return failed("bring up loopback");
      if (::ioctl(control, SIOCSIFADDR, &own) != 0) return failed("give loopback an address");
      return {};
    });
    char text[INET_ADDRSTRLEN];
    out.addresses = {::inet_ntop(AF_INET, &address.sin_addr, text, sizeof text)};
    return status;
  }

  // What attach made goes with the namespace; this is for one that stays.
  Status detach(const Op& /*op*/, const NetworkRequest& request,
                std::string_view /*state*/) override {
    if (::access(std::string(request.namespacePath).c_str(), F_OK) != 0) return {};  // gone
    return inPod(request, [](int control) -> Status {
      ifreq own = named("lo:pod");  // without IFF_UP an address with a name of its own goes
      if (::ioctl(control, SIOCSIFFLAGS, &own) == 0 || errno == EADDRNOTAVAIL) return {};
      return failed("take the address off loopback");
    });
  }

  Status check(const Op& /*op*/, const NetworkRequest& request,
               std::string_view /*state*/) override {
    return inPod(request, [&](int control) -> Status {
      ifreq own = named("lo:pod");
      sockaddr_in found{};
      if (::ioctl(control, SIOCGIFADDR, &own) == 0)
        std::memcpy(&found, &own.ifr_addr, sizeof found);
      if (found.sin_addr.s_addr == addressOf(request.pod).s_addr) return {};
      return {BERTH_FAILED_PRECONDITION, "loopback does not have the pod's address"};
    });
  }

  Status status(const Op& /*op*/) override { return {}; }
  Status gc(const Op& /*op*/, const std::vector<berth::Attachment>& /*wanted*/) override {
    return {};
  }
  Status setPodCidr(const Op& /*op*/, std::string_view /*cidr*/) override { return {}; }
};

}  // namespace

BERTH_PLUGIN(Alone, {.name = "small-network",
                     .version = "1.0.0",
                     .summary = "Pods reach nobody but themselves",
                     .threading = BERTH_THREADING_PARALLEL,
                     .options = ""})
