// The client: with a server of the same library, and with peers that keep to no rule.
#include <future>
#include <sys/ioctl.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ttrpc_peer.hpp"

namespace berth::kata::ttrpc {
namespace {

using namespace std::chrono_literals;
using test::readFrom;
using test::sendTo;
using testing::HasSubstr;

constexpr Method kEcho{"test.Service", "Echo"};
constexpr Method kNever{"test.Service", "Never"};

// Echoes, fails with the code that is the payload, or keeps the request.
struct Peer {
  test::Folder folder;
  std::vector<Responder> kept;
  std::vector<Request> seen;
  test::ServerThread server{
      folder / "s", [this](const Request& request, Responder responder) {
        seen.push_back(request);
        if (request.method == "Never") return kept.push_back(responder);
        if (request.method == "Fail") {
          return responder.answer({std::stoi(request.payload), "told so", {}});
        }
        responder.answer({0, {}, request.payload});
      }};
  std::shared_ptr<Client> client = *Client::connect("unix://" + (folder / "s"), limitsFor(10s));
};

TEST(Client, GetsItsResponse) {
  Peer peer;
  const auto answer = peer.client->call(kEcho, "hello", limitsFor(10s));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(*answer, "hello");
  EXPECT_EQ(peer.seen.at(0).service, "test.Service");
  EXPECT_GT(peer.seen.at(0).timeoutNs, 1'000'000'000);
  EXPECT_LE(peer.seen.at(0).timeoutNs, 10'000'000'000);
  EXPECT_EQ(*peer.client->call(kEcho, "", {}), "");
  EXPECT_EQ(peer.seen.at(1).timeoutNs, 0) << "without a deadline there is none to tell";
}

TEST(Client, GetsTheServersStatus) {
  Peer peer;
  for (const int code : {2, 5, 6, 12, 14}) {
    const auto answer = peer.client->call({"s", "Fail"}, std::to_string(code), limitsFor(10s));
    EXPECT_EQ(static_cast<int>(answer.status().code()), code);
    EXPECT_THAT(std::string(answer.status().message()), HasSubstr("told so"));
  }
  // No code of gRPC's.
  EXPECT_TRUE(absl::IsUnknown(peer.client->call({"s", "Fail"}, "99", limitsFor(10s)).status()));
}

TEST(Client, MakesManyCallsAtOnce) {
  Peer peer;
  std::vector<std::future<int>> callers;
  for (int caller = 0; caller < 8; ++caller) {
    callers.push_back(std::async(std::launch::async, [&peer, caller] {
      int right = 0;
      for (int i = 0; i < 200; ++i) {
        const std::string text = std::to_string(caller) + "." + std::to_string(i);
        const auto answer = peer.client->call(kEcho, text, limitsFor(30s));
        right += answer.ok() && *answer == text ? 1 : 0;
      }
      return right;
    }));
  }
  for (auto& caller : callers) EXPECT_EQ(caller.get(), 200);
}

TEST(Client, TakesResponsesInAnyOrder) {
  Peer peer;
  std::promise<std::string> first;
  peer.client->begin(kNever, "", limitsFor(10s),
                     [&](absl::StatusOr<std::string> answer) { first.set_value(*answer); });
  EXPECT_EQ(*peer.client->call(kEcho, "second", limitsFor(10s)), "second");
  peer.server.run([&] { peer.kept.at(0).answer({0, {}, "first"}); });
  EXPECT_EQ(first.get_future().get(), "first");
}

TEST(Client, EndsCallsAtTheirLimits) {
  Peer peer;
  EXPECT_TRUE(absl::IsDeadlineExceeded(peer.client->call(kNever, "", limitsFor(20ms)).status()));
  support::Fd cancel(::eventfd(1, EFD_CLOEXEC));
  const auto cancelled = peer.client->call(kNever, "", {.cancelFd = cancel.get()});
  EXPECT_TRUE(absl::IsCancelled(cancelled.status()));
  // Late responses are nobody's, and the connection goes on.
  peer.server.run([&] {
    for (const Responder& responder : peer.kept) responder.answer({0, {}, "late"});
  });
  EXPECT_EQ(*peer.client->call(kEcho, "on time", limitsFor(10s)), "on time");
}

TEST(Client, RefusesWhatNoFrameCarries) {
  Peer peer;
  const auto answer = peer.client->call(kEcho, std::string(kMaxData + 1, 'x'), limitsFor(10s));
  EXPECT_TRUE(absl::IsResourceExhausted(answer.status()));
  const std::string much(kMaxData - 100, 'x');
  const auto most = peer.client->call(kEcho, much, limitsFor(30s));
  ASSERT_TRUE(most.ok()) << most.status();
  EXPECT_EQ(*most, much);
}

TEST(Client, IsToldThatNobodyServes) {
  test::Folder folder;
  EXPECT_TRUE(absl::IsNotFound(Client::connect(folder / "none", {}).status()));
  { test::listenAt(folder / "stale"); }
  EXPECT_TRUE(absl::IsUnavailable(Client::connect(folder / "stale", {}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Client::connect("tcp://x", {}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Client::connect("/" + std::string(200, 'x'), {}).status()));
}

TEST(Client, ConnectsToAbstractNames) {
  support::Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = "ttrpc-test-" + std::to_string(::getpid());
  name.copy(address.sun_path + 1, name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_TRUE(Client::connect("unix://@" + name, limitsFor(10s)).ok());
}

TEST(Client, WaitsForAQueueThatIsFull) {
  test::Folder folder;
  const support::Fd listener = test::listenAt(folder / "s");
  ::listen(listener.get(), 0);
  std::vector<std::shared_ptr<Client>> clients;
  absl::Status last;
  while (last.ok() && clients.size() < 64) {
    auto client = Client::connect(folder / "s", limitsFor(20ms));
    last = client.status();
    if (client.ok()) clients.push_back(*client);
  }
  EXPECT_TRUE(absl::IsDeadlineExceeded(last)) << last;
}

// A server of a few lines, for what the library's own never does.
struct RawPeer {
  explicit RawPeer(std::function<void()> onBroken = nullptr) {
    client = *Client::connect(folder / "s", limitsFor(10s), std::move(onBroken));
    socket.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }
  std::future<absl::StatusOr<std::string>> call() {
    return std::async(std::launch::async,
                      [this] { return client->call(kEcho, "", limitsFor(10s)); });
  }
  // The stream of the next request.
  uint32_t receive() {
    const FrameHeader header = decodeHeader(readFrom(socket, kHeaderSize));
    EXPECT_EQ(header.type, FrameType::kRequest);
    readFrom(socket, header.length);
    return header.stream;
  }

  test::Folder folder;
  support::Fd listener = test::listenAt(folder / "s");
  std::shared_ptr<Client> client;
  support::Fd socket;
};

TEST(Client, NumbersStreamsOddAndRising) {
  RawPeer peer;
  for (uint32_t stream = 1; stream < 9; stream += 2) {
    auto answer = peer.call();
    EXPECT_EQ(peer.receive(), stream);
    sendTo(peer.socket, encodeFrame(stream, FrameType::kResponse, ""));
    EXPECT_TRUE(answer.get().ok()) << "a frame without data is an empty success";
  }
}

TEST(Client, SkipsFramesThatAreNotForIt) {
  RawPeer peer;
  auto answer = peer.call();
  const uint32_t stream = peer.receive();
  const std::string good = encode(Response{0, {}, "good"});
  sendTo(peer.socket, encodeFrame(stream + 2, FrameType::kResponse, good) +
                          encodeFrame(stream, FrameType::kData, "data") +
                          encodeFrame(stream, static_cast<FrameType>(77), "what") +
                          encodeFrame(stream, FrameType::kResponse, good));
  EXPECT_EQ(*answer.get(), "good");
}

TEST(Client, SurvivesBadResponses) {
  RawPeer peer;
  auto malformed = peer.call();
  sendTo(peer.socket, encodeFrame(peer.receive(), FrameType::kResponse, "\x0a\x7f"));
  EXPECT_TRUE(absl::IsInternal(malformed.get().status()));
  auto large = peer.call();
  sendTo(peer.socket,
         encodeFrame(peer.receive(), FrameType::kResponse, std::string(kMaxData + 1, 'x')));
  EXPECT_TRUE(absl::IsResourceExhausted(large.get().status()));
  auto good = peer.call();
  sendTo(peer.socket, encodeFrame(peer.receive(), FrameType::kResponse, ""));
  EXPECT_TRUE(good.get().ok());
}

TEST(Client, TellsThatTheConnectionBroke) {
  std::promise<void> told;
  RawPeer peer([&] { told.set_value(); });
  auto waiting = peer.call();
  peer.receive();
  // In the midst of a response.
  sendTo(peer.socket, std::string("\0\0\0\x09\0\0\0\x01\x02\0abc", 13));
  peer.socket.reset();
  EXPECT_TRUE(absl::IsUnavailable(waiting.get().status()));
  EXPECT_EQ(told.get_future().wait_for(10s), std::future_status::ready);
  EXPECT_TRUE(peer.client->isBroken());
  EXPECT_TRUE(absl::IsUnavailable(peer.client->call(kEcho, "", {}).status()));
}

TEST(Client, DoesNotTellOfItsOwnHangingUp) {
  bool told = false;
  RawPeer peer([&] { told = true; });
  absl::Status status;
  peer.client->begin(kEcho, "", {},
                     [&](const absl::StatusOr<std::string>& answer) { status = answer.status(); });
  peer.client->close();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_FALSE(told);
  EXPECT_EQ(readFrom(peer.socket).size(),
            kHeaderSize + encode(Request{"test.Service", "Echo"}).size());
}

TEST(Client, GivesUpAPeerThatDoesNotRead) {
  RawPeer peer;
  absl::Status status;
  // More than a socket holds.
  for (int i = 0; i < 8 && !absl::IsDeadlineExceeded(status); ++i) {
    status = peer.client->call(kEcho, std::string(kMaxData / 2, 'x'), limitsFor(50ms)).status();
  }
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  // Half a frame is in it: nothing can follow.
  EXPECT_TRUE(absl::IsUnavailable(peer.client->call(kEcho, "", limitsFor(10s)).status()));
}

TEST(Client, WaitsForAnothersRequestNoLongerThanItMay) {
  RawPeer peer;
  auto large = std::async(std::launch::async, [&] {
    return peer.client->call(kEcho, std::string(kMaxData / 2, 'x'), limitsFor(30s)).status();
  });
  int queued = 0;
  while (queued == 0) ASSERT_EQ(::ioctl(peer.socket.get(), FIONREAD, &queued), 0);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(absl::IsDeadlineExceeded(peer.client->call(kEcho, "", limitsFor(50ms)).status()));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 20s);
  peer.socket.reset();
  EXPECT_TRUE(absl::IsUnavailable(large.get()));
}

}  // namespace
}  // namespace berth::kata::ttrpc
