// What plugins hand over and must not (plugins/wrong.cpp), in this process and in their own: the
// call fails with a message that names the instance, and others go on.
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/extensions.h"
#include "test_host.hpp"
#include "test_paths.hpp"

namespace berth::plugins {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using testing::TestHost;

const std::string kThrew = "plugin one (wrong) let an exception out of a call";
const std::string kSpoilt = "plugin one: handed over what cannot be taken: ";

// What is called, what is wrong with it, and what comes of it.
struct Case {
  Kind kind;
  const char* call;
  const char* wrong;
  absl::StatusCode code;
  std::string message;
};
void PrintTo(const Case& one, std::ostream* out) {
  *out << kindName(one.kind) << " " << one.call << ": " << one.wrong;
}

class WrongAnswers : public ::testing::TestWithParam<std::tuple<bool, Case>> {
 protected:
  TestHost host_;
  std::unique_ptr<Registry> registry_;
  Operation op_{"test"};

  static bool isolated() { return std::get<0>(GetParam()); }
  static const Case& one() { return std::get<1>(GetParam()); }

  absl::Status start(const char* wrong) {
    static const std::map<Kind, const char*> files = {{Kind::kNetwork, "wrong-network"},
                                                      {Kind::kImageSource, "wrong-source"},
                                                      {Kind::kSnapshotter, "wrong-snapshotter"},
                                                      {Kind::kRuntime, "wrong-runtime"}};
    registry_ =
        std::make_unique<Registry>(std::vector<std::string>{test_paths::plugins}, host_.services());
    Wanted wanted{one().kind, "one", files.at(one().kind), {{"wrong", wrong}}};
    wanted.isolation = {.process = isolated(), .program = test_paths::pluginHost};
    BERTH_RETURN_IF_ERROR(registry_->load({wanted}));
    // What is examined is not started.
    return std::string_view(one().call) == "examine" ? absl::OkStatus() : registry_->start();
  }
  absl::Status call() {
    static const std::map<std::string_view, absl::Status (WrongAnswers::*)()> calls = {
        {"attach", &WrongAnswers::attach},
        {"status", &WrongAnswers::status},
        {"resolve", &WrongAnswers::resolve},
        {"fetch", &WrongAnswers::fetch},
        {"layers", &WrongAnswers::layers},
        {"filesystem", &WrongAnswers::filesystem},
        {"create", &WrongAnswers::createPod},
        {"recover", &WrongAnswers::recover},
        {"start", &WrongAnswers::startContainer},
        {"stats", &WrongAnswers::stats},
        {"connect", &WrongAnswers::connectToPort},
        {"load", nullptr},
        {"examine", &WrongAnswers::examine},
        {"serves", &WrongAnswers::serves},
        {"apply", &WrongAnswers::apply},
        {"diff", &WrongAnswers::diff},
        {"verify", &WrongAnswers::verify},
        {"verify snapshot", &WrongAnswers::verifySnapshot},
        {"set aside", &WrongAnswers::setAside},
        {"checkpoint", &WrongAnswers::checkpoint},
        {"destroy", &WrongAnswers::destroy}};
    return (this->*calls.at(one().call))();
  }

 private:
  Network& network() { return **registry_->network("one"); }
  ImageSource& source() { return **registry_->imageSource("one"); }
  Snapshotter& snapshotter() { return **registry_->snapshotter("one"); }
  Runtime& runtime() { return **registry_->runtime("one"); }

