// The streams of exec, attach and port-forward as channels of WebSocket messages (Kubernetes,
// "channel.k8s.io" and its versions): the first byte of a message is the channel's number, in the
// base64 protocols a digit, and the rest base64.
#pragma once

#include <memory>

#include "streaming/request.hpp"
#include "streaming/stream.hpp"
#include "streaming/websocket.hpp"

namespace berth::streaming {

// The channels that the request asks for: they are there at once, as if the client had opened them.
std::unique_ptr<StreamConnection> makeChannels(std::shared_ptr<WebSocket> socket,
                                               const Upgrade& upgrade);

}  // namespace berth::streaming
