// A network of veth pairs. See README.md.
#include <algorithm>
#include <berth/helpers.h>
#include <berth/network.hpp>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unistd.h>

#include "leases.hpp"
#include "netlink.hpp"

namespace vethnet {
namespace {

using berth::NetworkRequest;
using berth::Op;
using berth::Status;

constexpr const char* kPodInterface = "eth0";
constexpr const char* kForwarding = "/proc/sys/net/ipv4/ip_forward";

// As long as names of interfaces may be; pods' ids begin with enough that differs.
std::string hostInterface(std::string_view pod) {
  return "veth" + std::string(pod.substr(0, 11));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  const int fd_;
};

class Veth final : public berth::Network {
 public:
  using Network::Network;

  Status configure(std::string_view options) override {
    char range[64] = "";
    const berth_str given = berth::str(options);
    const int64_t mtu = berth_json_integer(given, "mtu", 0);
    if (mtu != 0 && (mtu < 576 || mtu > 65535))
      return {BERTH_INVALID_ARGUMENT, "option mtu: must be from 576 to 65535, or 0"};
    mtu_ = static_cast<uint32_t>(mtu);
    if (!berth_json_string(given, "range", range, sizeof range) ||
        (range[0] != 0 && !(configured_ = Range::parse(range))))
      return {BERTH_INVALID_ARGUMENT,
              "option range: must be an IPv4 network of 8 to 30 bits, as 10.77.0.0/24"};
    leases_ = std::make_unique<Leases>(std::string(host().stateDirectory()) + "/addresses");
    return {};
  }

  Status start() override {
    // A range that the kubelet has told is told again only when the kubelet starts.
    std::string told;
    if (std::getline(std::ifstream(rangeFile()), told)) told_ = Range::parse(told);
    std::ofstream(kForwarding) << "1";
    return {};
  }

  Status examine(const Op& /*op*/, berth::Findings& out) override {
    if (::access(kForwarding, W_OK) != 0) {
      out.limited("IP forwarding", std::string(kForwarding) + " cannot be written");
    } else if (configured_) {
      out.ok("addresses",
             toText(configured_->gateway() + 1) + " to " + toText(configured_->last - 1));
    } else {
      out.ok("addresses", "those that the kubelet tells");
    }
    return {};
  }

  Status attach(const Op& op, const NetworkRequest& request, berth::NetworkResult& out) override {
    const std::optional<Range> range = currentRange();
    if (!range) return noRange();
    if (!request.portMappings.empty() || request.ingressRate != 0 || request.egressRate != 0)
      host().warn("host ports and bandwidth of a pod are not seen to", {{"pod", request.pod}});
    uint32_t address = 0;
    op.stage("lease an address");
    if (Status status = leases_->take(*range, request.pod, address); !status.ok()) return status;
    op.stage("connect the pod");
    if (Status status = connect(request, *range, address); !status.ok()) {
      (void)release(request.pod);
      return status;
    }
    out.addresses = {toText(address)};
    return {};
  }

  // All that there is to release is named by the pod's id.
  Status detach(const Op& /*op*/, const NetworkRequest& request,
                std::string_view /*state*/) override {
    return release(request.pod);
  }

  Status check(const Op& /*op*/, const NetworkRequest& request,
               std::string_view /*state*/) override {
    const std::string name = hostInterface(request.pod);
    Netlink here;
    Netlink there;
    if (Status status = here.open(); !status.ok()) return status;
    if (!leases_->find(request.pod)) return {BERTH_FAILED_PRECONDITION, "the pod has no address"};
    if (!here.isUp(name)) return {BERTH_FAILED_PRECONDITION, name + " is missing or down"};
    if (request.namespacePath.empty())
      return {BERTH_FAILED_PRECONDITION, "the pod has no network namespace"};
    if (Status status = there.open(std::string(request.namespacePath)); !status.ok())
      return {BERTH_FAILED_PRECONDITION, status.message()};
    if (!there.isUp(kPodInterface))
      return {BERTH_FAILED_PRECONDITION,
              std::string(kPodInterface) + " is not in the pod, or not up"};
    return {};
  }

