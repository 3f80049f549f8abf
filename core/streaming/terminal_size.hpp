// The sizes that a client sends on its resize stream.
#pragma once

#include <optional>
#include <string_view>

#include <absl/status/statusor.h>
#include <boost/json/stream_parser.hpp>

#include "streaming/backend.hpp"

namespace berth::streaming {

// Reads JSON objects one after the other, cut anywhere: {"Width":80,"Height":24}. As Kubernetes
// does, it takes the members' names in any case and ignores others.
class TerminalSizeReader {
 public:
  TerminalSizeReader();

  // The last size that is complete now; none when there is none, or it is zero. INVALID_ARGUMENT
  // ends it: nothing that follows makes sense any more.
  absl::StatusOr<std::optional<TerminalSize>> feed(std::string_view bytes);

 private:
  boost::json::stream_parser parser_;
  size_t length_ = 0;  // of the object so far
};

}  // namespace berth::streaming
