#include "options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::pair<std::optional<Options>, int> parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "berth-bench");
  return parseCommandLine(static_cast<int>(arguments.size()), arguments.data());
}

TEST(AttachedEngine, takesAddressHandlerAndPid) {
  const auto spec = parseAttachedEngine("crio=unix:///run/crio/crio.sock,handler=crun,pid=12");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->name, "crio");
  EXPECT_EQ(spec->kind, EngineKind::kAttached);
  EXPECT_EQ(spec->socket, "/run/crio/crio.sock");
  EXPECT_EQ(spec->handler, "crun");
  EXPECT_EQ(spec->pid, 12);
}

TEST(AttachedEngine, refusesWhatItDoesNotKnow) {
  for (const char* text : {"x", "x=", "=unix:///s", "x=/s", "x=unix://s", "x=tcp://1.2.3.4:5",
                           "x=unix:///s,colour=red", "x=unix:///s,pid=many", "x=unix:///s,pid=-1",
                           "x=unix:///s,handler="}) {
    const auto spec = parseAttachedEngine(text);
    EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(spec.status().message(), HasSubstr(text));
  }
}

TEST(StartedEngine, hasABinaryByDefault) {
  const auto peer = parseStartedEngine("c=containerd,handler=runc");
  ASSERT_TRUE(peer.ok()) << peer.status();
  EXPECT_EQ(peer->kind, EngineKind::kContainerd);
  EXPECT_EQ(peer->binary, "containerd");
  EXPECT_EQ(peer->handler, "runc");
  const auto berth = parseStartedEngine("b=berth:/opt/berthd");
  ASSERT_TRUE(berth.ok()) << berth.status();
  EXPECT_EQ(berth->kind, EngineKind::kBerth);
  EXPECT_EQ(berth->binary, "/opt/berthd");
}

TEST(StartedEngine, refusesUnknownKinds) {
  EXPECT_THAT(parseStartedEngine("d=docker").status().message(), HasSubstr("docker"));
  EXPECT_THAT(parseStartedEngine("c=containerd,pid=1").status().message(), HasSubstr("pid"));
}

TEST(Registry, needsAUrl) {
  const auto registry = parseRegistry("images.test=http://127.0.0.1:4321");
  ASSERT_TRUE(registry.ok()) << registry.status();
  EXPECT_EQ(registry->host, "images.test");
  EXPECT_EQ(registry->url, "http://127.0.0.1:4321");
  EXPECT_FALSE(parseRegistry("images.test=127.0.0.1:4321").ok());
}

TEST(CommandLine, comparesWithContainerdUnlessTold) {
  const auto [options, code] = parse({"--image", "i", "--berth-binary", "/b", "--containerd"});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(code, 0);
  EXPECT_EQ(options->baseline, "containerd");
  EXPECT_EQ(options->pullImage, "i");
  EXPECT_EQ(options->sandboxImage, "i");
  EXPECT_EQ(options->suites.size(), knownSuites().size() - 1);  // no image to remove
  const auto [attached, ignored] =
      parse({"--image", "i", "--engine", "a=unix:///a", "--engine", "b=unix:///b"});
  ASSERT_TRUE(attached.has_value());
  EXPECT_EQ(attached->baseline, "a");
}

TEST(CommandLine, takesSuitesAsAList) {
  const auto [options, code] = parse({"--image", "i", "--containerd", "--suites", "pull,cycle"});
  ASSERT_TRUE(options.has_value());
  EXPECT_THAT(options->suites, ElementsAre("cycle", "pull"));
  const auto [more, ignored] = parse({"--image", "i", "--pull-image", "j", "--containerd"});
  EXPECT_EQ(more->suites.size(), knownSuites().size());
}

TEST(CommandLine, refusesWhatCannotRun) {
  EXPECT_NE(parse({"--containerd"}).second, 0);  // no image
  EXPECT_NE(parse({"--image", "i"}).second, 0);  // no engine
  const std::vector<const char*> base{"--image", "i", "--containerd"};
  for (const std::vector<const char*>& extra :
       std::vector<std::vector<const char*>>{{"--suites", "cycles"},
                                             {"--suites", "removal"},
                                             {"--suites", "removal", "--pull-image", "i"},
                                             {"--baseline", "nobody"},
                                             {"--subnet", "10"},
                                             {"--subnet", "10.256"},
                                             {"--rounds", "0"},
                                             {"--engine", "containerd=unix:///twice"},
                                             {"--engine", "bare=unix:///s"},
                                             {"--engine", "a/b=unix:///s"}}) {
    std::vector<const char*> arguments = base;
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    const auto [options, code] = parse(arguments);
    EXPECT_FALSE(options.has_value()) << extra[0] << " " << extra[1];
    EXPECT_NE(code, 0) << extra[0] << " " << extra[1];
  }
}

}  // namespace
}  // namespace berth::bench
