// Text that enters the core from a plugin.
#pragma once

#include <string>

#include "berth/plugin.hpp"
#include "berth/support/utf8.hpp"

namespace berth::plugins {

// A copy that is UTF-8, whatever the plugin gave: what is not makes a record unreadable, and the
// kubelet cannot decode a reply with it.
inline std::string ownedText(berth_str text) {
  return support::validUtf8(view(text));
}

}  // namespace berth::plugins
