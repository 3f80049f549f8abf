// What stops the start, and what the message says: the file, the plugin, the reason.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test_host.hpp"
#include "test_paths.hpp"

namespace berth::plugins {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::pluginPath;
using testing::TestHost;

std::string message(const absl::Status& status) {
  return std::string(support::fromAbsl(status.message()));
}

absl::Status load(const std::vector<Wanted>& wanted) {
  TestHost host;
  Registry registry({test_paths::plugins}, host.services());
  return registry.load(wanted);
}

absl::Status loadNetwork(const std::string& plugin, boost::json::object options = {}) {
  return load({{Kind::kNetwork, "net", plugin, std::move(options)}});
}

struct Spoiled {
  const char* plugin;
  absl::StatusCode code;
  const char* name;  // the plugin's, where it is known
  const char* reason;
};

void PrintTo(const Spoiled& spoiled, std::ostream* out) {
  *out << spoiled.plugin;
}

class SpoiledPlugin : public ::testing::TestWithParam<Spoiled> {};

TEST_P(SpoiledPlugin, IsRefusedWithFileNameAndReason) {
  const Spoiled& spoiled = GetParam();
  const absl::Status status = loadNetwork(spoiled.plugin);
  EXPECT_EQ(status.code(), spoiled.code) << status;
  EXPECT_THAT(message(status), AllOf(HasSubstr(pluginPath(spoiled.plugin)), HasSubstr(spoiled.name),
                                     HasSubstr(spoiled.reason)));
}

constexpr absl::StatusCode kRefused = absl::StatusCode::kFailedPrecondition;

INSTANTIATE_TEST_SUITE_P(
    All, SpoiledPlugin,
    ::testing::Values(
        Spoiled{"wrong-major", kRefused, "", "built for ABI 2.1"},
        Spoiled{"newer-minor", kRefused, "(spoiled-newer-minor)", "needs a host of ABI 1.2"},
        Spoiled{"no-callback", kRefused, "(spoiled-no-callback)",
                "lacks the mandatory callback `detach` of berth.network/1"},
        Spoiled{"past-table", kRefused, "(spoiled-past-table)",
                "lacks the mandatory callback `set_pod_cidr` of berth.network/1"},
        Spoiled{"old-major", kRefused, "", "built for ABI 0.1"},
        Spoiled{"no-size", kRefused, "", "built for ABI 0.0"},
        Spoiled{"no-table-size", kRefused, "(spoiled-no-table-size)",
                "lacks the mandatory callback `attach` of berth.network/1"},
        Spoiled{"no-interface", kRefused, "(spoiled-no-interface)",
                "configured as a network (berth.network/1)"},
        Spoiled{"no-threading", kRefused, "(spoiled-no-threading)", "unknown threading 0"},
        Spoiled{"null-name", kRefused, "", "no name or version"},
        Spoiled{"endless-name", kRefused, "", "description has a text of 18446744073709551615"},
        Spoiled{"endless-options", kRefused, "", "description has a text of 18446744073709551615"},
        Spoiled{"no-create", kRefused, "(spoiled-no-create)",
                "lacks the mandatory callback `create` of berth_plugin"},
        Spoiled{"no-configure", kRefused, "(spoiled-no-configure)",
                "lacks the mandatory callback `configure` of berth_plugin"},
        Spoiled{"no-stop", kRefused, "(spoiled-no-stop)",
                "lacks the mandatory callback `stop` of berth_plugin"},
        Spoiled{"no-destroy", kRefused, "(spoiled-no-destroy)",
                "lacks the mandatory callback `destroy` of berth_plugin"},
        Spoiled{"no-start", kRefused, "(spoiled-no-start)",
                "lacks the mandatory callback `start` of berth_plugin"},
        Spoiled{"no-functions", kRefused, "(spoiled-no-functions)", "its function table is null"},
        Spoiled{"no-name", kRefused, "", "no name or version"},
        Spoiled{"no-version", kRefused, "(spoiled-no-version)", "no name or version"},
        Spoiled{"odd-text", kRefused, "(spoiled-odd-text)", "summary is not UTF-8"},
        Spoiled{"odd-threading", kRefused, "(spoiled-odd-threading)", "unknown threading 9"},
        Spoiled{"odd-interface", kRefused, "(spoiled-odd-interface)",
                "implements berth.network/2, but is configured as a network (berth.network/1)"},
        Spoiled{"runtime", kRefused, "(test-runtime)",
                "implements berth.runtime/1, but is configured as a network"},
        Spoiled{"null-entry", kRefused, "", "refuses a host of ABI 1.1"},
        Spoiled{"throwing-entry", kRefused, "", "its entry threw an exception"},
        Spoiled{"no-entry", kRefused, "", "does not export berth_plugin_entry"},
        Spoiled{"unresolved", kRefused, "", "berth_test_symbol_that_nobody_has"},
        Spoiled{"throwing-create", absl::StatusCode::kInternal, "(spoiled-throwing-create)",
                "create: plugin net (spoiled-throwing-create) let an exception out of a call"},
        Spoiled{"failing-create", absl::StatusCode::kResourceExhausted,
                "plugin spoiled-failing-create", "create: no room"}));

TEST(Load, OptionsThatAreDeclaredWronglyAreThePluginsFault) {
  const absl::Status status = loadNetwork("bad-options");
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(message(status),
              AllOf(HasSubstr(pluginPath("bad-options")), HasSubstr("plugin spoiled-bad-options"),
                    HasSubstr("options")));
}

TEST(Load, AFileThatIsNoSharedObjectIsRefusedWithTheLinkersWords) {
  ::berth::testing::TemporaryDirectory directory;
  const std::string path = directory / "text.so";
  std::ofstream(path) << "this is a text, and one that is long enough to have held an ELF header\n";
  const absl::Status status = loadNetwork(path);
  EXPECT_EQ(status.code(), kRefused);
  EXPECT_THAT(message(status), AllOf(HasSubstr("plugin file " + path), HasSubstr("ELF")));
}

TEST(Load, AMissingFileIsNamed) {
  const absl::Status status = loadNetwork("/nonexistent/berth-none.so");
  EXPECT_EQ(status.code(), kRefused);
  EXPECT_THAT(message(status), AllOf(HasSubstr("plugin file /nonexistent/berth-none.so"),
                                     HasSubstr("No such file or directory")));
}

TEST(Load, AMissingNameListsWhereItWasLookedFor) {
  const absl::Status status = loadNetwork("none");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(message(status), AllOf(HasSubstr("network \"net\""), HasSubstr("berth-none.so"),
                                     HasSubstr(test_paths::plugins)));
}

TEST(Load, TwoFilesWithOnePluginNameAreRefused) {
  const absl::Status status =
      load({{Kind::kNetwork, "a", "parallel", {}}, {Kind::kNetwork, "b", "parallel-2", {}}});
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(message(status),
              AllOf(HasSubstr(pluginPath("parallel-2")), HasSubstr("the plugin name parallel"),
                    HasSubstr("taken by " + pluginPath("parallel"))));
}

TEST(Load, TwoInstancesOfOneNameAreRefused) {
  const absl::Status status =
      load({{Kind::kNetwork, "net", "parallel", {}}, {Kind::kNetwork, "net", "serialized", {}}});
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(message(status), HasSubstr("two networks are called \"net\""));
}

TEST(Load, OneNameForInstancesOfDifferentKindsIsAllowed) {
  const absl::Status status =
      load({{Kind::kNetwork, "same", "parallel", {}}, {Kind::kRuntime, "same", "runtime", {}}});
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Load, TheSameFileAsAnotherKindIsRefusedAlsoTheSecondTime) {
  const absl::Status status =
      load({{Kind::kNetwork, "net", "parallel", {}}, {Kind::kRuntime, "run", "parallel", {}}});
  EXPECT_EQ(status.code(), kRefused);
  EXPECT_THAT(message(status), AllOf(HasSubstr(pluginPath("parallel")), HasSubstr("(parallel)"),
                                     HasSubstr("configured as a runtime")));
}

TEST(Load, AllProblemsAreReportedAtOnce) {
  const absl::Status status = load({{Kind::kNetwork, "a", "wrong-major", {}},
                                    {Kind::kNetwork, "b", "no-entry", {}},
                                    {Kind::kNetwork, "c", "parallel", {}},
                                    {Kind::kNetwork, "d", "none", {}}});
  EXPECT_THAT(message(status), AllOf(HasSubstr("built for ABI 2.1"), HasSubstr("does not export"),
                                     HasSubstr("berth-none.so"), Not(HasSubstr("berth-parallel"))));
}

TEST(Load, OptionsAreCheckedAgainstTheDeclaration) {
  const absl::Status status = loadNetwork("parallel", {{"limit", "many"}, {"lmit", 3}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(message(status),
              AllOf(HasSubstr(pluginPath("parallel")), HasSubstr("network \"net\""),
                    HasSubstr(".options.limit: must be of type integer"),
                    HasSubstr(".options.lmit: is not known; did you mean limit?")));
}

TEST(Load, MissingRequiredOptionsAreNamed) {
  const absl::Status status = load({{Kind::kImageSource, "files", "source", {}}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(message(status), AllOf(HasSubstr("image source \"files\""),
                                     HasSubstr(".options.directory: is required")));
}

TEST(Load, AFailingConfigureIsReportedAndTheInstanceDestroyed) {
  TestHost host;
  Registry registry({test_paths::plugins}, host.services());
  const absl::Status status =
      registry.load({{Kind::kNetwork, "net", "parallel", {{"fail", "configure"}}}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(message(status), AllOf(HasSubstr(pluginPath("parallel")), HasSubstr("configure: "),
                                     HasSubstr("does not please")));
  EXPECT_EQ(host.logged({"create", "destroy"}),
            (std::vector<std::string>{"net: create", "net: destroy"}));
  EXPECT_TRUE(registry.instances().empty());
}

// What a plugin says of an option is told with the place where that was written.
TEST(Load, ProblemsNameThePlaceOfTheOption) {
  Origin origin{"networks.net", {"/etc/berth/berth.toml:3:1", {}}};
  origin.place.options = {{"lmit", "/etc/berth/berth.toml:5:1"},
                          {"fail", "/etc/berth/berth.toml.d/a.toml:2:1"},
                          {"fail[1]", "/etc/berth/berth.toml.d/a.toml:2:12"}};
  const auto problem = [&](boost::json::object options) {
    return message(load({{Kind::kNetwork, "net", "parallel", std::move(options), origin}}));
  };
  const std::string after = " (plugin parallel, " + pluginPath("parallel") + ")";
  EXPECT_EQ(problem({{"lmit", 3}}),
            "/etc/berth/berth.toml:5:1: networks.net.options.lmit: is not known; did you mean "
            "limit?" +
                after);
  EXPECT_EQ(problem({{"fail", "configure"}}),
            "/etc/berth/berth.toml:3:1: networks.net: configure: the value of fail does not "
            "please" +
                after);
  EXPECT_EQ(
      problem({{"fail", "at options"}}),
      "/etc/berth/berth.toml.d/a.toml:2:1: networks.net.options.fail: does not please" + after +
          "\n/etc/berth/berth.toml.d/a.toml:2:12: networks.net.options.fail[1].\"a: b\": nor "
          "does this" +
          after + "\n/etc/berth/berth.toml:3:1: networks.net.options.limit: and this is a default" +
          after);
  EXPECT_THAT(message(load({{Kind::kNetwork, "net", "none", {}, origin}})),
              HasSubstr("/etc/berth/berth.toml:3:1: networks.net: no file berth-none.so"));
}

// What would start next is looked at while the daemon runs, which has the files of its own start.
TEST(Load, AFileThatHasReplacedALoadedOneIsLoaded) {
  const ::berth::testing::TemporaryDirectory directory;
  const std::string path = directory / "berth-mine.so";
  std::vector<std::shared_ptr<const Library>> loaded;
  for (const char* plugin : {"parallel", "serialized", "per_object"}) {
    const std::string next = directory / "next.so";
    std::filesystem::copy_file(pluginPath(plugin), next);
    std::filesystem::rename(next, path);
    for (int twice = 0; twice < 2; ++twice) {
      const auto library = Library::load(path, Kind::kNetwork);
      ASSERT_TRUE(library.ok()) << library.status();
      EXPECT_EQ((*library)->name(), plugin);
      EXPECT_EQ((*library)->path(), path);
      loaded.push_back(*library);
    }
  }
  // Those before are as they were, and a file is loaded once.
  EXPECT_EQ(loaded[0]->name(), "parallel");
  EXPECT_EQ(loaded[2]->name(), "serialized");
  for (size_t i = 0; i < loaded.size(); i += 2)
    EXPECT_EQ(loaded[i]->description().functions, loaded[i + 1]->description().functions);
}

TEST(Load, MakesNothingOnTheDisk) {
  TestHost host;
  Registry registry({test_paths::plugins}, host.services());
  ASSERT_TRUE(registry.load({{Kind::kNetwork, "net", "parallel", {}, {}}}).ok());
  EXPECT_FALSE(std::filesystem::exists(host.directory() / "root"));
  EXPECT_FALSE(std::filesystem::exists(host.directory() / "state"));
}

TEST(Load, WhatCouldNotBeLoadedIsKnown) {
  TestHost host;
  Registry registry({test_paths::plugins}, host.services());
  EXPECT_FALSE(registry
                   .load({{Kind::kNetwork, "bad", "no-start", {}, {}},
                          {Kind::kNetwork, "good", "parallel", {}, {}}})
                   .ok());
  ASSERT_EQ(registry.failures().size(), 1u);
  EXPECT_EQ(registry.failures()[0].wanted.name, "bad");
  EXPECT_THAT(message(registry.failures()[0].status), HasSubstr("lacks the mandatory callback"));
  EXPECT_EQ(registry.instances().size(), 1u);
}

TEST(Examine, TellsFindingsWithTheirPlaces) {
  TestHost host;
  Registry registry({test_paths::plugins}, host.services());
  Origin origin{"networks.net", {"/f:3:1", {{"limit", "/f:4:1"}}}};
  ASSERT_TRUE(registry.load({{Kind::kNetwork, "net", "parallel", {}, origin}}).ok());
  Operation op("examine");
  std::vector<Finding> findings;
  const absl::Status examined = registry.instances()[0]->examine(op, findings);
  ASSERT_TRUE(examined.ok()) << examined;
  ASSERT_EQ(findings.size(), 4u);
  EXPECT_EQ(findings[0].kind, BERTH_FINDING_OK);
  EXPECT_EQ(findings[0].what, "cable");
  EXPECT_EQ(findings[0].detail, "plugged in");
  EXPECT_EQ(findings[1].kind, BERTH_FINDING_LIMITED);
  EXPECT_EQ(findings[1].detail, "not \uFFFD UTF-8");
  EXPECT_EQ(findings[2].kind, BERTH_FINDING_REFUSED);
  EXPECT_EQ(findings[2].detail, "/f:4:1: networks.net.options.limit: too high for this host");
  EXPECT_EQ(findings[3].kind, BERTH_FINDING_LIMITED) << "of a later version";
  EXPECT_TRUE(host.logged({"start"}).empty());
}

TEST(Examine, WhatWasFoundBeforeAFailureCounts) {
  TestHost host;
  Registry registry({test_paths::plugins}, host.services());
  Origin origin{"networks.net", {"/f:3:1", {}}};
  ASSERT_TRUE(
      registry.load({{Kind::kNetwork, "net", "parallel", {{"fail", "examine"}}, origin}}).ok());
  Operation op("examine");
  std::vector<Finding> findings;
  const absl::Status examined = registry.instances()[0]->examine(op, findings);
  EXPECT_EQ(examined.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(message(examined), HasSubstr("/f:3:1: networks.net: examine: no light"));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].what, "cable");
}

TEST(Examine, APluginOfTheFirstMinorVersionFindsNothing) {
  TestHost host;
  Registry registry({test_paths::plugins}, host.services());
  ASSERT_TRUE(registry.load({{Kind::kNetwork, "net", "past", {}, {}}}).ok());
  Operation op("examine");
  std::vector<Finding> findings;
  EXPECT_TRUE(registry.instances()[0]->examine(op, findings).ok());
  EXPECT_TRUE(findings.empty());
}

// Built against headers whose structs have grown, or were smaller: both load and work.
class OtherAge : public ::testing::TestWithParam<const char*> {};

TEST_P(OtherAge, LoadsAndIsCalled) {
  TestHost host;
  Registry registry({test_paths::plugins}, host.services());
  ASSERT_TRUE(registry.load({{Kind::kNetwork, "net", GetParam(), {}}}).ok());
  ASSERT_TRUE(registry.start().ok());
  Operation op("status");
  EXPECT_TRUE((*registry.network("net"))->status(op).ok());
}

TEST(OtherAges, WhatAPluginOffersBeyondTodayIsCutToWhatIsKnown) {
  TestHost host;
  Registry registry({test_paths::plugins}, host.services());
  ASSERT_TRUE(
      registry.load({{Kind::kNetwork, "net", "future", {}}, {Kind::kNetwork, "old", "past", {}}})
          .ok());
  const absl::Status started = registry.start();
  ASSERT_TRUE(started.ok()) << started;
  struct {
    size_t size;
    uint64_t known, after;
  } table = {0, 0, 5};
  const size_t size = offsetof(decltype(table), after);
  EXPECT_TRUE(registry.instances()[0]->extension("com.example.future", 1, &table, size));
  EXPECT_EQ(table.known, 17u);
  EXPECT_EQ(table.after, 5u) << "written past the end of what is known";
  EXPECT_FALSE(registry.instances()[0]->extension("com.example.future", 2, &table, size));
  EXPECT_FALSE(registry.instances()[1]->extension("com.example.future", 1, &table, size));
}

INSTANTIATE_TEST_SUITE_P(All, OtherAge, ::testing::Values("future", "past"));

}  // namespace
}  // namespace berth::plugins
