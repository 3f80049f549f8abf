// Blobs over connections that break, stall and lie.
#include <atomic>
#include <future>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "content_helpers.hpp"
#include "plugin_under_test.hpp"
#include "scripted_server.hpp"

namespace berth::registry_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using Clock = std::chrono::steady_clock;

class Transfer : public testing::Test {
 protected:
  const std::string blob_ = noise(300'000, 1);
  const TestDescriptor wanted_ = describe(blob_);
};

TEST_F(Transfer, WholeWithProgress) {
  ScriptedServer server([&](const Received& request) { return blobReply(blob_, request); });
  PluginUnderTest plugin;
  TestOp op;
  const Outcome outcome = plugin.fetch(op, server.host() + "/a/b:1", wanted_, 0, {});
  ASSERT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_EQ(outcome.bytes, blob_);
  EXPECT_EQ(op.done(), blob_.size());
  EXPECT_EQ(server.requests().at(0).path, "/v2/a/b/blobs/" + wanted_.digest);
  EXPECT_THAT(op.stages(), testing::Contains(HasSubstr("fetch " + wanted_.digest)));
}

TEST_F(Transfer, FromAnOffset) {
  ScriptedServer server([&](const Received& request) { return blobReply(blob_, request); });
  PluginUnderTest plugin;
  const Outcome outcome = plugin.fetch(server.host() + "/a:1", wanted_, 1000);
  ASSERT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_EQ(outcome.bytes, blob_.substr(1000));
  EXPECT_EQ(server.requests().at(0).header("range"), "bytes=1000-");
  EXPECT_TRUE(plugin.fetch(server.host() + "/a:1", wanted_, blob_.size()).ok());
  EXPECT_EQ(plugin.fetch(server.host() + "/a:1", wanted_, blob_.size() + 1).code,
            BERTH_OUT_OF_RANGE);
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(Transfer, RangeIgnored) {
  ScriptedServer server([&](const Received&) { return blobReply(blob_, {}); });
  PluginUnderTest plugin;
  const Outcome outcome = plugin.fetch(server.host() + "/a:1", wanted_, 123'456);
  ASSERT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_EQ(outcome.bytes, blob_.substr(123'456));
}

TEST_F(Transfer, WrongRangeIsRefused) {
  ScriptedServer server([&](const Received& request) {
    Reply reply = blobReply(blob_, request);
    reply.headers.back().second = "bytes 0-299999/300000";
    return reply;
  });
  const Outcome outcome = PluginUnderTest().fetch(server.host() + "/a:1", wanted_, 1000);
  EXPECT_EQ(outcome.code, BERTH_DATA_LOSS);
  EXPECT_EQ(outcome.bytes, "");
}

TEST_F(Transfer, ClosedConnectionsAreResumed) {
  int asked = 0;
  ScriptedServer server([&](const Received& request) {
    Reply reply = blobReply(blob_, request);
    if (asked++ < 2) {
      reply.cut = 100'000;
      reply.ending = Reply::Ending::kClose;
    }
    return reply;
  });
  PluginUnderTest plugin;
  const Outcome outcome = plugin.fetch(server.host() + "/a:1", wanted_);
  ASSERT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_EQ(outcome.bytes, blob_);
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[1].header("range"), "bytes=100000-");
  EXPECT_EQ(requests[2].header("range"), "bytes=200000-");
}

TEST_F(Transfer, ShortIsUnavailableWithWhatCame) {
  ScriptedServer server([&](const Received& request) {
    if (!request.header("range").empty()) return statusReply(503);
    Reply reply = blobReply(blob_, request);
    reply.declaredLength = Reply::kUndeclared;
    reply.cut = 5'000;
    reply.ending = Reply::Ending::kClose;
    return reply;
  });
  PluginUnderTest plugin(R"({"retries": 1})");
  const Outcome outcome = plugin.fetch(server.host() + "/a:1", wanted_);
  EXPECT_EQ(outcome.code, BERTH_UNAVAILABLE);
  EXPECT_EQ(outcome.bytes, blob_.substr(0, 5'000));
  EXPECT_THAT(outcome.message, HasSubstr("ended after 5000 of 300000 bytes"));
}

TEST_F(Transfer, TooLongNeverPassesTheSize) {
  for (const bool declared : {true, false}) {
    ScriptedServer server([&](const Received&) {
      Reply reply{.body = blob_ + "more"};
      if (!declared) reply.declaredLength = Reply::kUndeclared;
      return reply;
    });
    const Outcome outcome = PluginUnderTest().fetch(server.host() + "/a:1", wanted_);
    EXPECT_EQ(outcome.code, BERTH_DATA_LOSS) << outcome.message;
    EXPECT_LE(outcome.bytes.size(), blob_.size());
    if (declared) {
      EXPECT_EQ(outcome.bytes, "");
    }
  }
}

TEST_F(Transfer, StallsAreGivenUp) {
  ScriptedServer server([&](const Received& request) {
    Reply reply = blobReply(blob_, request);
    reply.cut = 7'000;
    reply.ending = Reply::Ending::kStall;
    return reply;
  });
  PluginUnderTest plugin(R"({"stall_seconds": 1, "retries": 0})");
  const auto start = Clock::now();
  const Outcome outcome = plugin.fetch(server.host() + "/a:1", wanted_);
  EXPECT_EQ(outcome.code, BERTH_UNAVAILABLE);
  EXPECT_EQ(outcome.bytes, blob_.substr(0, 7'000));
  EXPECT_THAT(outcome.message, HasSubstr("sent nothing for 1 s"));
  EXPECT_LT(Clock::now() - start, seconds(10));
}

// Never silent, and never done.
TEST_F(Transfer, TooLittleIsGivenUpWhereThatIsConfigured) {
  const std::string tail = blob_.substr(0, 7'016);
  ScriptedServer server([&](const Received& request) {
    Reply reply = blobReply(tail, request);
    reply.cut = 7'000;
    reply.ending = Reply::Ending::kDrip;
    return reply;
  });
  PluginUnderTest patient(R"({"stall_seconds": 1, "retries": 0})");
  const Outcome whole = patient.fetch(server.host() + "/a:1", describe(tail));
  EXPECT_TRUE(whole.ok()) << whole.message;
  // What it sent at once counts for the first second.
  PluginUnderTest plugin(
      R"({"stall_seconds": 1, "retries": 0, "min_throughput_bytes_per_second": 8000})");
  const auto start = Clock::now();
  const Outcome outcome = plugin.fetch(server.host() + "/a:1", describe(tail));
  EXPECT_EQ(outcome.code, BERTH_UNAVAILABLE);
  EXPECT_THAT(outcome.message,
              testing::ContainsRegex("the server sent only 7[01][0-9][0-9] bytes"));
  EXPECT_THAT(outcome.message, HasSubstr("at least 8000 bytes per second are expected"));
  EXPECT_GE(Clock::now() - start, milliseconds(900));
}

// The host's slowness is not the server's: the sink blocks for longer than a server may be silent.
TEST_F(Transfer, ASlowSinkIsNoStall) {
  ScriptedServer server([&](const Received& request) { return blobReply(blob_, request); });
  PluginUnderTest plugin(R"({"stall_seconds": 1, "retries": 0})");
  std::atomic<bool> first = true;
  plugin.onPiece = [&](const std::string&) -> berth_code {
    if (first.exchange(false)) std::this_thread::sleep_for(milliseconds(1500));
    return BERTH_OK;
  };
  const Outcome outcome = plugin.fetch(server.host() + "/a:1", wanted_);
  EXPECT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_EQ(outcome.bytes, blob_);
}

TEST_F(Transfer, CancellationEndsAStall) {
  std::promise<void> stalled;
  ScriptedServer server([&](const Received& request) {
    Reply reply = blobReply(blob_, request);
    reply.cut = 7'000;
    reply.ending = Reply::Ending::kStall;
    return reply;
  });
  PluginUnderTest plugin;
  plugin.onPiece = [&, once = std::make_shared<std::once_flag>()](const std::string&) {
    std::call_once(*once, [&] { stalled.set_value(); });
    return static_cast<berth_code>(BERTH_OK);
  };
  TestOp op;
  auto call = std::async(std::launch::async,
                         [&] { return plugin.fetch(op, server.host() + "/a:1", wanted_, 0, {}); });
  stalled.get_future().wait();
  const auto start = Clock::now();
  op.cancel();
  EXPECT_EQ(call.get().code, BERTH_CANCELLED);
  EXPECT_LT(Clock::now() - start, seconds(1));
}

TEST_F(Transfer, CancellationEndsABackOff) {
  std::promise<void> asked;
  ScriptedServer server([&](const Received&) {
    asked.set_value();
    Reply reply = statusReply(503);
    reply.headers.emplace_back("Retry-After", "40");
    return reply;
  });
  PluginUnderTest plugin;
  TestOp op;
  auto call = std::async(std::launch::async,
                         [&] { return plugin.fetch(op, server.host() + "/a:1", wanted_, 0, {}); });
  asked.get_future().wait();
  const auto start = Clock::now();
  op.cancel();
  EXPECT_EQ(call.get().code, BERTH_CANCELLED);
  EXPECT_LT(Clock::now() - start, seconds(1));
}

TEST_F(Transfer, TheDeadlineEndsAStall) {
  ScriptedServer server([&](const Received& request) {
    Reply reply = blobReply(blob_, request);
    reply.cut = 0;
    reply.ending = Reply::Ending::kStall;
    return reply;
  });
  PluginUnderTest plugin;
  const auto start = Clock::now();
  const Outcome outcome =
      plugin.fetch(TestOp(milliseconds(700)), server.host() + "/a:1", wanted_, 0, {});
  EXPECT_EQ(outcome.code, BERTH_DEADLINE_EXCEEDED);
  EXPECT_LT(Clock::now() - start, milliseconds(1700));
}

TEST_F(Transfer, TheSinksCodeEndsTheCall) {
  ScriptedServer server([&](const Received& request) { return blobReply(blob_, request); });
  PluginUnderTest plugin;
  plugin.onPiece = [](const std::string&) -> berth_code { return BERTH_RESOURCE_EXHAUSTED; };
  EXPECT_EQ(plugin.fetch(server.host() + "/a:1", wanted_).code, BERTH_RESOURCE_EXHAUSTED);
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(Transfer, ManifestsAreFetchedByTheirTypeAndVerified) {
  const std::string document = manifest("one");
  std::string served = document;
  ScriptedServer server([&](const Received&) { return manifestReply(served); });
  PluginUnderTest plugin;
  const TestDescriptor wanted = describe(document, kManifestType);
  const Outcome outcome = plugin.fetch(server.host() + "/a:1", wanted, 3);
  ASSERT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_EQ(outcome.bytes, document.substr(3));
  EXPECT_EQ(server.requests().at(0).path, "/v2/a/manifests/" + wanted.digest);
  served.back() = ' ';
  EXPECT_EQ(plugin.fetch(server.host() + "/a:1", wanted).code, BERTH_DATA_LOSS);
}

TEST_F(Transfer, UrlsOfTheDescriptorAreTheLastResort) {
  ScriptedServer elsewhere([&](const Received& request) { return blobReply(blob_, request); });
  ScriptedServer server([&](const Received&) { return statusReply(404); });
  PluginUnderTest plugin;
  TestDescriptor foreign = wanted_;
  foreign.urls = {"ftp://nowhere/", elsewhere.origin() + "/layer?sig=secret"};
  const Outcome outcome = plugin.fetch(server.host() + "/a:1", foreign);
  ASSERT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_EQ(outcome.bytes, blob_);
  EXPECT_EQ(elsewhere.requests().at(0).query, "sig=secret");
}

TEST_F(Transfer, ManyAtOnce) {
  ScriptedServer server([&](const Received& request) { return blobReply(blob_, request); });
  PluginUnderTest plugin;
  std::vector<std::future<Outcome>> calls;
  for (int i = 0; i < 16; ++i)
    calls.push_back(std::async(std::launch::async,
                               [&] { return plugin.fetch(server.host() + "/a:1", wanted_); }));
  for (auto& call : calls) {
    const Outcome outcome = call.get();
    EXPECT_TRUE(outcome.ok()) << outcome.message;
    EXPECT_EQ(outcome.bytes, blob_);
  }
}

}  // namespace
}  // namespace berth::registry_test
