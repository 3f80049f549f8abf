// Credentials that are lent for the length of a callback, on both sides.
#pragma once

#include "isolation/channel.hpp"
#include "isolation/codec.hpp"

namespace berth::isolation {

using Found = void (*)(void* user, const berth_credentials* credentials);

// Asks for them with ask(found, user, error) and writes what comes of it.
template <class Ask>
void encodeLent(Encoder& out, Ask ask) {
  Encoder found;
  detail::ErrorSlot error;
  const berth_code code = ask(
      [](void* user, const berth_credentials* credentials) {
        detail::guard(nullptr, [&]() -> Status {
          auto& into = *static_cast<Encoder*>(user);
          // At most once.
          if (into.bytes().empty()) encodePointer(into, credentials);
          return {};
        });
      },
      &found, error.get());
  out.raw(code);
  out.text(error.status(code).message());
  if (found.bytes().empty()) {
    encodePointer<berth_credentials>(out, nullptr);
  } else {
    out.append(found.bytes());
  }
}

// Hands on what encodeLent() wrote.
inline Status takeLent(const Frame& answer, Found found, void* user) {
  Decoder in(answer.bytes);
  const auto code = in.raw<berth_code>();
  std::string message(in.text());
  const berth_credentials* credentials = nullptr;
  decodePointer(in, credentials);
  if (credentials != nullptr) found(user, credentials);
  return Status(code, std::move(message));
}

}  // namespace berth::isolation
