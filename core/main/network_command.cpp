// `berth network abandon`: ends a pod that its network does not let go of any more.
#include "main/admin_client.hpp"
#include "main/daemon_socket.hpp"
#include "main/options.hpp"
#include "main/print.hpp"

namespace berth::program {

namespace {

// Rules of portmap and bridge, before the reservations of host-local: what they lead to must not
// become another pod's.
void printWhereToLook(const std::string& pod) {
  print(
      "What it took for the pod may be left, for you to remove. CNI plugins have the pod's id in "
      "it:\n"
      "  (iptables-save; ip6tables-save) | grep %s\n"
      "  nft list ruleset | grep %s\n"
      "  grep -rl %s /var/lib/cni/networks\n"
      "Troubleshooting tells how, under \"A network is gone for good\".\n",
      pod.c_str(), pod.c_str(), pod.c_str());
}

}  // namespace

int abandonNetwork(const ConfigOptions& options, const std::string& pod) {
  const auto socket = findDaemon(options);
  if (!socket.ok()) return fail(socket.status());
  const auto lost = askToAbandonNetwork(*socket, pod);
  if (!lost.ok()) return fail(lost.status());
  print(
      "%s: the network \"%s\" is abandoned; it may not have released what it took for pod sandbox "
      "%s\n",
      lost->name().c_str(), lost->network().c_str(), lost->pod().c_str());
  for (const std::string& address : lost->addresses()) print("  address %s\n", address.c_str());
  for (const std::string& port : lost->host_ports()) print("  host port %s\n", port.c_str());
  printWhereToLook(lost->pod());
  if (lost->unfinished().empty()) return 0;
  printError("berth: the pod has not ended yet, which is tried again: %s\n",
             lost->unfinished().c_str());
  return 1;
}

}  // namespace berth::program
