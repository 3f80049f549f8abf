// One HTTP request.
#pragma once

#include <berth/plugin.hpp>
#include <functional>
#include <string>
#include <string_view>

namespace source_http {

// Takes the next bytes of the answer. A failure ends the request.
using Receive = std::function<berth::Status(std::string_view piece)>;

// Reads what is at `url`, from byte `offset` on, until `op` is cancelled. Blocks. NOT_FOUND,
// UNAUTHENTICATED, PERMISSION_DENIED, and UNAVAILABLE for all that may be better the next time.
berth::Status get(const berth::Op& op, const std::string& url, uint64_t offset,
                  const Receive& receive);

}  // namespace source_http
