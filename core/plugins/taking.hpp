// What a plugin hands over during a call, by a builder or sink.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "berth/plugin.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "isolation/given.hpp"
#include "plugins/owned_text.hpp"

namespace berth::plugins {

// A text that can be one, as ownedText(); throws std::invalid_argument otherwise.
inline std::string takenText(berth_str text) {
  isolation::demandText(view(text).size());
  return ownedText(text);
}
inline std::string takenBytes(std::string_view bytes) {
  isolation::demandText(bytes.size());
  return std::string(bytes);
}

// Keeps why something could not be taken: a plugin is not told by functions that return nothing,
// and would think that the host has it.
class Taking {
 public:
  // Runs `body`, which takes it and returns a Status; nothing it throws gets out.
  template <class Body>
  berth_code take(Body body) {
    detail::ErrorSlot error;
    const berth_code code = detail::guard(error.get(), body);
    if (code != BERTH_OK && reason_.empty()) reason_ = error.status(code).message();
    return code;
  }
  // The same of a struct, which is to be there.
  template <class T, class Body>
  berth_code take(const T* given, Body body) {
    return take([&]() -> Status {
      if (given == nullptr) return Status(BERTH_INVALID_ARGUMENT, "a struct that is NULL");
      return body(detail::known(given));
    });
  }

  const std::string& reason() const { return reason_; }  // empty: all was taken
  // How the call has ended: INTERNAL where the plugin means that all is well.
  absl::Status judge(std::string_view plugin, const absl::Status& returned) const {
    if (!returned.ok() || reason_.empty()) return returned;
    return absl::InternalError(support::strCat(
        "plugin ", plugin, ": handed over what cannot be taken: ", support::validUtf8(reason_)));
  }

 private:
  std::string reason_;
};

}  // namespace berth::plugins
