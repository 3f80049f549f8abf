#include "streaming/request.hpp"

#include <optional>

#include <boost/beast/http/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/status.hpp"

namespace berth::streaming {
namespace {

namespace http = boost::beast::http;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using ErrorStream = CommandProtocol::ErrorStream;
using Resize = CommandProtocol::Resize;
using Header = std::pair<std::string, std::string>;

class ReadRequestTest : public testing::Test {
 protected:
  ReadRequestTest() {
    command = add(runtime::v1::ExecRequest());
    runtime::v1::PortForwardRequest ports;
    ports.add_port(80);
    forward = add(ports);
    anyPorts = add(runtime::v1::PortForwardRequest());
  }
  std::string add(StreamRequest request) {
    const std::string path = std::string(pathOf(request));
    return support::strCat("/", path, "/", tokens.add(std::move(request)).value_or(""));
  }
  static HttpRequest plain(const std::string& target, http::verb verb = http::verb::get) {
    HttpRequest request(verb, target, 11);
    request.set(http::field::host, "node");
    return request;
  }
  static HttpRequest spdy(const std::string& target, const std::vector<std::string>& versions) {
    HttpRequest request = plain(target, http::verb::post);
    request.set(http::field::connection, "Upgrade");
    request.set(http::field::upgrade, "SPDY/3.1");
    for (const std::string& each : versions) request.insert("X-Stream-Protocol-Version", each);
    return request;
  }
  static HttpRequest webSocket(const std::string& target,
                               const std::vector<std::string>& protocols) {
    HttpRequest request = plain(target);
    request.set(http::field::connection, "keep-alive, Upgrade");
    request.set(http::field::upgrade, "websocket");
    request.set(http::field::sec_websocket_version, "13");
    request.set(http::field::sec_websocket_key, "dGhlIHNhbXBsZSBub25jZQ==");
    for (const std::string& each : protocols) {
      request.insert(http::field::sec_websocket_protocol, each);
    }
    return request;
  }
  Upgrade accepted(const HttpRequest& request) {
    auto read = readRequest(request, tokens);
    if (auto* upgrade = std::get_if<Upgrade>(&read)) return std::move(*upgrade);
    ADD_FAILURE() << "refused: " << std::get<Refusal>(read).reason;
    return {};
  }
  Refusal refused(const HttpRequest& request) {
    auto read = readRequest(request, tokens);
    if (auto* refusal = std::get_if<Refusal>(&read)) return std::move(*refusal);
    ADD_FAILURE() << "accepted as \"" << std::get<Upgrade>(read).subprotocol << '"';
    return {};
  }

