#include "endpoint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::registry {
namespace {

Options optionsOf(const char* json) {
  auto options = parseOptions(json);
  EXPECT_TRUE(options.ok()) << options.status();
  return options.ok() ? *options : Options();
}

std::vector<std::string> urlsFor(const Options& options, const char* reference) {
  const auto parsed = parseReference(reference);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  std::vector<std::string> urls;
  for (const Endpoint& endpoint : endpointsOf(options, *parsed))
    urls.push_back(endpoint.url(parsed->path, "manifests", parsed->target()).text());
  return urls;
}

TEST(Endpoint, RegistryItself) {
  const Options none;
  EXPECT_THAT(urlsFor(none, "registry.example/a/b:1"),
              testing::ElementsAre("https://registry.example/v2/a/b/manifests/1"));
  EXPECT_THAT(urlsFor(none, "docker.io/busybox:1"),
              testing::ElementsAre("https://registry-1.docker.io/v2/library/busybox/manifests/1"));
  EXPECT_THAT(urlsFor(none, "[fd00::1]:5000/a:1"),
              testing::ElementsAre("https://[fd00::1]:5000/v2/a/manifests/1"));
}

TEST(Endpoint, LoopbackIsPlainUnlessTlsIsConfigured) {
  EXPECT_THAT(urlsFor(Options(), "127.0.0.1:5000/a:1"),
              testing::ElementsAre("http://127.0.0.1:5000/v2/a/manifests/1"));
  EXPECT_THAT(urlsFor(optionsOf(R"({"registries": {"localhost:5000": {"insecure": true}}})"),
                      "localhost:5000/a:1"),
              testing::ElementsAre("https://localhost:5000/v2/a/manifests/1"));
  EXPECT_THAT(urlsFor(optionsOf(R"({"registries": {"localhost:5000": {"plain_http": false}}})"),
                      "localhost:5000/a:1"),
              testing::ElementsAre("https://localhost:5000/v2/a/manifests/1"));
  EXPECT_THAT(
      urlsFor(optionsOf(R"({"registries": {"r.example": {"plain_http": true}}})"), "r.example/a:1"),
      testing::ElementsAre("http://r.example/v2/a/manifests/1"));
}

TEST(Endpoint, MirrorsComeFirstAndPathsArePrefixes) {
  const Options options = optionsOf(R"({"registries": {
    "registry.k8s.io": {"mirrors": ["http://127.0.0.1:5001/registry.k8s.io/", "https://m.example"]},
    "only.example": {"mirrors": ["https://m.example/a/b"], "fallback": false},
    "*": {"mirrors": ["https://all.example"]}}})");
  EXPECT_THAT(
      urlsFor(options, "registry.k8s.io/e2e/pause:3.9"),
      testing::ElementsAre(
          "http://127.0.0.1:5001/v2/registry.k8s.io/e2e/pause/manifests/3.9?ns=registry.k8s.io",
          "https://m.example/v2/e2e/pause/manifests/3.9?ns=registry.k8s.io",
          "https://registry.k8s.io/v2/e2e/pause/manifests/3.9"));
  EXPECT_THAT(urlsFor(options, "only.example/x:1"),
              testing::ElementsAre("https://m.example/v2/a/b/x/manifests/1?ns=only.example"));
  EXPECT_THAT(urlsFor(options, "other.example:1/x:1"),
              testing::ElementsAre("https://all.example/v2/x/manifests/1?ns=other.example%3A1",
                                   "https://other.example:1/v2/x/manifests/1"));
}

