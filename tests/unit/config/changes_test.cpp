// Changes between configurations, and which of them a running daemon takes up.
#include "config/changes.hpp"

#include "fixture.hpp"

namespace berth::config {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> changes(const Config& before, const Config& after) {
  std::vector<std::string> texts;
  for (const Change& change : changesBetween(before, after))
    texts.push_back(change.key + ": " + change.from + " -> " + change.to +
                    (change.reload == Reload::kLive ? "" : " (restart)"));
  return texts;
}

TEST_F(ConfigTest, ChangesAreNamedWithBothValues) {
  const Config before =
      *loadText("[runtimes.kata]\nplugin = \"a\"\n[sources.old]\nplugin = \"b\"\n");
  EXPECT_THAT(changes(before, before), IsEmpty());
  const Config after = *loadText(
      "[log]\nlevel = \"debug\"\n[grpc]\nsocket = \"/x\"\n[containers]\npids_limit = 7\n"
      "[runtimes.kata]\nplugin = \"b\"\nprivileged_devices = \"none\"\n"
      "[sources.new]\nplugin = \"b\"\n");
  EXPECT_THAT(changes(before, after),
              ElementsAre("grpc.socket: \"/run/berth/berth.sock\" -> \"/x\" (restart)",
                          "log.level: \"info\" -> \"debug\"", "containers.pids_limit: 0 -> 7",
                          "runtimes.kata.plugin: \"a\" -> \"b\" (restart)",
                          "runtimes.kata.privileged_devices: \"all\" -> \"none\"",
                          "sources.old: there ->  (restart)", "sources.new:  -> there (restart)"));
}

TEST_F(ConfigTest, OnlyLiveValuesAreTakenUp) {
  const Config running = *loadText("[runtimes.kata]\nplugin = \"a\"\n");
  const Config wanted = *loadText(
      "[log]\nlevel = \"debug\"\nformat = \"json\"\n[containers]\npids_limit = 7\n"
      "[runtimes.kata]\nplugin = \"b\"\nannotations = [\"x/\"]\n[runtimes.new]\n"
      "plugin = \"c\"\n");
  const Config taken = withLiveChanges(running, wanted);
  EXPECT_THAT(changes(running, taken),
              ElementsAre("log.level: \"info\" -> \"debug\"", "containers.pids_limit: 0 -> 7",
                          "runtimes.kata.annotations: [] -> [\"x/\"]"));
  for (const Change& left : changesBetween(taken, wanted))
    EXPECT_EQ(left.reload, Reload::kRestart) << left.key;
}

}  // namespace
}  // namespace berth::config
