// Unix sockets in the run folder, and descriptors over them.
#pragma once

#include <string>
#include <string_view>
#include <sys/socket.h>

#include "berth/streams/status.hpp"
#include "berth/support/fd.hpp"

namespace berth::streams {

using support::Fd;

// A non-blocking listening socket directory/name with mode 0600. The directory is given by its
// descriptor, so that the path's length does not matter.
Status listenAt(int directory, const std::string& name, int type, Fd& listener);
Status connectAt(int directory, const std::string& name, int type, Fd& socket);

// One message with at most `most` descriptors; those beyond are closed. Returns the bytes, 0 at
// the end, -1 with errno. `count` is how many descriptors came.
ssize_t receiveWithFds(int socket, char* buffer, size_t size, Fd* fds, size_t most, size_t& count);

}  // namespace berth::streams
