// The HTTP request with which a streaming client begins.
#include <algorithm>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>

#include "streaming/request.hpp"
#include "streaming/tokens.hpp"
#include "target.hpp"

namespace berth::fuzz {

namespace http = boost::beast::http;
namespace v1 = runtime::v1;
using namespace streaming;

namespace {

// Stands for the token of a URL, which is another one each time.
constexpr std::string_view kToken = "TOKEN";

StreamRequest waiting(std::string_view text) {
  if (text.find("/attach/") != std::string_view::npos) return v1::AttachRequest();
  if (text.find("/portforward/") != std::string_view::npos) return v1::PortForwardRequest();
  return v1::ExecRequest();
}

void check(const Refusal& refusal) {
  const HttpResponse response = refusalResponse(refusal);
  for (const auto& field : response) {
    demand(field.value().find_first_of("\r\n") == boost::beast::string_view::npos,
           "no header's value breaks a line");
  }
  demand(response.result_int() >= 400, "a refusal is one");
}

void check(const Upgrade& upgrade) {
  if (upgrade.carrier == Carrier::kSpdy) {
    demand(spdyResponse(upgrade).result() == http::status::switching_protocols, "101");
  }
  if (const auto* ports = std::get_if<v1::PortForwardRequest>(&upgrade.request)) {
    demand(ports->port_size() <= 127, "each port's channels have a number");
    demand(upgrade.carrier != Carrier::kWebSocket || ports->port_size() > 0,
           "channels have their ports");
  }
}

void run(std::string_view text) {
  Tokens tokens(std::chrono::hours(1));
  const std::string token = tokens.add(waiting(text)).value_or("");
  std::string request(text);
  if (const size_t at = request.find(kToken); at != std::string::npos) {
    request.replace(at, kToken.size(), token);
  }
  http::request_parser<http::empty_body> parser;
  parser.header_limit(16u << 10);
  boost::system::error_code error;
  parser.put(boost::asio::buffer(request), error);
  if (error || !parser.is_done()) return;
  const auto read = readRequest(parser.release(), tokens);
  std::visit([](const auto& result) { check(result); }, read);
  demand(tokens.take(token), "reading a request does not use its token up");
}

std::vector<std::string> seeds() {
  const auto request = [](const std::string& target, const std::string& more) {
    return target + " HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\n" + more + "\r\n";
  };
  const std::string spdy = "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ";
  const std::string webSocket =
      "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ";
  return {
      request("POST /exec/TOKEN", spdy + "v4.channel.k8s.io\r\n"),
      request("POST /exec/TOKEN", spdy + "v5.channel.k8s.io, v3.channel.k8s.io\r\n"),
      request("POST /portforward/TOKEN", spdy + "portforward.k8s.io\r\n"),
      request("GET /attach/TOKEN", webSocket + "v5.channel.k8s.io\r\n"),
      request("GET /exec/TOKEN", webSocket + "v4.base64.channel.k8s.io, channel.k8s.io\r\n"),
      request("GET /portforward/TOKEN?port=80&port=81,82", webSocket + "v4.channel.k8s.io\r\n"),
      request("GET /portforward/TOKEN", webSocket + "SPDY/3.1+portforward.k8s.io\r\n"),
      "GET / HTTP/1.0\r\n\r\n",
      "PUT /exec/TOKEN HTTP/1.1\r\nHost: node\r\n\r\n",
  };
}

}  // namespace

const Target kUpgrade{run, seeds};

}  // namespace berth::fuzz
