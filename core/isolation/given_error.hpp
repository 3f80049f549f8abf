// The error argument of a call into a plugin.
#pragma once

#include <string>

#include "berth/plugin.hpp"
#include "isolation/given.hpp"

namespace berth::isolation {

// Keeps the message. What cannot be one is none; it is no exception, for plugins in C++ fail where
// none may be thrown.
class GivenError {
 public:
  berth_error* get() { return &error_; }
  Status status(berth_code code) const {
    return code == BERTH_OK ? Status() : Status(code, message_);
  }

 private:
  static void set(berth_error* error, berth_code /*code*/, berth_str message) {
    auto& self = *static_cast<GivenError*>(error->host);
    detail::guard(nullptr, [&]() -> Status {
      demandText(message.size);
      self.message_ = copy(message);
      return {};
    });
  }

  berth_error error_{sizeof(berth_error), this, &set};
  std::string message_;
};

}  // namespace berth::isolation
