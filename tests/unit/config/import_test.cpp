#include "config/import.hpp"

#include <filesystem>
#include <fstream>

#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/status.hpp"
#include "config/document.hpp"

namespace berth::config {
namespace {

namespace fs = std::filesystem;
using support::strCat;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ImportTest : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) const {
    fs::path path = fs::path(directory_.path()) / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path;
  }
  // The options of the registries as JSON, and the comments as one line.
  struct Imported {
    std::string tables;
    std::string images;  // [images]; empty without
    std::string comments;
  };
  static Imported read(const absl::StatusOr<std::string>& text) {
    EXPECT_TRUE(text.ok()) << text.status();
    if (!text.ok()) return {};
    Problems problems;
    const auto document = parseDocument(*text, "made", problems);
    EXPECT_TRUE(document.has_value() && problems.empty()) << *text << problems.status();
    if (!document) return {};
    const boost::json::object all = toJson(*document, "", problems);
    const auto& registry = all.at("sources").at("registry").as_object();
    EXPECT_EQ(registry.at("plugin").as_string(), "registry-v2");
    Imported imported;
    if (const auto* options = registry.if_contains("options"))
      imported.tables = boost::json::serialize(options->at("registries"));
    if (const auto* images = all.if_contains("images"))
      imported.images = boost::json::serialize(*images);
    std::string comments = *text;
    for (size_t at = 0; (at = comments.find("\n# ", at)) != std::string::npos;)
      comments.replace(at, 3, " ");
    imported.comments = comments;
    return imported;
  }
  Imported registries(const std::string& text) const {
    return read(importRegistriesConf(write("registries.conf", text)));
  }
  Imported hosts(const std::string& host, const std::string& text) const {
    write(strCat("certs.d/", host, "/hosts.toml"), text);
    return read(importHostsToml(strCat(directory_.path(), "/certs.d")));
  }

  const testing::TemporaryDirectory directory_;
};

using RegistriesConf = ImportTest;
using HostsToml = ImportTest;

