#include "engine/spec/pod_files.hpp"

#include "fixture.hpp"

namespace berth::spec {
namespace {

using runtime::v1::PodSandboxConfig;
using test::invalid;

TEST(Hostname, IsTheRequestsOrTheHosts) {
  const common::HostFacts host = test::richHost();
  EXPECT_EQ(*podHostname({}, host), "node-1");
  EXPECT_EQ(*podHostname(test::parse<PodSandboxConfig>("hostname: 'web-0.svc'"), host),
            "web-0.svc");
  PodSandboxConfig pod;
  for (const std::string& name :
       {std::string("a b"), std::string("-a"), std::string(".a"), std::string("a\n"),
        std::string("a/b"), std::string(65, 'a'), std::string("a\0b", 3)}) {
    pod.set_hostname(name);
    EXPECT_THAT(podHostname(pod, host), invalid("hostname \"")) << name;
  }
  EXPECT_EQ(hostnameFile("web"), "web\n");
}

TEST(Hosts, NameThePod) {
  const std::string text = hostsFile("web", {"10.0.0.2", "fd00::2"});
  EXPECT_NE(text.find("127.0.0.1\tlocalhost\n"), std::string::npos);
  EXPECT_TRUE(text.ends_with("10.0.0.2\tweb\nfd00::2\tweb\n")) << text;
}

absl::StatusOr<std::string> resolv(const std::string& dns) {
  return resolvConfFile(test::parse<PodSandboxConfig>(dns), "nameserver 9.9.9.9\n");
}

TEST(ResolvConf, IsBuiltFromTheRequest) {
  EXPECT_EQ(*resolv("dns_config { servers: ['10.96.0.10', 'fe80::1%eth0'] "
                    "searches: ['a.local', 'b.local'] options: ['ndots:5', 'edns0'] }"),
            "search a.local b.local\nnameserver 10.96.0.10\nnameserver fe80::1%eth0\n"
            "options ndots:5 edns0\n");
  EXPECT_EQ(*resolv("dns_config { options: 'ndots:8' }"), "options ndots:8\n");
}

TEST(ResolvConf, IsTheHostsWhenNothingIsSaid) {
  EXPECT_EQ(*resolv(""), "nameserver 9.9.9.9\n");
  EXPECT_EQ(*resolv("dns_config {}"), "nameserver 9.9.9.9\n");
}

TEST(ResolvConf, NonsenseIsRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {"servers: 'dns.local'", "server \"dns.local\" is not an IP address"},
      {"servers: '10.0.0.1%eth0'", "is not an IP address"},
      {"servers: 'fe80::1%'", "is not an IP address"},
      {"servers: ''", "server \"\" is empty or has blanks"},
      {"servers: '1.1.1.1\\nsearch evil'", "has blanks"},
      {"searches: 'a b'", "search domain \"a b\""},
      {"options: 'a\\nnameserver 6.6.6.6'", "option"},
      {"searches: 'a\\000'", "zero byte"}};
  for (const auto& [dns, message] : cases)
    EXPECT_THAT(resolv(std::string("dns_config { ") + dns + " }"), invalid(message)) << dns;
}

}  // namespace
}  // namespace berth::spec
