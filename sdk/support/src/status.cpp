#include "berth/support/status.hpp"

#include <cstring>

#include <absl/strings/cord.h>

namespace berth::support {
namespace {

absl::Status withMessage(const absl::Status& status, std::string_view message) {
  absl::Status result(status.code(), toAbsl(message));
  status.ForEachPayload([&result](absl::string_view url, const absl::Cord& payload) {
    result.SetPayload(url, payload);
  });
  return result;
}

}  // namespace

absl::Status errnoStatus(int error, std::string_view doing) {
  if (error == 0) return absl::OkStatus();
  // Unlike strerror() this is free of locales and of shared buffers.
  const char* description = ::strerrordesc_np(error);
  std::string text = description != nullptr ? description : strCat("error ", error);
  return absl::Status(absl::ErrnoToStatusCode(error), strCat(doing, ": ", text));
}

absl::Status annotate(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  const std::string prefix = strCat(context, ": ");
  // Each side of a process boundary says what it does, and that may be the same.
  if (fromAbsl(status.message()).substr(0, prefix.size()) == prefix) return status;
  return withMessage(status, strCat(prefix, status.message()));
}

void StatusCollector::add(const absl::Status& status) {
  if (status.ok()) return;
  first_ = first_.ok()
               ? status
               : withMessage(first_, strCat(first_.message(), separator_, status.message()));
}

}  // namespace berth::support