TEST_F(RegistriesConf, MirrorsComeBeforeTheRegistry) {
  const Imported made = registries(R"(
[[registry]]
prefix = "docker.io"
[[registry.mirror]]
location = "mirror.example/docker"
[[registry.mirror]]
location = "10.0.0.5:5000"
insecure = true
)");
  EXPECT_EQ(made.tables,
            R"({"10.0.0.5:5000":{"insecure":true},"docker.io":{"mirrors":[)"
            R"("https://mirror.example/docker","https://10.0.0.5:5000","http://10.0.0.5:5000"]}})");
}

TEST_F(RegistriesConf, AnotherPlaceTakesThatOfTheRegistry) {
  EXPECT_EQ(registries("[[registry]]\nprefix = \"a.example\"\nlocation = \"b.example/a\"\n").tables,
            R"({"a.example":{"fallback":false,"mirrors":["https://b.example/a"]}})");
}

TEST_F(RegistriesConf, AnInsecureOneIsTriedWithoutTlsToo) {
  EXPECT_EQ(registries("[[registry]]\nlocation = \"A.example:5000\"\ninsecure = true\n").tables,
            R"({"a.example:5000":{"fallback":false,"insecure":true,"mirrors":)"
            R"(["https://A.example:5000","http://A.example:5000"]}})");
}

TEST_F(RegistriesConf, ABlockedOneIsBlocked) {
  EXPECT_EQ(registries("[[registry]]\nlocation = \"a.example\"\nblocked = true\n").tables,
            R"({"a.example":{"blocked":true}})");
}

TEST_F(RegistriesConf, NamesWithoutARegistryMeanTheSame) {
  const Imported made = registries(R"(
unqualified-search-registries = ["other.example:5000", "docker.io"]
[aliases]
"app" = "registry.example/team/app"
"team/db" = "docker.io/library/postgres"
)");
  EXPECT_EQ(made.images, R"({"short_names":["app=registry.example/team/app",)"
                         R"("team/db=docker.io/library/postgres"],)"
                         R"("unqualified_search_registries":["other.example:5000","docker.io"]})");
  EXPECT_EQ(registries("").images, "");
  EXPECT_EQ(registries("unqualified-search-registries = []\n").images,
            R"({"unqualified_search_registries":[]})");
}

TEST_F(RegistriesConf, WhatCannotBeExpressedIsNamed) {
  const Imported made = registries(R"(
unqualified-search-registries = ["docker.io", "other.example/team"]
short-name-mode = "enforcing"
[aliases]
"app:1" = "registry.example/team/app"
[[registry]]
prefix = "other.example/team"
location = "b.example"
blocked = true
[[registry]]
prefix = "*.example.org"
[[registry]]
location = "a.example"
mirror-by-digest-only = true
[[registry.mirror]]
location = "m.example"
[[registry.mirror]]
location = "n.example"
pull-from-mirror = "tag-only"
)");
  EXPECT_EQ(made.tables, R"({"a.example":{"mirrors":["https://m.example","https://n.example"]}})");
  EXPECT_THAT(
      made.comments,
      AllOf(HasSubstr("unqualified-search-registries has \"other.example/team\""),
            HasSubstr("short-name-mode"), HasSubstr(R"("app:1" = "registry.example/team/app")"),
            HasSubstr("\"other.example/team\""), HasSubstr("\"*.example.org\""),
            HasSubstr("\"m.example\" was for digest-only pulls"),
            HasSubstr("\"n.example\" was for tag-only pulls")));
}

TEST_F(RegistriesConf, TheFolderBesideItIsReadToo) {
  write("registries.conf.d/10-first.conf", R"(
unqualified-search-registries = ["docker.io"]
[aliases]
"one" = ""
[[registry]]
location = "a.example"
[[registry.mirror]]
location = "later.example"
)");
  write("registries.conf.d/20-other.txt", "not read");
  const Imported made = registries(R"(
unqualified-search-registries = ["other.example"]
[aliases]
"one" = "a.example/one"
[[registry]]
location = "a.example"
[[registry.mirror]]
location = "earlier.example"
)");
  EXPECT_EQ(made.tables, R"({"a.example":{"mirrors":["https://later.example"]}})");
  EXPECT_EQ(made.images, R"({"unqualified_search_registries":["docker.io"]})");
  EXPECT_THAT(made.comments, AllOf(HasSubstr("10-first.conf"), Not(HasSubstr("other.example")),
                                   Not(HasSubstr("alias"))));
}

TEST_F(RegistriesConf, MistakesAreToldOfWithTheirPlaces) {
  const auto failed = [this](const std::string& text) {
    return std::string(importRegistriesConf(write("registries.conf", text)).status().message());
  };
  EXPECT_THAT(failed("[[registry]\n"), HasSubstr("registries.conf:1:"));
  EXPECT_THAT(failed("[[registry]]\nlocation = 7\n"), HasSubstr(":2:12: location: expected a str"));
  EXPECT_THAT(failed("[[registry]]\ninsecure = true\n"), HasSubstr("a prefix or a location"));
  EXPECT_THAT(failed("[registries.search]\nregistries = []\n"), HasSubstr("first version"));
  EXPECT_EQ(importRegistriesConf("/no/such/file").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(HostsToml, HostsAreAskedInTheirOrderAndTheServerLast) {
  EXPECT_EQ(hosts("docker.io", R"(
server = "https://registry-1.docker.io"
[host."https://z.example"]
  capabilities = ["pull", "resolve"]
[host."http://a.example:5000"]
[host."https://push.example"]
  capabilities = ["push"]
)")
                .tables,
            R"({"docker.io":{"mirrors":["https://z.example","http://a.example:5000"]}})");
}

TEST_F(HostsToml, AnotherServerTakesThePlaceOfTheRegistry) {
  EXPECT_EQ(hosts("_default", "server = \"https://cache.example\"\nskip_verify = true\n").tables,
            R"({"*":{"fallback":false,"mirrors":["https://cache.example"]},)"
            R"("cache.example":{"insecure":true}})");
  fs::remove_all(fs::path(directory_.path()) / "certs.d");
  EXPECT_EQ(hosts("a.example:5000", "server = \"http://a.example:5000\"\n").tables,
            R"({"a.example:5000":{"fallback":false,"mirrors":["http://a.example:5000"]}})");
}

TEST_F(HostsToml, EachServerHasItsOwnSettings) {
  const std::string pem = write("ca.pem", "x");
  write("certs.d/a.example_5000_/own.pem", "x");
  const Imported made = hosts("a.example_5000_", strCat(R"(
ca = "own.pem"
[host."https://m.example"]
  client = [[")",
                                                        pem, R"(", ")", pem, R"("]]
  skip_verify = true
  [host."https://m.example".header]
    X-Team = ["blue"]
    Authorization = "Basic x"
[host."https://plain.example"]
  ca = "/not/there.pem"
  dial_timeout = "3s"
)"));
  EXPECT_EQ(made.tables,
            strCat(R"({"a.example:5000":{"ca":")", directory_.path(),
                   R"(/certs.d/a.example_5000_/own.pem","mirrors":["https://m.example",)",
                   R"("https://plain.example"]},"m.example":{"client_cert":")", pem,
                   R"(","client_key":")", pem,
                   R"(","headers":{"X-Team":"blue"},"insecure":true},"plain.example":{}})"));
  EXPECT_THAT(made.comments, AllOf(HasSubstr("\"Authorization\""), HasSubstr("auth.json"),
                                   HasSubstr("/not/there.pem"), HasSubstr("dial_timeout")));
  EXPECT_THAT(made.comments, Not(HasSubstr("Basic x")));
}

TEST_F(HostsToml, PathsThatCannotBeExpressedAreNamed) {
  const Imported made = hosts("a.example", R"(
[host."https://m.example/v2/proxy"]
  override_path = true
[host."https://n.example/prefix"]
[host."https://o.example/v2"]
[host."https://p.example/api"]
  override_path = true
)");
  EXPECT_EQ(made.tables,
            R"({"a.example":{"mirrors":["https://m.example/proxy","https://o.example"]}})");
  EXPECT_THAT(made.comments, AllOf(HasSubstr("n.example/prefix"), HasSubstr("p.example/api")));
}

TEST_F(HostsToml, FoldersOfCertificatesAloneAreRead) {
  const std::string ca = write("certs.d/a.example/ca.crt", "x");
  const std::string cert = write("certs.d/a.example/client.cert", "x");
  const std::string key = write("certs.d/a.example/client.key", "x");
  write("certs.d/not a host/hosts.toml", "");
  const Imported made = hosts("b.example", "");
  EXPECT_EQ(made.tables, strCat(R"({"a.example":{"ca":")", ca, R"(","client_cert":")", cert,
                                R"(","client_key":")", key, R"("},"b.example":{}})"));
  EXPECT_THAT(made.comments, HasSubstr("not a host"));
}

TEST_F(HostsToml, MistakesAreToldOfWithTheirPlaces) {
  const std::string path = write("certs.d/a.example/hosts.toml", "[host.\"https://b\"]\nca = 1\n");
  EXPECT_THAT(std::string(importHostsToml(path).status().message()),
              HasSubstr(strCat(path, ":2:6: ca: expected an array of strings")));
  EXPECT_EQ(importHostsToml("/no/such/folder").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace berth::config
