// What administrators and programs hand to network-cni: configurations, templates, results, errors.
#include "attachment_record.hpp"
#include "conf_template.hpp"
#include "config.hpp"
#include "plugin_error.hpp"
#include "result.hpp"
#include "target.hpp"

namespace berth::fuzz {

using namespace cni;

namespace {

void checkNetwork(std::string_view text, FileKind kind) {
  const auto network = parseNetwork(text, "the file", kind);
  if (!network.ok() || network->plugins.empty()) return;
  demand(!network->name.empty(), "a network has a name");
  const auto again = parseNetwork(network->toJson(), "the network", FileKind::kList);
  demand(again.ok() && again->name == network->name && again->version == network->version &&
             again->plugins.size() == network->plugins.size(),
         "a network can be written down");
}

void checkResult(std::string_view text) {
  for (const Version version : {kOldest, kWithPrevResultOnDel, kNewest}) {
    const auto result = parseResult(text, "the result", version);
    if (!result.ok()) continue;
    for (const std::string& address : addressesOf(*result, "eth0")) {
      demand(!address.empty() && address.find('/') == std::string::npos,
             "an address is one, without a prefix");
    }
  }
}

void run(std::string_view text) {
  checkNetwork(text, FileKind::kList);
  checkNetwork(text, FileKind::kEither);
  checkResult(text);
  (void)parseVersion(text);
  (void)AttachmentRecord::decode(text, "the record");
  demand(!pluginError("bridge ADD", {.exitCode = 1, .standardOutput = std::string(text)}).ok(),
         "a plugin that fails has failed");
  const auto values = parsePodCidr(text);
  const auto some = parsePodCidr("10.0.0.0/24,fd00::/64");
  (void)renderTemplate(text, values.ok() ? *values : *some);
}

std::vector<std::string> seeds() {
  return {
      R"({"cniVersion":"1.0.0","cniVersions":["0.4.0","1.1.0"],"name":"pods","disableCheck":true,)"
      R"("plugins":[{"type":"bridge","bridge":"b0","ipam":{"type":"host-local","ranges":[[)"
      R"({"subnet":"10.1.0.0/16"}]]}},{"type":"portmap","capabilities":{"portMappings":true}}]})",
      R"({"cniVersion":"0.3.1","name":"one","type":"loopback"})",
      R"({"cniVersion":"1.1.0","name":"x","loadOnlyInlinedPlugins":false,"plugins":[]})",
      R"({"cniVersion":"1.0.0","interfaces":[{"name":"veth1"},{"name":"eth0","mac":"0a:00",)"
      R"("sandbox":"/run/netns/x"}],"ips":[{"address":"10.1.0.2/16","gateway":"10.1.0.1",)"
      R"("interface":1}],"routes":[{"dst":"0.0.0.0/0"}],"dns":{"nameservers":["10.1.0.1"]}})",
      R"({"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.2/16"},"ip6":{"ip":"fd00::2/64"}})",
      R"({"cniVersion":"1.0.0","code":11,"msg":"try again","details":"later"})",
      "1.0.0",
      "10.0.0.0/24,fd00::/64",
      "{{range $i, $r := .Routes}}{{if $i}},{{end}}{\"dst\":\"{{$r}}\"}{{- end}}",
      "a {{- /* c */ -}} {{if .PodCIDR}}{{.PodCIDR}}{{else}}none{{end}}"
      "{{range .PodCIDRRanges}}[{{.}}]{{end}}",
  };
}

}  // namespace

const Target kCni{run, seeds};

}  // namespace berth::fuzz
