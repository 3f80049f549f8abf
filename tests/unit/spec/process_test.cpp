#include "engine/spec/process.hpp"

#include <chrono>
#include <csignal>

#include "engine/spec/stop_signal.hpp"
#include "fixture.hpp"

namespace berth::spec {
namespace {

using runtime::v1::ContainerConfig;
using test::invalid;
using testing::ElementsAre;

using Texts = std::vector<std::string>;

struct Command {
  const char* request;
  Texts entrypoint;
  Texts command;
  Texts result;
};

class Arguments : public testing::TestWithParam<Command> {};

TEST_P(Arguments, FollowKubernetes) {
  common::ImageConfig image;
  image.entrypoint = GetParam().entrypoint;
  image.command = GetParam().command;
  const auto arguments = processArguments(test::parse<ContainerConfig>(GetParam().request), image);
  ASSERT_OK(arguments);
  EXPECT_EQ(*arguments, GetParam().result);
}

INSTANTIATE_TEST_SUITE_P(
    All, Arguments,
    testing::Values(Command{"", {"/ep"}, {"cmd"}, {"/ep", "cmd"}},
                    Command{"", {}, {"cmd", "x"}, {"cmd", "x"}}, Command{"", {"/ep"}, {}, {"/ep"}},
                    Command{"", {""}, {"cmd"}, {"cmd"}},
                    Command{"command: 'c'", {"/ep"}, {"cmd"}, {"c"}},
                    Command{"args: 'a'", {"/ep"}, {"cmd"}, {"/ep", "a"}},
                    Command{"args: ['a', '']", {}, {"cmd"}, {"a", ""}},
                    Command{"command: 'c' args: 'a'", {"/ep"}, {"cmd"}, {"c", "a"}}));

TEST(ArgumentRules, MustNotBeEmpty) {
  common::ImageConfig image;
  EXPECT_THAT(processArguments({}, image), invalid("no command specified"));
  image.entrypoint = {""};
  EXPECT_THAT(processArguments({}, image), invalid("no command specified"));
  EXPECT_THAT(processArguments(test::parse<ContainerConfig>("command: ''"), image),
              invalid("no command specified"));
  EXPECT_THAT(processArguments(test::parse<ContainerConfig>("command: 'a' args: 'b\\000'"), image),
              invalid("command line[1] contains a zero byte"));
}

constexpr const char* kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

Texts environment(const char* request, Texts image = {}, Texts configured = {}) {
  common::ImageConfig config;
  config.environment = std::move(image);
  Defaults defaults;
  defaults.environment = std::move(configured);
  Warnings warnings;
  const auto result =
      processEnvironment(test::parse<ContainerConfig>(request), config, defaults, "host", warnings);
  EXPECT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(warnings, ::testing::IsEmpty());
  return result.value_or(Texts{});
}

TEST(Environment, HasWhatProgramsExpect) {
  EXPECT_THAT(environment(""), ElementsAre(kPath, "HOSTNAME=host"));
  EXPECT_THAT(environment("tty: true"), ElementsAre(kPath, "TERM=xterm", "HOSTNAME=host"));
}

TEST(Environment, LaterEntriesOverride) {
  EXPECT_THAT(environment("tty: true envs { key: 'A' value: 'request=1' } "
                          "envs { key: 'TERM' value: 'vt100' } envs { key: 'A' value: 'last' }",
                          {"PATH=/image", "A=image", "B=image", "NOVALUE", "=x", "EMPTY="},
                          {"B=configured", "C=configured"}),
              ElementsAre("PATH=/image", "TERM=vt100", "HOSTNAME=host", "B=image", "C=configured",
                          "A=last", "EMPTY="));
  EXPECT_THAT(environment("envs { key: 'AB' value: '1' } envs { key: 'A' value: '2' }"),
              ElementsAre(kPath, "HOSTNAME=host", "AB=1", "A=2"));
}

TEST(Environment, AsManyAsAnImageCanHaveTakeNoTime) {
  common::ImageConfig image;
  for (int i = 0; i < 150'000; ++i) image.environment.push_back("V" + std::to_string(i) + "=");
  Warnings warnings;
  const auto begin = std::chrono::steady_clock::now();
  const auto variables = processEnvironment({}, image, {}, "host", warnings);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  ASSERT_TRUE(variables.ok()) << variables.status();
  EXPECT_EQ(variables->size(), 150'002u);
}

TEST(Environment, NonsenseIsRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {"envs { value: 'x' }", "envs: \"\" is not the name"},
      {"envs { key: 'A=B' value: 'x' }", "envs: \"A=B\" is not the name"},
      {"envs { key: 'A' value: '\\000' }", "environment variable A contains a zero byte"}};
  Warnings warnings;
  for (const auto& [request, message] : cases)
    EXPECT_THAT(processEnvironment(test::parse<ContainerConfig>(request), {}, {}, "host", warnings),
                invalid(message));
}

TEST(Environment, BytesThatAreNoTextAreReplaced) {
  Warnings warnings;
  const auto variables = processEnvironment(
      test::parse<ContainerConfig>("envs { key: 'A' value: '\\377x\\303\\244\\303' } "
                                   "envs { key: 'B' value: '\\303\\244' }"),
      {}, {}, "host", warnings);
  ASSERT_TRUE(variables.ok()) << variables.status();
  EXPECT_THAT(*variables,
              ::testing::IsSupersetOf({"A=\xEF\xBF\xBDx\xC3\xA4\xEF\xBF\xBD", "B=\xC3\xA4"}));
  EXPECT_THAT(warnings, ElementsAre(test::warns("environment variable A is not UTF-8")));
}

TEST(Directory, IsTheRequestsOrTheImages) {
  common::ImageConfig image;
  EXPECT_EQ(*processDirectory({}, image), "/");
  image.workingDirectory = "/image";
  EXPECT_EQ(*processDirectory({}, image), "/image");
  EXPECT_EQ(*processDirectory(test::parse<ContainerConfig>("working_dir: '/mine'"), image),
            "/mine");
  EXPECT_THAT(processDirectory(test::parse<ContainerConfig>("working_dir: 'x'"), image),
              invalid("working directory \"x\" must be absolute"));
  image.workingDirectory = "x";
  EXPECT_THAT(processDirectory({}, image), invalid("\"x\" of the image must be absolute"));
}

TEST(Exec, IsAsTheContainer) {
  const boost::json::object spec = test::json(R"({"process": {"terminal": true,
      "consoleSize": {"height": 1, "width": 2}, "user": {"uid": 7}, "args": ["sh"],
      "env": ["A=b"], "cwd": "/w", "capabilities": {"bounding": ["CAP_KILL"]},
      "noNewPrivileges": true, "apparmorProfile": "p", "selinuxLabel": "l",
      "rlimits": [], "oomScoreAdj": 3}})")
                                       .as_object();
  const auto plain = execProcess(spec, {"ls", "-l"}, Terminal::kNo);
  ASSERT_OK(plain);
  EXPECT_EQ(boost::json::value(*plain), test::json(R"({"terminal": false, "user": {"uid": 7},
      "args": ["ls", "-l"], "env": ["A=b"], "cwd": "/w",
      "capabilities": {"bounding": ["CAP_KILL"]}, "noNewPrivileges": true,
      "apparmorProfile": "p", "selinuxLabel": "l", "rlimits": [], "oomScoreAdj": 3})"));
  const auto terminal = execProcess(spec, {"sh"}, Terminal::kYes);
  EXPECT_EQ(terminal->at("terminal"), true);
  EXPECT_THAT(test::texts(terminal->at("env")), ElementsAre("TERM=xterm", "A=b"));
}

TEST(Exec, KeepsTheContainersTerminalType) {
  const boost::json::object spec =
      test::json(R"({"process": {"env": ["A=b", "TERM=vt100"]}})").as_object();
  EXPECT_THAT(test::texts(execProcess(spec, {"sh"}, Terminal::kYes)->at("env")),
              ElementsAre("TERM=vt100", "A=b"));
}

TEST(Exec, NeedsACommand) {
  const boost::json::object spec = test::json(R"({"process": {}})").as_object();
  EXPECT_THAT(execProcess(spec, {}, Terminal::kNo), invalid("cmd is empty"));
  EXPECT_THAT(execProcess(spec, {""}, Terminal::kNo), invalid("cmd is empty"));
  EXPECT_THAT(execProcess(spec, {"a", "\xff"}, Terminal::kNo), invalid("exec: command[1]"));
  EXPECT_EQ(execProcess({}, {"a"}, Terminal::kNo).status().code(), absl::StatusCode::kInternal);
}

TEST(StopSignal, IsTheRequestsThenTheImages) {
  const std::pair<const char*, int> cases[] = {
      {"", SIGTERM},      {"SIGINT", SIGINT}, {"quit", SIGQUIT}, {"15", 15},
      {"SIGRTMIN+3", 37}, {"RTMAX-1", 63},    {"SIGRTMIN", 34},  {"64", 64}};
  common::ImageConfig image;
  for (const auto& [text, number] : cases) {
    image.stopSignal = text;
    EXPECT_EQ(*stopSignal({}, image), number) << text;
  }
  image.stopSignal = "SIGINT";
  EXPECT_EQ(*stopSignal(test::parse<ContainerConfig>("stop_signal: SIGNAL_SIGRTMINPLUS3"), image),
            37);
  for (const char* text : {"SIGNOPE", "0", "65", "-1", "RTMIN+99", "RTMIN+", "SIG"}) {
    image.stopSignal = text;
    EXPECT_THAT(stopSignal({}, image), invalid("is no signal")) << text;
  }
  ContainerConfig strange;
  strange.set_stop_signal(static_cast<runtime::v1::Signal>(99));
  EXPECT_THAT(stopSignal(strange, image), invalid("stop_signal 99 is unknown"));
}

TEST(StopSignal, EveryNameOfTheCriHasANumber) {
  for (int value = 1; value < runtime::v1::Signal_ARRAYSIZE; ++value) {
    ContainerConfig config;
    config.set_stop_signal(static_cast<runtime::v1::Signal>(value));
    const auto number = stopSignal(config, {});
    ASSERT_OK(number);
    // Some have two names.
    config.set_stop_signal(criSignal(*number));
    EXPECT_EQ(*stopSignal(config, {}), *number);
  }
  EXPECT_EQ(criSignal(SIGTERM), runtime::v1::SIGNAL_SIGTERM);
  EXPECT_EQ(criSignal(64), runtime::v1::SIGNAL_SIGRTMAX);
  EXPECT_EQ(criSignal(32), runtime::v1::SIGNAL_RUNTIME_DEFAULT);
}

}  // namespace
}  // namespace berth::spec
