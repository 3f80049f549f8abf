// Streams, log, loop and sockets are those that all small programs of pods share.
#pragma once

#include "berth/streams/channel.hpp"
#include "berth/streams/control_files.hpp"
#include "berth/streams/cri_log.hpp"
#include "berth/streams/detach.hpp"
#include "berth/streams/io_hub.hpp"
#include "berth/streams/loop.hpp"
#include "berth/streams/oom_watch.hpp"
#include "berth/streams/packet_server.hpp"
#include "berth/streams/status.hpp"
#include "berth/streams/unix_socket.hpp"

namespace berth::runc::monitor {

using namespace berth::streams;  // NOLINT(google-build-using-namespace)

}  // namespace berth::runc::monitor
