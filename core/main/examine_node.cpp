// What makes a host with an engine a node. The engine does without; who looks for the reason why
// the node does not work is to find it in the same place.
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "common/text.hpp"
#include "main/examination.hpp"

namespace berth::program {

using plugins::Finding;
using support::strCat;

namespace {

// Empty where the kernel has no such file.
std::string textOf(const std::string& path) {
  auto text = support::readFile(path, 1u << 20);
  return text.ok() ? *std::move(text) : std::string();
}

bool isOn(const std::string& path) {
  const std::string text = textOf(path);
  return !text.empty() && common::trimmed(text) != "0";
}

Finding forwardingRow(const std::string& proc) {
  if (isOn(proc + "/sys/net/ipv4/ip_forward")) return {BERTH_FINDING_OK, "IPv4 forwarding", "on"};
  return {
      BERTH_FINDING_LIMITED, "IPv4 forwarding",
      "off: by IPv4 pods reach nothing beyond the node; net.ipv4.ip_forward=1 in /etc/sysctl.d"};
}

Finding bridgeRow(const std::string& proc) {
  const std::string path = proc + "/sys/net/bridge/bridge-nf-call-iptables";
  if (isOn(path)) return {BERTH_FINDING_OK, "br_netfilter", "iptables sees what bridges forward"};
  const char* const lacks =
      support::pathExists(path)
          ? "net.bridge.bridge-nf-call-iptables is 0, and has to be 1 (/etc/sysctl.d)"
          : "not loaded (modprobe br_netfilter, /etc/modules-load.d)";
  return {BERTH_FINDING_LIMITED, "br_netfilter",
          strCat(lacks, ": pods of one bridge do not reach each other by kube-proxy's Services")};
}

// proc(5): a line of headings, then one for each, which begins with its file.
Finding swapRow(const std::string& proc) {
  const std::string text = textOf(proc + "/swaps");
  std::string used;
  bool heading = true;
  for (const std::string_view line : common::split(text, '\n')) {
    if (!heading && !line.empty())
      used += strCat(used.empty() ? "" : ", ", line.substr(0, line.find_first_of(" \t")));
    heading = false;
  }
  if (used.empty()) return {BERTH_FINDING_OK, "swap turned off", "none is in use"};
  return {BERTH_FINDING_LIMITED, "swap turned off",
          strCat(used,
                 ": the kubelet does not start, unless its configuration has failSwapOn: "
                 "false; swapoff -a, and neither /etc/fstab nor a .swap unit is to turn it on")};
}

}  // namespace

std::vector<Finding> examineNode(const std::string& proc) {
  return {forwardingRow(proc), bridgeRow(proc), swapRow(proc)};
}

}  // namespace berth::program
