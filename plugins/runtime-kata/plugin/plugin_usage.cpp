// Usage, and the way to a pod's ports.
#include <arpa/inet.h>
#include <cerrno>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "berth/support/clock.hpp"
#include "berth/support/files.hpp"
#include "berth/support/stats.hpp"
#include "berth/support/status.hpp"
#include "host_parts.hpp"
#include "kata_plugin.hpp"
#include "task_stats.hpp"

namespace berth::kata {

using support::strCat;

namespace {

void give(TaskStats& found, std::string_view id, Runtime::StatsSink& out) {
  for (size_t i = 0; i < found.hugepages.size(); ++i) {
    found.hugepages[i].page_size = str(found.pageSizes[i]);
  }
  found.stats.id = str(id);
  found.stats.timestamp = support::nowNanoseconds();
  if ((out.wanted() & BERTH_STATS_HUGEPAGES) == 0) {
    found.hugepages.clear();
    found.stats.present &= ~uint32_t{BERTH_STATS_HUGEPAGES};
  }
  found.stats.hugepages = found.hugepages.data();
  found.stats.hugepage_count = found.hugepages.size();
  out.add(found.stats);
}

// The address of a pod, with the port put in.
struct Address {
  sockaddr_storage name{};
  socklen_t size = 0;
};

absl::StatusOr<std::vector<Address>> addressesOf(const std::string& netPin, uint16_t port) {
  std::vector<Address> found;
  const auto look = [&]() -> absl::Status {
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return support::errnoStatus(errno, "list the pod's addresses");
    for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
      if (each->ifa_addr == nullptr || (each->ifa_flags & IFF_LOOPBACK) != 0) continue;
      Address address;
      if (each->ifa_addr->sa_family == AF_INET) {
        auto* name = reinterpret_cast<sockaddr_in*>(&address.name);     // NOLINT
        *name = *reinterpret_cast<const sockaddr_in*>(each->ifa_addr);  // NOLINT
        name->sin_port = htons(port);
        address.size = sizeof *name;
      } else if (each->ifa_addr->sa_family == AF_INET6) {
        auto* name = reinterpret_cast<sockaddr_in6*>(&address.name);     // NOLINT
        *name = *reinterpret_cast<const sockaddr_in6*>(each->ifa_addr);  // NOLINT
        if (IN6_IS_ADDR_LINKLOCAL(&name->sin6_addr)) continue;
        name->sin6_port = htons(port);
        address.size = sizeof *name;
      } else {
        continue;
      }
      found.push_back(address);
    }
    ::freeifaddrs(list);
    return absl::OkStatus();
  };
  BERTH_RETURN_IF_ERROR(inNetworkNamespace(netPin, look));
  if (found.empty()) return absl::FailedPreconditionError("the pod has no address");
  return found;
}

std::vector<Address> loopback(uint16_t port) {
  Address four;
  auto* name = reinterpret_cast<sockaddr_in*>(&four.name);  // NOLINT
  name->sin_family = AF_INET;
  name->sin_port = htons(port);
  name->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  four.size = sizeof *name;
  Address six;
  auto* other = reinterpret_cast<sockaddr_in6*>(&six.name);  // NOLINT
  other->sin6_family = AF_INET6;
  other->sin6_port = htons(port);
  other->sin6_addr = in6addr_loopback;
  six.size = sizeof *other;
  return {four, six};
}

absl::StatusOr<support::Fd> connectTo(const Address& address, const CallLimits& limits) {
  support::Fd socket(
      ::socket(address.name.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return support::errnoStatus(errno, "make a socket");
  int error = 0;
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address.name),  // NOLINT
                address.size) != 0) {
    error = errno;
  }
  if (error == EINPROGRESS) {
    BERTH_RETURN_IF_ERROR(waitFor(socket.get(), POLLOUT, limits, "connect to the pod"));
    socklen_t size = sizeof error;
    ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error != 0) return support::errnoStatus(error, "connect to the pod");
  return socket;
}

