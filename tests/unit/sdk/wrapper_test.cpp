// The C++ wrapper, called through the C tables as a host calls it.
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "berth/extensions.h"
#include "berth/image_source.hpp"
#include "berth/network.hpp"
#include "berth/runtime.hpp"
#include "berth/snapshotter.hpp"
#include "berth/support/status.hpp"

namespace berth {
namespace {

enum class Behaviour { kSucceed, kFail, kThrow, kThrowNoException, kThrowBadAlloc };

class Net : public Network {
 public:
  using Network::Network;
  Status configure(std::string_view options) override {
    configured = options;
    return act();
  }
  Status attach(const Op& /*op*/, const NetworkRequest& request, NetworkResult& out) override {
    servers.assign(request.dnsServers.begin(), request.dnsServers.end());
    out = {{"192.0.2.7", "2001:db8::7"}, "{}", "kept"};
    return act();
  }
  Status detach(const Op&, const NetworkRequest&, std::string_view state) override {
    detached = state;
    return act();
  }
  Status check(const Op&, const NetworkRequest&, std::string_view) override { return act(); }
  Status status(const Op&) override {
    return absl::UnavailableError("no configuration in /etc/cni/net.d");
  }
  Status gc(const Op&, const std::vector<Attachment>& attachments) override {
    for (const Attachment& one : attachments) wanted.push_back(std::string(one.pod));
    return act();
  }
  Status setPodCidr(const Op&, std::string_view) override { return act(); }

  Status act() const {
    switch (behaviour) {
      case Behaviour::kSucceed:
        return {};
      case Behaviour::kFail:
        return Status(BERTH_NOT_FOUND, "attach pod-1: no network is configured");
      case Behaviour::kThrow:
        throw std::runtime_error("thrown by the plugin");
      case Behaviour::kThrowNoException:
        throw 7;
      case Behaviour::kThrowBadAlloc:
        throw std::bad_alloc();
    }
    return {};
  }

  Behaviour behaviour = Behaviour::kSucceed;
  std::string configured, detached;
  std::vector<std::string> servers, wanted;
};

struct Result {
  std::vector<std::string> addresses;
  std::string json, state;

  berth_network_builder builder{sizeof(berth_network_builder), this,
                                [](berth_network_builder* b, berth_str address) {
                                  static_cast<Result*>(b->host)->addresses.push_back(copy(address));
                                },
                                [](berth_network_builder* b, berth_str text) {
                                  static_cast<Result*>(b->host)->json = copy(text);
                                },
                                [](berth_network_builder* b, berth_bytes bytes) {
                                  static_cast<Result*>(b->host)->state = view(bytes);
                                }};
};

class WrapperTest : public ::testing::Test {
 protected:
  berth_host host_{};
  Net net_{Host(&host_)};
  const berth_network& table_ = *Network::functions();
  detail::ErrorSlot error_;
  berth_network_request request_{};

