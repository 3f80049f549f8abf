// What becomes of a check when the plugin does not get to what is to be checked.
#pragma once

#include <initializer_list>
#include <string_view>

#include "plugin_check/probe.hpp"

namespace berth::check {

// Skips the check where one before it has failed whose name begins with one of `told`: that one
// says what is wrong. Otherwise it is a failure of this one.
inline void blocked(Probe& probe, std::initializer_list<std::string_view> told,
                    std::string_view reason) {
  for (const std::string& failed : probe.settings().failed) {
    for (const std::string_view prefix : told) {
      if (failed.starts_with(prefix)) return probe.skip(reason);
    }
  }
  probe.fail(reason);
}

}  // namespace berth::check