absl::StatusOr<support::Fd> connectToAny(const std::vector<Address>& addresses,
                                         const CallLimits& limits) {
  absl::StatusOr<support::Fd> last = absl::UnavailableError("the pod has no address");
  for (const Address& address : addresses) {
    last = connectTo(address, limits);
    if (last.ok()) break;
  }
  return last;
}

}  // namespace

Status KataPlugin::containerStats(const Op& op, std::string_view pod,
                                  const std::vector<std::string_view>& containers, StatsSink& out) {
  const auto found = requirePod(pod);
  if (!found.ok()) return found.status();
  const auto shim = (*found)->shim(limitsOf(op));
  if (!shim.ok()) return shim.status();
  for (const std::string_view id : containers) {
    const auto container = (*found)->find(id);
    if (container == nullptr || (*found)->recordOf(*container).stage != Stage::kRunning) continue;
    auto stats = askStats(**shim, id, limitsOf(op));
    // It may have ended meanwhile.
    if (!stats.ok() && (*found)->recordOf(*container).stage != Stage::kRunning) continue;
    if (!stats.ok()) {
      return support::annotate(stats.status(), strCat("read the usage of container ", id));
    }
    give(*stats, id, out);
  }
  return {};
}

Status KataPlugin::podStats(const Op& op, std::string_view pod, StatsSink& out) {
  const auto found = requirePod(pod);
  if (!found.ok()) return found.status();
  const auto shim = (*found)->shim(limitsOf(op));
  if (!shim.ok()) return shim.status();
  TaskStats sum;
  std::vector<std::string> ids{(*found)->id()};
  for (const auto& container : (*found)->containers()) {
    const ContainerRecord record = (*found)->recordOf(*container);
    if (record.stage == Stage::kRunning) ids.push_back(record.id);
  }
  for (const std::string& id : ids) {
    const auto stats = askStats(**shim, id, limitsOf(op));
    if (stats.ok()) support::addStats(sum.stats, stats->stats);
  }
  const std::string netPin = (*found)->record().netPin;
  std::vector<InterfaceStats> interfaces;
  if (!netPin.empty() && (out.wanted() & BERTH_STATS_NETWORK) != 0) {
    absl::Status read = inNetworkNamespace(netPin, [&]() -> absl::Status {
      BERTH_ASSIGN_OR_RETURN(const std::string text,
                             support::readFile("/proc/thread-self/net/dev"));
      interfaces = parseInterfaces(text);
      return absl::OkStatus();
    });
    if (!read.ok()) return read;
    sum.stats.present |= BERTH_STATS_NETWORK;
  }
  std::vector<berth_interface_stats> list;
  for (const InterfaceStats& each : interfaces) {
    list.push_back(each.stats);
    list.back().name = str(each.name);
  }
  sum.stats.interfaces = list.data();
  sum.stats.interface_count = list.size();
  give(sum, pod, out);
  return {};
}

Status KataPlugin::connectPort(const Op& op, std::string_view pod, uint16_t port, int& socket) {
  const auto found = requirePod(pod);
  if (!found.ok()) return found.status();
  const PodRecord record = (*found)->record();
  const std::string doing = strCat("reach port ", port, " of pod ", pod);
  absl::StatusOr<support::Fd> connected = absl::UnknownError(doing);
  if (record.namespaces) {
    const auto connect = [&] {
      connected = connectToAny(loopback(port), limitsOf(op));
      return connected.status();
    };
    const absl::Status status =
        record.netPin.empty() ? connect() : inNetworkNamespace(record.netPin, connect);
    if (!status.ok()) return support::annotate(status, doing);
  } else {
    const auto addresses = addressesOf(record.netPin, port);
    if (!addresses.ok()) return support::annotate(addresses.status(), doing);
    connected = connectToAny(*addresses, limitsOf(op));
    if (!connected.ok()) {
      return absl::Status(
          connected.status().code(),
          strCat(doing, ": ", connected.status().message(),
                 "; what listens to the loopback address alone cannot be reached in "
                 "a virtual machine"));
    }
  }
  socket = connected->release();
  return {};
}

}  // namespace berth::kata
