// A client of the streaming servers that reads as fast as it can, over either transport.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

namespace berth::bench {

enum class StreamTransport { kSpdy, kWebSocket };

// Which of a command's streams the CRI request asked for, and therefore the client opens.
struct StreamOptions {
  StreamTransport transport = StreamTransport::kSpdy;
  bool input = false;
  uint64_t bytes = 0;  // of stdout: enough is read when they have come
};

// Connects to the URL of an exec or attach with stdout, without a terminal; sends `input`, when it
// has a stream for it; reads until stdout has ended or enough has come. How many bytes of it came.
// Blocks; a server that says nothing for a minute is DEADLINE_EXCEEDED.
absl::StatusOr<uint64_t> readStream(const std::string& url, const StreamOptions& options,
                                    absl::string_view input);

// The command that writes so many bytes to its standard output, a multiple of 65536.
std::vector<std::string> zeroes(uint64_t bytes);

// So many bytes with nobody between: from a process that writes them into a pipe, through a thread
// that copies them to a loopback connection, to this reader. What the copying thread took, in
// seconds of CPU time. Blocks.
absl::StatusOr<double> readCopy(uint64_t bytes);

}  // namespace berth::bench
