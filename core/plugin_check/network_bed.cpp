#include "plugin_check/network_bed.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/ids.hpp"
#include "berth/support/mounts.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"

namespace berth::check {

using support::strCat;

namespace {

std::string addressText(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address->sa_family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text,
                sizeof text);
  } else if (address->sa_family == AF_INET6) {
    ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, text,
                sizeof text);
  }
  return text;
}

std::string threadNamespace() {
  return strCat("/proc/self/task/", ::syscall(SYS_gettid), "/ns/net");
}

}  // namespace

PodNamespace::Interfaces hostInterfaces() {
  PodNamespace::Interfaces found;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return found;
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    found.names.insert(one->ifa_name);
    const bool up = (one->ifa_flags & IFF_UP) != 0;
    if (up && (one->ifa_flags & IFF_LOOPBACK) != 0) found.loopbackUp = true;
    if (up && one->ifa_addr != nullptr) found.addresses.insert(addressText(one->ifa_addr));
  }
  ::freeifaddrs(all);
  return found;
}

absl::StatusOr<std::unique_ptr<PodNamespace>> PodNamespace::make(const std::string& path) {
  BERTH_RETURN_IF_ERROR(support::replaceFile(path, "", 0600, support::Durability::kVisible));
  BERTH_RETURN_IF_ERROR(support::onOwnThread([&]() -> absl::Status {
    if (::unshare(CLONE_NEWNET) != 0) return support::errnoStatus(errno, "unshare(CLONE_NEWNET)");
    return support::bindMount(threadNamespace(), path);
  }));
  return std::unique_ptr<PodNamespace>(new PodNamespace(path));
}

PodNamespace::~PodNamespace() {
  support::unmount(path_, support::UnmountMode::kLazy).IgnoreError();
  support::removePath(path_).IgnoreError();
}

PodNamespace::Interfaces PodNamespace::interfaces() const {
  Interfaces found;
  support::onOwnThread([&]() -> absl::Status {
    BERTH_ASSIGN_OR_RETURN(const support::Fd space, support::openFile(path_, O_RDONLY));
    if (::setns(space.get(), CLONE_NEWNET) != 0) return support::errnoStatus(errno, "setns");
    found = hostInterfaces();
    return absl::OkStatus();
  }).IgnoreError();
  return found;
}

std::unique_ptr<NetworkBed> NetworkBed::begin(Probe& probe) {
  auto session = Session::begin(probe);
  if (session == nullptr) return nullptr;
  return std::unique_ptr<NetworkBed>(new NetworkBed(probe, std::move(session)));
}

bool NetworkBed::makePod(const std::string& name, TestPod& pod) {
  auto space = PodNamespace::make(probe_.path(strCat("netns-", name)));
  if (!space.ok()) {
    probe_.skip(support::fromAbsl(space.status().message()));
    return false;
  }
  pod.space = *std::move(space);
  pod.request.pod = support::randomId();
  pod.request.name = name;
  pod.request.podNamespace = "default";
  pod.request.uid = strCat("uid-of-", name);
  pod.request.namespacePath = pod.space->path();
  return true;
}

bool NetworkBed::attach(TestPod& pod) {
  probe_.step(strCat("attach ", pod.request.name));
  auto attached = plugin().attach(op_, pod.request);
  if (!probe_.succeeds(attached.status(), "attach")) return false;
  pod.result = *std::move(attached);
  return true;
}

absl::Status NetworkBed::detach(const TestPod& pod) {
  probe_.step(strCat("detach ", pod.request.name));
  return plugin().detach(op_, pod.request, pod.result.state);
}

bool NetworkBed::detached(const TestPod& pod) {
  return probe_.succeeds(detach(pod), "detach");
}

}  // namespace berth::check
