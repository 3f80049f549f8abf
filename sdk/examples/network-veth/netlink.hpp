// Interfaces, addresses and routes of one network namespace (rtnetlink(7)).
#pragma once

#include <berth/plugin.hpp>
#include <cstdint>
#include <string>

namespace vethnet {

// One thread at a time.
class Netlink {
 public:
  Netlink() = default;
  Netlink(const Netlink&) = delete;
  Netlink& operator=(const Netlink&) = delete;
  ~Netlink();

  // The caller's own namespace, or the one at `path`; the calling thread stays where it is.
  berth::Status open(const std::string& path = {});

  // 0 when there is none.
  unsigned find(const std::string& name) const;
  bool isUp(const std::string& name) const;
  // A pair: `name` here, `peer` in the namespace that the descriptor stands for. mtu 0: as it is.
  berth::Status makePair(const std::string& name, const std::string& peer, int peerNamespace,
                         uint32_t mtu);
  berth::Status remove(const std::string& name);
  berth::Status setUp(const std::string& name);
  // IPv4, in the machine's byte order, without a network around it.
  berth::Status addAddress(const std::string& name, uint32_t address);
  // To one address by the interface itself.
  berth::Status addRoute(const std::string& name, uint32_t target);
  berth::Status addDefaultRoute(const std::string& name, uint32_t gateway);

 private:
  int socket_ = -1;
};

}  // namespace vethnet