  Tokens tokens{std::chrono::seconds(60)};
  std::string command;
  std::string forward;
  std::string anyPorts;
};

TEST_F(ReadRequestTest, VersionsOfCommandsOverSpdy) {
  struct Case {
    std::vector<std::string> wanted;
    std::string chosen;
    ErrorStream errorStream;
    Resize resize;
  };
  const Case cases[] = {
      {{"v4.channel.k8s.io"}, "v4.channel.k8s.io", ErrorStream::kJson, Resize::kStream},
      {{"v3.channel.k8s.io"}, "v3.channel.k8s.io", ErrorStream::kText, Resize::kStream},
      {{"v2.channel.k8s.io"}, "v2.channel.k8s.io", ErrorStream::kText, Resize::kNone},
      {{"channel.k8s.io"}, "channel.k8s.io", ErrorStream::kText, Resize::kNone},
      {{}, "", ErrorStream::kText, Resize::kNone},
      // The client's order counts; unknown ones are passed over; lists and lines are the same.
      {{"v9.channel.k8s.io", "v2.channel.k8s.io", "v4.channel.k8s.io"},
       "v2.channel.k8s.io",
       ErrorStream::kText,
       Resize::kNone},
      {{"v9.channel.k8s.io ,\tv4.channel.k8s.io"},
       "v4.channel.k8s.io",
       ErrorStream::kJson,
       Resize::kStream},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(testing::PrintToString(each.wanted));
    const Upgrade upgrade = accepted(spdy(command, each.wanted));
    EXPECT_EQ(upgrade.carrier, Carrier::kSpdy);
    EXPECT_EQ(upgrade.subprotocol, each.chosen);
    EXPECT_EQ(upgrade.command.errorStream, each.errorStream);
    EXPECT_EQ(upgrade.command.resize, each.resize);
    const HttpResponse answer = spdyResponse(upgrade);
    EXPECT_EQ(answer["X-Stream-Protocol-Version"], each.chosen);
    EXPECT_EQ(answer.count("X-Stream-Protocol-Version"), each.chosen.empty() ? 0u : 1u);
  }
}

TEST_F(ReadRequestTest, VersionsOfCommandsOverWebSocket) {
  struct Case {
    std::vector<std::string> wanted;
    std::string chosen;
    ErrorStream errorStream;
    bool base64;
    bool closeSignal;
  };
  const Case cases[] = {
      {{"v5.channel.k8s.io"}, "v5.channel.k8s.io", ErrorStream::kJson, false, true},
      {{"v4.channel.k8s.io"}, "v4.channel.k8s.io", ErrorStream::kJson, false, false},
      {{"v4.base64.channel.k8s.io"}, "v4.base64.channel.k8s.io", ErrorStream::kJson, true, false},
      {{"base64.channel.k8s.io"}, "base64.channel.k8s.io", ErrorStream::kText, true, false},
      {{"channel.k8s.io"}, "channel.k8s.io", ErrorStream::kText, false, false},
      {{}, "", ErrorStream::kText, false, false},
      {{"v9, v5.channel.k8s.io, v4.channel.k8s.io"},
       "v5.channel.k8s.io",
       ErrorStream::kJson,
       false,
       true},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(testing::PrintToString(each.wanted));
    const Upgrade upgrade = accepted(webSocket(command, each.wanted));
    EXPECT_EQ(upgrade.carrier, Carrier::kWebSocket);
    EXPECT_EQ(upgrade.subprotocol, each.chosen);
    EXPECT_EQ(upgrade.command.errorStream, each.errorStream);
    EXPECT_EQ(upgrade.base64, each.base64);
    EXPECT_EQ(upgrade.closeSignal, each.closeSignal);
  }
}

TEST_F(ReadRequestTest, VersionsOfPortForward) {
  EXPECT_EQ(accepted(spdy(forward, {"portforward.k8s.io"})).subprotocol, "portforward.k8s.io");
  EXPECT_EQ(accepted(spdy(anyPorts, {})).carrier, Carrier::kSpdy);
  const Upgrade tunnel = accepted(webSocket(anyPorts, {"SPDY/3.1+portforward.k8s.io"}));
  EXPECT_EQ(tunnel.carrier, Carrier::kSpdyInWebSocket);
  EXPECT_EQ(tunnel.subprotocol, "SPDY/3.1+portforward.k8s.io");
  EXPECT_EQ(accepted(webSocket(forward, {"v4.channel.k8s.io"})).carrier, Carrier::kWebSocket);
  EXPECT_EQ(accepted(webSocket(forward, {})).carrier, Carrier::kWebSocket);
  EXPECT_TRUE(accepted(webSocket(forward, {"v4.base64.channel.k8s.io"})).base64);
}

TEST_F(ReadRequestTest, PortsOfTheUrl) {
  const auto ports = [this](const std::string& query) {
    const Upgrade upgrade = accepted(webSocket(anyPorts + query, {"v4.channel.k8s.io"}));
    const auto& request = std::get<runtime::v1::PortForwardRequest>(upgrade.request);
    return std::vector<int>(request.port().begin(), request.port().end());
  };
  EXPECT_THAT(ports("?port=80"), ElementsAre(80));
  EXPECT_THAT(ports("?port=80&x=y&port=65535"), ElementsAre(80, 65535));
  EXPECT_THAT(ports("?port=80,81&port=82"), ElementsAre(80, 81, 82));
  for (const char* query : {"", "?", "?port=", "?port=0", "?port=65536", "?port=80,", "?port=-1",
                            "?port=http", "?port=80%2c81", "?ports=80"}) {
    EXPECT_EQ(refused(webSocket(anyPorts + query, {"v4.channel.k8s.io"})).status,
              http::status::bad_request)
        << query;
  }
  // Those that the CRI request named are not the client's to choose.
  const Upgrade upgrade = accepted(webSocket(forward + "?port=22", {"v4.channel.k8s.io"}));
  EXPECT_THAT(std::get<runtime::v1::PortForwardRequest>(upgrade.request).port(), ElementsAre(80));
  // As many as have a number each.
  const auto many = [](int count) {
    std::string query = "?port=1";
    for (int i = 2; i <= count; ++i) query += support::strCat(",", i);
    return query;
  };
  EXPECT_EQ(ports(many(127)).size(), 127u);
  EXPECT_THAT(refused(webSocket(anyPorts + many(128), {"v4.channel.k8s.io"})).reason,
              HasSubstr("1 to 127"));
  accepted(webSocket(anyPorts + many(39), {"v4.base64.channel.k8s.io"}));
  EXPECT_THAT(refused(webSocket(anyPorts + many(40), {"v4.base64.channel.k8s.io"})).reason,
              HasSubstr("1 to 39"));
}

TEST_F(ReadRequestTest, NoKnownVersionIsForbiddenAndToldWhichThereAre) {
  for (const char* wanted : {"v5.channel.k8s.io", "portforward.k8s.io"}) {
    const Refusal refusal = refused(spdy(command, {wanted}));
    EXPECT_EQ(refusal.status, http::status::forbidden);
    EXPECT_THAT(refusal.headers,
                ElementsAre(Header("X-Accepted-Stream-Protocol-Versions", "v4.channel.k8s.io"),
                            Header("X-Accepted-Stream-Protocol-Versions", "v3.channel.k8s.io"),
                            Header("X-Accepted-Stream-Protocol-Versions", "v2.channel.k8s.io"),
                            Header("X-Accepted-Stream-Protocol-Versions", "channel.k8s.io")));
    EXPECT_THAT(refusal.reason, HasSubstr(wanted));
  }
  EXPECT_THAT(refused(spdy(forward, {"v4.channel.k8s.io"})).headers,
              ElementsAre(Header("X-Accepted-Stream-Protocol-Versions", "portforward.k8s.io")));
  for (const std::string& target : {command, forward}) {
    const Refusal refusal = refused(webSocket(target, {"v9.channel.k8s.io"}));
    EXPECT_EQ(refusal.status, http::status::bad_request);
    EXPECT_THAT(refusal.reason, HasSubstr("v4.channel.k8s.io"));
    EXPECT_THAT(refusal.headers, IsEmpty());
  }
}

TEST_F(ReadRequestTest, WhatAsksForNoUpgradeIsToldTo) {
  std::vector<HttpRequest> requests = {plain(command), spdy(command, {}), spdy(command, {}),
                                       spdy(command, {}), webSocket(command, {})};
  requests[1].set(http::field::connection, "close");
  requests[2].set(http::field::upgrade, "SPDY/3");
  requests[3].erase(http::field::upgrade);
  requests[4].erase(http::field::connection);
  for (const HttpRequest& request : requests) {
    const Refusal refusal = refused(request);
    EXPECT_EQ(refusal.status, http::status::upgrade_required) << request.base();
    EXPECT_THAT(refusal.headers, ElementsAre(Header("Upgrade", "SPDY/3.1, websocket")));
    EXPECT_EQ(refusalResponse(refusal)[http::field::connection], "close, upgrade");
  }
}

// RFC 9110, 7.8: an HTTP/1.0 request cannot ask for it.
TEST_F(ReadRequestTest, HttpOfBeforeUpgradesHasNone) {
  for (HttpRequest request : {spdy(command, {}), webSocket(command, {})}) {
    request.version(10);
    EXPECT_EQ(refused(request).status, http::status::upgrade_required);
  }
}

// RFC 6455, 4.2.1 and 4.4.
TEST_F(ReadRequestTest, HandshakesThatAreNoneOfWebSocket) {
  HttpRequest request = webSocket(command, {});
  request.method(http::verb::post);
  EXPECT_EQ(refused(request).status, http::status::bad_request);
  for (const char* version : {"8", "12", "14", "x", ""}) {
    request = webSocket(command, {});
    request.set(http::field::sec_websocket_version, version);
    const Refusal refusal = refused(request);
    EXPECT_EQ(refusal.status, http::status::upgrade_required) << version;
    EXPECT_THAT(refusal.headers, testing::Contains(Header("Sec-WebSocket-Version", "13")));
  }
  for (const char* key : {"", "short", "dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ=="}) {
    request = webSocket(command, {});
    request.set(http::field::sec_websocket_key, key);
    EXPECT_EQ(refused(request).status, http::status::bad_request) << key;
  }
  request.erase(http::field::sec_websocket_key);
  EXPECT_EQ(refused(request).status, http::status::bad_request);
  request = webSocket(command, {});
  request.erase(http::field::host);
  EXPECT_EQ(refused(request).status, http::status::bad_request);
  // None of these has used the token up.
  accepted(webSocket(command, {}));
}

TEST_F(ReadRequestTest, OtherMethodsAreNotAnswered) {
  for (const http::verb verb : {http::verb::put, http::verb::head, http::verb::options,
                                http::verb::delete_, http::verb::connect}) {
    const Refusal refusal = refused(plain(command, verb));
    EXPECT_EQ(refusal.status, http::status::method_not_allowed);
    EXPECT_THAT(refusal.headers, ElementsAre(Header("Allow", "GET, POST")));
  }
}

TEST_F(ReadRequestTest, OtherAddressesAreNotThere) {
  const std::string token = command.substr(command.rfind('/') + 1);
  for (const std::string& target :
       {std::string("/"), std::string("*"), std::string("/exec"), std::string("/exec/"),
        std::string("/metrics/x"), "/attach/" + token, "/portforward/" + token,
        "/exec/" + token + "/", "//exec/" + token, "/exec/" + token.substr(1)}) {
    EXPECT_EQ(refused(spdy(target, {})).status, http::status::not_found) << target;
  }
  EXPECT_EQ(accepted(spdy(command + "?a=b", {})).token, token);
}

}  // namespace
}  // namespace berth::streaming
