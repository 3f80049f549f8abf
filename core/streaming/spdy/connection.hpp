// SPDY/3.1 as Kubernetes' clients speak it, on the server's side.
//
// Flow control. The library behind kubectl, crictl and the API server (moby/spdystream) has none:
// it neither sends WINDOW_UPDATE nor looks at windows, its own or others'. So
//  - towards the client a window counts only once the client has shown that it keeps it: a stream's
//    with a SETTINGS_INITIAL_WINDOW_SIZE or a WINDOW_UPDATE for any stream, the session's with a
//    WINDOW_UPDATE for stream 0. Until then TCP alone holds the sender back; with the protocol's
//    64 KiB every longer output would stop for good;
//  - from the client, windows are announced and renewed, so a client that keeps them is never held
//    up. One that does not is stopped by not reading from the connection while a byte of a full
//    stream is next. All its streams then wait for that one, as they do with the Go servers, which
//    block behind 50 frames of a stream: with bounded memory there is no other way to stop it.
//
// The first word is the client's: client-go reads the answer to its upgrade request through a
// buffer that it throws away, and with it what a server sent too early. Nothing is sent before its
// first frame.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "streaming/stream.hpp"

namespace berth::streaming::spdy {

struct Limits {
  // Streams open at a time; more are refused with RST_STREAM.
  uint32_t streams = 1024;
  // Bytes of a control frame's payload, of a header block when it is decompressed, and the headers
  // in it. Longer ones end the connection. The protocol wants at least 8192 for frames.
  uint32_t controlFrame = 16u << 10;
  size_t headerBlock = 8u << 10;
  size_t headers = 64;
  // Bytes that a stream, and all streams of the connection together, hold for readers.
  uint32_t streamWindow = 512u << 10;
  uint32_t connectionWindow = 4u << 20;
  // How long the farewell may take: to send what is queued, and then to wait for the client to go.
  std::chrono::milliseconds flush{5000};
  std::chrono::milliseconds linger{1000};
  // While a full stream keeps the connection from being read, the client's disappearance shows only
  // when something is sent to it: an unchanged setting, this often. Not a PING: a client that is
  // busy sending could not answer it without ceasing to read.
  std::chrono::milliseconds probe{15000};
};

// `bytes` stands behind the upgrade: bytes of the client's that were read along with its request
// come first. The result and its streams live on bytes->executor(), a strand or a single thread's
// context, and must not outlive it; everything is called there. Streams may outlive the result and
// then fail with the reason. Dropping the result drops the connection at once.
//
// run(): OK when the connection ended in order; INVALID_ARGUMENT or RESOURCE_EXHAUSTED when the
// client broke the protocol, which it is told by GOAWAY; UNAVAILABLE when the connection broke.
// accept() answers SYN_REPLY. A Stream that is dropped before both sides have closed it is reset.
// Reads and writes may be cancelled (Boost.Asio's per-operation cancellation): a read loses no
// bytes; a write returns when the connection has let go of the buffer, with a part of it sent.
std::unique_ptr<StreamConnection> makeConnection(std::unique_ptr<ByteConnection> bytes,
                                                 const Limits& limits = {});

}  // namespace berth::streaming::spdy
