#include "cdi/names.hpp"

#include <algorithm>

#include "berth/support/status.hpp"
#include "common/text.hpp"

namespace berth::cdi {
namespace {

using support::strCat;

constexpr std::string_view kAnnotationPrefix = "cdi.k8s.io/";

bool isLetter(char c) {
  return common::isAlphanumeric(c) && !(c >= '0' && c <= '9');
}

bool consistsOf(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return common::isAlphanumeric(c) || others.find(c) != std::string_view::npos;
  });
}

absl::Status checkPart(std::string_view part, std::string_view kind) {
  if (!part.empty() && isLetter(part.front()) && common::isAlphanumeric(part.back()) &&
      consistsOf(part, "_-."))
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      strCat("the ", kind, " \"", part,
             "\" must be letters, digits, \"_\", \"-\" and \".\", begin with a letter and end with "
             "a letter or digit"));
}

}  // namespace

absl::StatusOr<Kind> parseKind(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos)
    return absl::InvalidArgumentError(strCat("the kind \"", text, "\" is not vendor/class"));
  Kind kind{std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
  BERTH_RETURN_IF_ERROR(checkPart(kind.vendor, "vendor"));
  BERTH_RETURN_IF_ERROR(checkPart(kind.className, "class"));
  return kind;
}

absl::Status checkDeviceName(std::string_view name) {
  if (!name.empty() && common::isAlphanumeric(name.front()) &&
      common::isAlphanumeric(name.back()) && consistsOf(name, "_-.:"))
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      strCat("the device name \"", name,
             "\" must be letters, digits, \"_\", \"-\", \".\" and \":\", and begin and end with a "
             "letter or digit"));
}

absl::Status checkQualifiedName(std::string_view name) {
  const auto check = [&]() -> absl::Status {
    const size_t equals = name.find('=');
    if (equals == std::string_view::npos)
      return absl::InvalidArgumentError("it has no \"=\" with a device name behind it");
    BERTH_RETURN_IF_ERROR(parseKind(name.substr(0, equals)).status());
    return checkDeviceName(name.substr(equals + 1));
  };
  return support::annotate(
      check(), strCat("CDI device \"", name, "\" is not of the form vendor/class=device"));
}

absl::StatusOr<std::vector<std::string>> devicesOfAnnotations(
    const std::vector<std::pair<std::string, std::string>>& annotations) {
  std::vector<std::pair<std::string, std::string>> sorted = annotations;
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::string> devices;
  for (const auto& [key, value] : sorted) {
    if (!key.starts_with(kAnnotationPrefix)) continue;
    for (std::string_view device : common::split(value, ',')) {
      BERTH_RETURN_IF_ERROR(
          support::annotate(checkQualifiedName(device), strCat("annotation ", key)));
      devices.emplace_back(device);
    }
  }
  return devices;
}

}  // namespace berth::cdi