TEST(Endpoint, SettingsStayWithTheirHost) {
  const Options options = optionsOf(R"({"registries": {
    "r.example": {"insecure": true, "ca": "/dev/null", "client_cert": "/dev/null",
                  "client_key": "/dev/null", "headers": {"X-Key": "secret"}},
    "s.example": {"headers": {"X-Own": "1"}}}})");
  const auto reference = parseReference("r.example/a:1");
  const std::vector<Endpoint> endpoints = endpointsOf(options, *reference);
  ASSERT_EQ(endpoints.size(), 1u);
  const auto settingsFor = [&](const char* url) {
    return connectionFor(options, endpoints[0], *parseUrl(url));
  };
  EXPECT_EQ(settingsFor("https://r.example/x").headers.size(), 1u);
  const ConnectionOptions port = settingsFor("https://r.example:444/x");
  EXPECT_TRUE(port.insecure);
  EXPECT_TRUE(port.headers.empty());
  const ConnectionOptions other = settingsFor("https://cdn.example/x");
  EXPECT_FALSE(other.insecure);
  EXPECT_EQ(other.ca, "/dev/null");
  EXPECT_EQ(other.clientCert, "");
  EXPECT_TRUE(other.headers.empty());
  const ConnectionOptions own = settingsFor("https://s.example/x");
  EXPECT_EQ(own.ca, "");
  EXPECT_EQ(own.headers.size(), 1u);
}

TEST(Endpoint, ATokenServerIsShownWhoTheNodeIsOnlyForKnownRegistries) {
  const Options options = optionsOf(R"({"registries": {
    "known.example": {},
    "*": {"mirrors": ["https://m.example"]},
    "auth.example": {"insecure": true, "client_cert": "/dev/null", "client_key": "/dev/null",
                     "headers": {"X-Key": "secret"}}}})");
  const auto shown = [&](const char* reference, EndpointRole role, const char* realm) {
    for (const Endpoint& endpoint : endpointsOf(options, *parseReference(reference))) {
      if (endpoint.role != role) continue;
      const auto connection = tokenConnectionFor(options, endpoint, *parseUrl(realm));
      EXPECT_EQ(connection.headers.empty(), connection.clientCert.empty());
      return !connection.headers.empty();
    }
    ADD_FAILURE() << reference;
    return false;
  };
  const char* realm = "https://auth.example/token";
  EXPECT_TRUE(shown("known.example/a:1", EndpointRole::kRegistry, realm));
  EXPECT_TRUE(shown("auth.example/a:1", EndpointRole::kRegistry, realm));
  EXPECT_TRUE(shown("other.example/a:1", EndpointRole::kMirror, realm));
  EXPECT_FALSE(shown("other.example/a:1", EndpointRole::kRegistry, realm));
}

TEST(Url, ParsesStrictly) {
  const auto url = parseUrl("HTTPS://Host.Example:443/a%20b?x=1");
  ASSERT_TRUE(url.ok()) << url.status();
  EXPECT_EQ(url->text(), "https://host.example/a%20b?x=1");
  EXPECT_EQ(url->shown(), "https://host.example/a%20b");
  for (const char* bad : {"", "host", "/path", "ftp://host/", "https://", "https://u:secret@host/",
                          "https://host/#x", "https://ho st/", "https://host:99999/"}) {
    const auto refused = parseUrl(bad);
    EXPECT_FALSE(refused.ok()) << bad;
    EXPECT_EQ(refused.status().message().find("secret"), absl::string_view::npos);
  }
}

TEST(Url, ResolvesLocations) {
  const Url base = *parseUrl("https://host:5000/v2/a/blobs/x?ns=1");
  EXPECT_EQ(resolveLocation(base, "/other?sig=1")->text(), "https://host:5000/other?sig=1");
  EXPECT_EQ(resolveLocation(base, "http://else/")->text(), "http://else/");
  EXPECT_EQ(resolveLocation(base, "//else/y")->text(), "https://else/y");
  EXPECT_FALSE(resolveLocation(base, "file:///etc/passwd").ok());
  EXPECT_FALSE(resolveLocation(base, "https://u:p@else/").ok());
}

TEST(Url, FormsAreEncoded) {
  EXPECT_EQ(formEncoded({{"a", "x y&z=/"}, {"empty", ""}, {"b", "ü"}}),
            "a=x%20y%26z%3D%2F&b=%C3%BC");
}

}  // namespace
}  // namespace berth::registry