  absl::Status examine() {
    std::vector<Finding> findings;
    return registry_->instances()[0]->examine(op_, findings);
  }
  absl::Status destroy() {
    registry_.reset();
    return absl::OkStatus();
  }
  absl::Status attach() { return network().attach(op_, {}).status(); }
  absl::Status status() { return network().status(op_); }
  absl::Status resolve() { return source().resolve(op_, {"a.example/app:1", nullptr}, 9).status(); }
  absl::Status fetch() {
    return source().fetch(op_, {"a.example/app:1", nullptr}, {}, 0,
                          [](std::string_view) { return absl::OkStatus(); });
  }
  absl::Status serves() {
    return source().serves("a.example/app:1") ? absl::OkStatus() : absl::NotFoundError("none");
  }
  absl::Status apply() {
    return snapshotter().applyLayer(op_, {}, [] { return std::string_view(); }).status();
  }
  absl::Status diff() {
    return snapshotter().diff(op_, "key", 0, [](std::string_view) { return absl::OkStatus(); });
  }
  absl::Status verify() { return snapshotter().verifyLayer(op_, {}, VerifyDepth::kQuick).status(); }
  absl::Status verifySnapshot() {
    return snapshotter().verifySnapshot(op_, "key", VerifyDepth::kQuick).status();
  }
  absl::Status setAside() { return snapshotter().setAside(op_).status(); }
  absl::Status checkpoint() { return runtime().checkCheckpoints(op_); }
  absl::Status layers() { return snapshotter().listLayers(op_).status(); }
  absl::Status filesystem() { return snapshotter().filesystem(op_).status(); }
  absl::Status createPod() { return runtime().createPod(op_, {}).status(); }
  absl::Status recover() { return runtime().recoverPod(op_, "pod-1", "/run", "").status; }
  absl::Status startContainer() { return runtime().startContainer(op_, "pod-1", "c").status(); }
  absl::Status stats() { return runtime().podStats(op_, "pod-1", 0).status(); }
  absl::Status connectToPort() { return runtime().connectPort(op_, "pod-1", 80).status(); }
};

TEST_P(WrongAnswers, AreTheFaultOfWhoGaveThem) {
  absl::Status ended = start(one().wrong);
  if (ended.ok()) ended = call();
  EXPECT_EQ(ended.code(), one().code) << ended;
  EXPECT_THAT(std::string(support::fromAbsl(ended.message())), HasSubstr(one().message));
  // Another one of that kind.
  ASSERT_TRUE(start("nothing").ok());
  if (std::string_view(one().call) == "load") return;
  const absl::Status fine = call();
  const bool gives =
      std::string_view(one().call) != "resolve" && std::string_view(one().call) != "connect";
  EXPECT_EQ(fine.ok(), gives) << fine;
}

constexpr absl::StatusCode kInternal = absl::StatusCode::kInternal;

std::vector<Case> exceptionsAndCodes() {
  std::vector<Case> all;
  const std::pair<Kind, std::vector<const char*>> calls[] = {
      {Kind::kNetwork, {"attach", "status"}},
      {Kind::kImageSource, {"resolve", "fetch"}},
      {Kind::kSnapshotter, {"layers", "filesystem"}},
      {Kind::kRuntime, {"create", "recover", "start", "stats", "connect"}}};
  for (const auto& [kind, names] : calls) {
    for (const char* name : names) {
      all.push_back({kind, name, "throw", kInternal, kThrew});
      all.push_back({kind, name, "code", kInternal, "plugin one returned the unknown code 4711"});
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(ExceptionsAndCodes, WrongAnswers,
                         ::testing::Combine(::testing::Bool(),
                                            ::testing::ValuesIn(exceptionsAndCodes())));

INSTANTIATE_TEST_SUITE_P(
    NothingGiven, WrongAnswers,
    ::testing::Combine(
        ::testing::Bool(),
        ::testing::Values(
            Case{Kind::kNetwork, "status", "credentials", absl::StatusCode::kInvalidArgument,
                 "plugin one failed without a message"},
            Case{Kind::kImageSource, "resolve", "struct", kInternal,
                 kSpoilt + "a struct that is NULL"},
            Case{Kind::kImageSource, "resolve", "nothing", kInternal,
                 "plugin one resolved a.example/app:1 without a result"},
            Case{Kind::kRuntime, "recover", "struct", kInternal, kSpoilt + "a struct that is NULL"},
            Case{Kind::kRuntime, "stats", "struct", kInternal, kSpoilt + "a struct that is NULL"},
            Case{Kind::kRuntime, "stats", "array", kInternal, kSpoilt + "an array that is NULL"},
            Case{Kind::kRuntime, "connect", "nothing", kInternal,
                 "plugin one connected to port 80 but gave no stream socket"},
            Case{Kind::kRuntime, "connect", "file", kInternal,
                 "plugin one connected to port 80 but gave no stream socket"})));

std::vector<Case> findings() {
  std::vector<Case> all;
  for (const char* call : {"examine", "verify", "verify snapshot", "set aside"}) {
    const Kind kind = std::string_view(call) == "examine" ? Kind::kNetwork : Kind::kSnapshotter;
    all.push_back({kind, call, "struct", kInternal, kSpoilt + "a struct that is NULL"});
    all.push_back({kind, call, "text", kInternal, kSpoilt + "a text of 18446744073709551615"});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Findings, WrongAnswers,
                         ::testing::Combine(::testing::Bool(), ::testing::ValuesIn(findings())));

INSTANTIATE_TEST_SUITE_P(
    Messages, WrongAnswers,
    ::testing::Combine(
        ::testing::Bool(),
        ::testing::Values(Case{Kind::kNetwork, "attach", "message", absl::StatusCode::kUnavailable,
                               "plugin one failed without a message"},
                          Case{Kind::kNetwork, "attach", "message utf8",
                               absl::StatusCode::kUnavailable,
                               "plugin one failed with what is not UTF-8: \uFFFD"})));

INSTANTIATE_TEST_SUITE_P(
    Pieces, WrongAnswers,
    ::testing::Combine(::testing::Bool(),
                       ::testing::Values(Case{Kind::kSnapshotter, "apply", "piece", kInternal,
                                              "plugin one failed"},
                                         Case{Kind::kSnapshotter, "diff", "endless data", kInternal,
                                              "plugin one failed"},
                                         Case{Kind::kImageSource, "fetch", "endless data",
                                              kInternal, "plugin one failed"})));

INSTANTIATE_TEST_SUITE_P(
    Sizes, WrongAnswers,
    ::testing::Combine(
        ::testing::Bool(),
        ::testing::Values(Case{Kind::kNetwork, "attach", "text", kInternal, kSpoilt},
                          Case{Kind::kNetwork, "attach", "result", kInternal, kSpoilt},
                          Case{Kind::kNetwork, "attach", "state", kInternal, kSpoilt},
                          Case{Kind::kImageSource, "resolve", "text", kInternal, kSpoilt},
                          Case{Kind::kImageSource, "resolve", "document", kInternal, kSpoilt},
                          Case{Kind::kSnapshotter, "layers", "text", kInternal, kSpoilt},
                          Case{Kind::kRuntime, "create", "text", kInternal, kSpoilt},
                          Case{Kind::kRuntime, "recover", "text", kInternal, kSpoilt},
                          Case{Kind::kRuntime, "stats", "text", kInternal, kSpoilt},
                          Case{Kind::kRuntime, "stats", "count", kInternal,
                               kSpoilt + "an array of 18446744073709551615 elements"},
                          Case{Kind::kRuntime, "stats", "element", kInternal,
                               kSpoilt + "an array of 2 elements of 0 bytes"},
                          Case{Kind::kRuntime, "stats", "large element", kInternal,
                               kSpoilt + "an array of 2 elements of 1099511627776 bytes"})));

INSTANTIATE_TEST_SUITE_P(
    Values, WrongAnswers,
    ::testing::Combine(
        ::testing::Bool(),
        ::testing::Values(
            Case{Kind::kNetwork, "attach", "name", kInternal,
                 kSpoilt + "\"localhost\" as an address"},
            Case{Kind::kNetwork, "attach", "line", kInternal,
                 kSpoilt + "\"192.0.2.1\\n192.0.2.2\" as an address"},
            Case{Kind::kNetwork, "attach", "nul", kInternal,
                 kSpoilt + "\"192.0.2.1\\000\\n192.0.2.2\" as an address"},
            Case{Kind::kRuntime, "recover", "state", kInternal,
                 kSpoilt + "a container in the unknown state 99"},
            Case{Kind::kRuntime, "start", "state", kInternal,
                 "plugin one: gave: a container in the unknown state -7"},
            Case{Kind::kRuntime, "create", "utf8", kInternal,
                 "plugin one gave a namespace a path that is not UTF-8"},
            Case{Kind::kSnapshotter, "load", "flags", kInternal, kThrew},
            Case{Kind::kRuntime, "load", "json", absl::StatusCode::kInvalidArgument,
                 "runtime one: parse features of one: "},
            Case{Kind::kRuntime, "load", "json array", absl::StatusCode::kInvalidArgument,
                 "runtime one: parse features of one: "},
            Case{Kind::kRuntime, "load", "json text", absl::StatusCode::kInvalidArgument,
                 "runtime one: parse features of one: "})));

// Bytes that are none, in the sinks of both kinds that have them.
INSTANTIATE_TEST_SUITE_P(
    InProcess, WrongAnswers,
    ::testing::Combine(
        ::testing::Values(false),
        ::testing::Values(Case{Kind::kImageSource, "fetch", "data",
                               absl::StatusCode::kInvalidArgument, "plugin one failed"},
                          Case{Kind::kSnapshotter, "filesystem", "data",
                               absl::StatusCode::kInvalidArgument, "plugin one failed"})));
INSTANTIATE_TEST_SUITE_P(
    Isolated, WrongAnswers,
    ::testing::Combine(::testing::Values(true),
                       ::testing::Values(Case{Kind::kImageSource, "fetch", "data", kInternal,
                                              "plugin one failed"},
                                         Case{Kind::kSnapshotter, "filesystem", "data", kInternal,
                                              "plugin one failed"})));

// What is borne: it stands for nothing, or for what is known of it.
class BorneAnswers : public WrongAnswers {};

TEST_P(BorneAnswers, DoNoHarm) {
  const absl::Status started = start(one().wrong);
  ASSERT_TRUE(started.ok()) << started;
  const absl::Status called = call();
  EXPECT_EQ(called.code(), one().code) << called;
  if (isolated() && registry_ != nullptr) {
    EXPECT_EQ(registry_->instances()[0]->process()->restarts, 0u);
  }
  if (one().message.empty()) return;
  EXPECT_THAT(host_.log(), Contains(HasSubstr(one().message)));
}

INSTANTIATE_TEST_SUITE_P(
    All, BorneAnswers,
    ::testing::Combine(
        ::testing::Bool(),
        ::testing::Values(
            Case{Kind::kNetwork, "attach", "no text", absl::StatusCode::kOk, ""},
            Case{Kind::kNetwork, "status", "fields", absl::StatusCode::kOk, "one: without fields"},
            Case{Kind::kNetwork, "status", "log", absl::StatusCode::kOk,
                 "one: the plugin calls log with a text of 18446744073709551615"},
            Case{Kind::kNetwork, "status", "event", absl::StatusCode::kOk,
                 "one: the plugin calls emit_event with a struct that is NULL"},
            Case{Kind::kNetwork, "status", "event text", absl::StatusCode::kOk,
                 "one: the plugin calls emit_event with a text of 1844674407370955"},
            Case{Kind::kNetwork, "attach", "stage", absl::StatusCode::kOk, ""},
            Case{Kind::kNetwork, "destroy", "destroy", absl::StatusCode::kOk, "destroy: " + kThrew},
            Case{Kind::kImageSource, "serves", "serves", absl::StatusCode::kNotFound,
                 "serves a.example/app:1: " + kThrew},
            Case{Kind::kRuntime, "checkpoint", "format", absl::StatusCode::kFailedPrecondition,
                 std::string(BERTH_EXTENSION_CHECKPOINT) + ": "},
            Case{Kind::kImageSource, "resolve", "size", absl::StatusCode::kOk, ""},
            Case{Kind::kSnapshotter, "layers", "utf8", absl::StatusCode::kOk, ""},
            Case{Kind::kSnapshotter, "filesystem", "size", absl::StatusCode::kOk, ""},
            Case{Kind::kRuntime, "recover", "size", absl::StatusCode::kOk, ""},
            Case{Kind::kRuntime, "stats", "extension", absl::StatusCode::kOk,
                 std::string("get_extension ") + BERTH_EXTENSION_PAUSE + ": " + kThrew})));

}  // namespace
}  // namespace berth::plugins
