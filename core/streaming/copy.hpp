// Copying between a process's or a port's descriptors and a client's streams.
#pragma once

#include "streaming/async_fd.hpp"
#include "streaming/session.hpp"

namespace berth::streaming {

enum class CopyEnd {
  kSourceEnded,
  kSourceFailed,
  kSinkFailed,
};

// Each keeps one buffer of bounded size and reads on only when it is written: whoever is slow slows
// the other side. Neither side is closed.
Task<CopyEnd> copyToClient(Session& session, AsyncFd& from, Stream& to);
Task<CopyEnd> copyFromClient(Session& session, Stream& from, AsyncFd& to);

// Reads what the client still sends, so that it does not stand in the way of other streams.
Task<void> discard(Session& session, Stream& from);

}  // namespace berth::streaming