  void* instance() { return static_cast<Network*>(&net_); }
  Status attach(Result& result) {
    request_.size = sizeof request_;
    return error_.status(
        table_.attach(instance(), nullptr, &request_, &result.builder, error_.get()));
  }
};

TEST_F(WrapperTest, ResultsLeaveThroughTheBuilder) {
  const berth_str servers[] = {str("192.0.2.53"), str("192.0.2.54")};
  request_.dns_servers = servers;
  request_.dns_server_count = 2;
  Result result;
  ASSERT_TRUE(attach(result).ok());
  EXPECT_EQ(result.addresses, (std::vector<std::string>{"192.0.2.7", "2001:db8::7"}));
  EXPECT_EQ(result.json, "{}");
  EXPECT_EQ(result.state, "kept");
  EXPECT_EQ(net_.servers, (std::vector<std::string>{"192.0.2.53", "192.0.2.54"}));
}

TEST_F(WrapperTest, FailuresCrossWithCodeAndMessageAndWithoutAResult) {
  net_.behaviour = Behaviour::kFail;
  Result result;
  const Status status = attach(result);
  EXPECT_EQ(status.code(), BERTH_NOT_FOUND);
  EXPECT_EQ(status.message(), "attach pod-1: no network is configured");
  EXPECT_TRUE(result.addresses.empty());
}

TEST_F(WrapperTest, ExceptionsBecomeInternalWithTheirText) {
  net_.behaviour = Behaviour::kThrow;
  Result result;
  const Status status = attach(result);
  EXPECT_EQ(status.code(), BERTH_INTERNAL);
  EXPECT_EQ(status.message(), "thrown by the plugin");
}

TEST_F(WrapperTest, WhatIsNoExceptionDoesNotCrossEither) {
  net_.behaviour = Behaviour::kThrowNoException;
  Result result;
  const Status status = attach(result);
  EXPECT_EQ(status.code(), BERTH_INTERNAL);
  EXPECT_FALSE(status.message().empty());
}

TEST_F(WrapperTest, OutOfMemoryIsResourceExhausted) {
  net_.behaviour = Behaviour::kThrowBadAlloc;
  Result result;
  EXPECT_EQ(attach(result).code(), BERTH_RESOURCE_EXHAUSTED);
}

TEST_F(WrapperTest, AFailureWithoutAnErrorArgumentStillHasItsCode) {
  net_.behaviour = Behaviour::kFail;
  EXPECT_EQ(table_.set_pod_cidr(instance(), nullptr, str("10.0.0.0/24"), nullptr), BERTH_NOT_FOUND);
}

TEST_F(WrapperTest, AbslStatusesConvert) {
  const Status status = error_.status(table_.status(instance(), nullptr, error_.get()));
  EXPECT_EQ(status.code(), BERTH_UNAVAILABLE);
  EXPECT_EQ(status.message(), "no configuration in /etc/cni/net.d");
  EXPECT_TRUE(Status(absl::OkStatus()).ok());
}

TEST_F(WrapperTest, AttachmentsOfANewerHostAreReadByItsSteps) {
  struct Future {
    berth_attachment now;
    uint64_t added;
  };
  const Future attachments[] = {{{sizeof(Future), str("pod-1"), bytes("a")}, 1},
                                {{sizeof(Future), str("pod-2"), bytes("b")}, 2}};
  ASSERT_EQ(table_.gc(instance(), nullptr, &attachments[0].now, 2, error_.get()), BERTH_OK);
  EXPECT_EQ(net_.wanted, (std::vector<std::string>{"pod-1", "pod-2"}));
}

TEST_F(WrapperTest, AShorterRequestOfAnOlderHostReadsAsNotGiven) {
  request_.size = offsetof(berth_network_request, dns_servers);
  // NOLINTNEXTLINE(performance-no-int-to-ptr): it must not be followed.
  request_.dns_servers = reinterpret_cast<const berth_str*>(uintptr_t{8});
  request_.dns_server_count = 3;
  Result result;
  ASSERT_EQ(table_.attach(instance(), nullptr, &request_, &result.builder, error_.get()), BERTH_OK);
  EXPECT_TRUE(net_.servers.empty());
}

TEST_F(WrapperTest, DescriptionFillsInEverythingMandatory) {
  const berth_plugin plugin = detail::describe<Net>({.name = "net",
                                                     .version = "1.2.3",
                                                     .summary = "for the test",
                                                     .threading = BERTH_THREADING_PER_OBJECT,
                                                     .options = "[]"});
  EXPECT_EQ(plugin.size, sizeof plugin);
  EXPECT_EQ(plugin.abi_major, BERTH_ABI_MAJOR);
  EXPECT_EQ(plugin.abi_minor, BERTH_ABI_MINOR);
  EXPECT_EQ(plugin.threading, BERTH_THREADING_PER_OBJECT);
  EXPECT_EQ(view(plugin.interface_id), BERTH_NETWORK_INTERFACE);
  EXPECT_EQ(plugin.functions, Network::functions());
  void* instance = nullptr;
  const berth_code made = plugin.create(&host_, &instance, nullptr);
  const std::unique_ptr<void, decltype(plugin.destroy)> owned(instance, plugin.destroy);
  ASSERT_EQ(made, BERTH_OK);
  EXPECT_EQ(plugin.configure(instance, str("{\"a\":1}"), nullptr), BERTH_OK);
  EXPECT_EQ(static_cast<Net*>(static_cast<Network*>(instance))->configured, "{\"a\":1}");
  EXPECT_EQ(plugin.get_extension(instance, str(BERTH_EXTENSION_PAUSE), 1), nullptr);
}

// Every function of every kind's table is filled in: a wrapped plugin lacks nothing.
template <class Table>
void expectFull(const Table& table) {
  EXPECT_EQ(table.size, sizeof table);
  const auto* words = reinterpret_cast<void* const*>(&table);
  for (size_t i = 1; i < sizeof table / sizeof(void*); ++i) {
    EXPECT_NE(words[i], nullptr) << "function " << i;
  }
}

TEST(WrapperTables, AreFull) {
  expectFull(*Network::functions());
  expectFull(*Snapshotter::functions());
  expectFull(*ImageSource::functions());
  expectFull(*Runtime::functions());
}

TEST(Strings, NotGivenIsEmpty) {
  EXPECT_TRUE(view(berth_str{nullptr, 5}).empty());
  EXPECT_TRUE(view(berth_bytes{nullptr, 5}).empty());
  EXPECT_EQ(view(berth_str BERTH_STR_INIT("abc")), "abc");
}

TEST(Fail, CopesWithoutAnErrorArgument) {
  berth_error silent{sizeof silent, nullptr, nullptr};
  EXPECT_EQ(berth_fail(nullptr, BERTH_ABORTED, str("x")), BERTH_ABORTED);
  EXPECT_EQ(berth_fail(&silent, BERTH_ABORTED, str("x")), BERTH_ABORTED);
}

}  // namespace
}  // namespace berth
