// SHA-256, as content is named by it.
#pragma once

#include <string>
#include <string_view>

namespace berth::check {

// "sha256:" and 64 hexadecimal digits (OCI image spec, "Digests").
std::string digestOf(std::string_view bytes);

}  // namespace berth::check
