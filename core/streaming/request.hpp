// A client's HTTP request: what it asks for, and what is wrong with it.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "streaming/session.hpp"
#include "streaming/tokens.hpp"

namespace berth::streaming {

using HttpRequest = boost::beast::http::request<boost::beast::http::empty_body>;
using HttpResponse = boost::beast::http::response<boost::beast::http::string_body>;

struct Refusal {
  boost::beast::http::status status;
  std::string reason;  // for people: the body
  std::vector<std::pair<std::string, std::string>> headers;
};

enum class Carrier {
  kSpdy,
  kWebSocket,  // channels of Kubernetes in messages
  kSpdyInWebSocket,
};

struct Upgrade {
  StreamRequest request;
  std::string token;
  Carrier carrier = Carrier::kSpdy;
  std::string subprotocol;   // the one chosen; empty: the client named none
  bool base64 = false;       // WebSocket channels: text messages
  bool closeSignal = false;  // WebSocket channels: a message ends a channel
  CommandProtocol command;
};

// Chooses the protocol. The token stays valid, so that a client which is refused can try another
// protocol.
std::variant<Upgrade, Refusal> readRequest(const HttpRequest& request, Tokens& tokens);

HttpResponse refusalResponse(const Refusal& refusal);
// The answer that switches to SPDY.
HttpResponse spdyResponse(const Upgrade& upgrade);

}  // namespace berth::streaming
