#include "streaming/connection.hpp"

#include <string>
#include <utility>

#include <absl/cleanup/cleanup.h>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "streaming/request.hpp"
#include "streaming/spdy/connection.hpp"
#include "streaming/websocket.hpp"
#include "streaming/websocket_channels.hpp"

namespace berth::streaming {

namespace http = boost::beast::http;
namespace v1 = runtime::v1;
using boost::system::error_code;
using support::strCat;

namespace {

constexpr uint32_t kMostHeaderBytes = 16u << 10;

Refusal malformed(const error_code& error) {
  return {error == http::error::header_limit ? http::status::request_header_fields_too_large
                                             : http::status::bad_request,
          strCat("this is no HTTP request that is answered here: ", error.message()),
          {}};
}

Refusal early() {
  return {http::status::bad_request, "data came before the connection was upgraded", {}};
}

Refusal tooMany(uint32_t most) {
  return {http::status::service_unavailable,
          strCat(most, " streaming sessions are open already: close some of them"),
          {{"Retry-After", "5"}}};
}

Refusal usedMeanwhile() {
  return {http::status::not_found, "this URL was used at the same time: ask for a new one", {}};
}

// One session's lines in the log.
class SessionLog {
 public:
  SessionLog(const Upgrade& upgrade, std::string client)
      : kind_(pathOf(upgrade.request)),
        subject_(subjectOf(upgrade.request)),
        client_(std::move(client)) {
    common::logDebug("a streaming session begins",
                     {{"kind", kind_},
                      {"subject", subject_},
                      {"client", client_},
                      {"protocol", upgrade.subprotocol.empty() ? "none" : upgrade.subprotocol}});
  }

  void end(const absl::Status& result) const {
    const auto lasted = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - begun_);
    common::logInfo("a streaming session has ended",
                    {{"kind", kind_},
                     {"subject", subject_},
                     {"client", client_},
                     {"ms", std::to_string(lasted.count())},
                     {"result", result.ok() ? "ok" : support::fromAbsl(result.message())}});
  }

 private:
  // The container or pod that the request is about.
  static std::string subjectOf(const StreamRequest& request) {
    if (const auto* exec = std::get_if<v1::ExecRequest>(&request)) return exec->container_id();
    if (const auto* attach = std::get_if<v1::AttachRequest>(&request)) {
      return attach->container_id();
    }
    return std::get<v1::PortForwardRequest>(request).pod_sandbox_id();
  }

  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  const std::string_view kind_;
  const std::string subject_;
  const std::string client_;
};

std::unique_ptr<StreamConnection> makeStreams(const Upgrade& upgrade, const Transport& transport,
                                              const std::shared_ptr<WebSocket>& socket) {
  switch (upgrade.carrier) {
    case Carrier::kSpdy:
      return spdy::makeConnection(makeByteConnection(transport));
    case Carrier::kSpdyInWebSocket:
      return spdy::makeConnection(makeByteConnection(socket));
    case Carrier::kWebSocket:
      return makeChannels(socket, upgrade);
  }
  return nullptr;
}

}  // namespace

std::shared_ptr<void> SessionCount::take() {
  if (taken_.fetch_add(1) >= most_) {
    taken_.fetch_sub(1);
    return nullptr;
  }
  return {this, [](SessionCount* count) { count->taken_.fetch_sub(1); }};
}

Task<void> Connection::serve() {
  const absl::Status status = co_await converse();
  if (!status.ok()) {
    common::logDebug(
        "a streaming client was not served",
        {{"client", transport_.name()}, {"error", support::fromAbsl(status.message())}});
  }
  co_await transport_.finish();
}

void Connection::stop() {
  stopped_ = true;
  if (session_ != nullptr) session_->interrupt(absl::CancelledError("the server ends"));
  transport_.abort();
}

Task<absl::Status> Connection::converse() {
  HttpRequest request;
  {
    // From the first byte to the last of the request, TLS included.
    const Ticker timeout(transport_.get_executor(), services_.settings.handshakeTimeout,
                         [this] { transport_.abort(); });
    const absl::Status greeted = co_await transport_.handshake();
    if (!greeted.ok()) co_return greeted;

    boost::beast::flat_buffer buffer(kMostHeaderBytes);
    http::request_parser<http::empty_body> parser;
    parser.header_limit(kMostHeaderBytes);
    auto [error, count] = co_await http::async_read(transport_, buffer, parser, kAwait);
    if (error == http::error::end_of_stream) co_return absl::OkStatus();
    if (error.category() == make_error_code(http::error::end_of_stream).category()) {
      co_return co_await refuse(malformed(error));
    }
    if (error) co_return socketStatus(error, "read the request");
    if (buffer.size() > 0) co_return co_await refuse(early());
    request = parser.release();
  }
  std::variant<Upgrade, Refusal> read = readRequest(request, tokens_);
  if (auto* refusal = std::get_if<Refusal>(&read)) co_return co_await refuse(*refusal);
  co_return co_await upgrade(request, std::get<Upgrade>(std::move(read)));
}

Task<absl::Status> Connection::answer(HttpResponse response) {
  const Ticker timeout(transport_.get_executor(), services_.settings.handshakeTimeout,
                       [this] { transport_.abort(); });
  http::response_serializer<http::string_body> serializer(response);
  auto [error, count] = co_await http::async_write(transport_, serializer, kAwait);
  if (error) co_return socketStatus(error, "answer the request");
  co_return absl::OkStatus();
}

Task<absl::Status> Connection::refuse(const Refusal& refusal) {
  const absl::Status answered = co_await answer(refusalResponse(refusal));
  if (!answered.ok()) co_return answered;
  co_return absl::InvalidArgumentError(
      strCat("answered ", static_cast<unsigned>(refusal.status), ": ", refusal.reason));
}

Task<absl::Status> Connection::upgrade(const HttpRequest& request, Upgrade upgrade) {
  const std::shared_ptr<void> place = sessions_.take();
  if (place == nullptr) co_return co_await refuse(tooMany(sessions_.most()));
  // Between finding it and now another connection may have used it.
  if (!tokens_.take(upgrade.token)) co_return co_await refuse(usedMeanwhile());
  stranger_ = false;
  const absl::Cleanup ended = [this] { stranger_ = true; };

  std::shared_ptr<WebSocket> socket;
  if (upgrade.carrier != Carrier::kSpdy) socket = std::make_shared<WebSocket>(transport_);
  absl::Status upgraded;
  if (socket) {
    upgraded = co_await socket->accept(request, upgrade.subprotocol);
  } else {
    upgraded = co_await answer(spdyResponse(upgrade));
  }
  if (!upgraded.ok() || stopped_) co_return upgraded;

  const SessionLog log(upgrade, transport_.name());
  absl::Status served;
  {
    Session session(services_, makeStreams(upgrade, transport_, socket), transport_.get_executor(),
                    upgrade.command);
    session_ = &session;
    served = co_await session.run(upgrade.request);
    session_ = nullptr;
  }
  if (socket) co_await socket->close(WebSocket::CloseCode::kNormal);
  log.end(served);
  co_return absl::OkStatus();
}

}  // namespace berth::streaming