  Status status(const Op& /*op*/) override { return currentRange() ? Status() : noRange(); }

  Status gc(const Op& op, const std::vector<berth::Attachment>& wanted) override {
    Status first;
    for (const std::string& pod : leases_->pods()) {
      if (std::any_of(wanted.begin(), wanted.end(),
                      [&](const auto& one) { return one.pod == pod; }))
        continue;
      op.stage("release pod " + pod);
      if (Status status = release(pod); !status.ok() && first.ok()) first = status;
    }
    return first;
  }

  Status setPodCidr(const Op& /*op*/, std::string_view cidr) override {
    const auto range = Range::parse(cidr.substr(0, cidr.find(',')));
    if (!range) return {BERTH_INVALID_ARGUMENT, "no IPv4 network: " + std::string(cidr)};
    {
      const std::lock_guard lock(mutex_);
      told_ = range;
    }
    std::ofstream(rangeFile()) << cidr.substr(0, cidr.find(','));
    berth_event changed{};
    changed.kind = BERTH_EVENT_NETWORK_CHANGED;
    host().emit(changed);
    return {};
  }

 private:
  std::string rangeFile() const { return std::string(host().stateDirectory()) + "/range"; }

  std::optional<Range> currentRange() const {
    const std::lock_guard lock(mutex_);
    return configured_ ? configured_ : told_;
  }

  static Status noRange() {
    return {BERTH_FAILED_PRECONDITION,
            "no addresses: the option range is not set, and the kubelet has told none"};
  }

  Status connect(const NetworkRequest& request, const Range& range, uint32_t address) const {
    const std::string path(request.namespacePath);
    const std::string name = hostInterface(request.pod);
    const Descriptor target(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    Netlink here;
    Netlink there;
    Status status = here.open();
    if (status.ok()) status = there.open(path);
    // What an attach that was cut off has left.
    if (status.ok()) status = here.remove(name);
    if (status.ok()) status = here.makePair(name, kPodInterface, target.get(), mtu_);
    if (status.ok()) status = there.setUp("lo");
    if (status.ok()) status = there.addAddress(kPodInterface, address);
    if (status.ok()) status = there.setUp(kPodInterface);
    if (status.ok()) status = there.addRoute(kPodInterface, range.gateway());
    if (status.ok()) status = there.addDefaultRoute(kPodInterface, range.gateway());
    if (status.ok()) status = here.addAddress(name, range.gateway());
    if (status.ok()) status = here.setUp(name);
    if (status.ok()) status = here.addRoute(name, address);
    return status;
  }

  // The address last: nobody may have it while the route is there.
  Status release(std::string_view pod) const {
    Netlink here;
    Status status = here.open();
    if (status.ok()) status = here.remove(hostInterface(pod));
    if (status.ok()) leases_->release(pod);
    return status;
  }

  uint32_t mtu_ = 0;
  std::optional<Range> configured_;
  std::unique_ptr<Leases> leases_;
  mutable std::mutex mutex_;
  std::optional<Range> told_;  // by the kubelet
};

}  // namespace
}  // namespace vethnet

BERTH_PLUGIN(vethnet::Veth, {.name = "network-veth",
                             .version = "1.0.0",
                             .summary = "Gives each pod a veth pair and an address of a range",
                             .threading = BERTH_THREADING_PER_OBJECT,
                             .options = R"([
  {"key": "range", "type": "string", "default": "", "example": "10.77.0.0/24",
   "help": "Where addresses come from, the first one being the host's; empty: the node's pod range."},
  {"key": "mtu", "type": "integer", "default": 0, "example": 1450,
   "help": "Of both ends of a pair; 0: the kernel's default."}
])"})
