// Names of CDI devices: "vendor.com/class=device".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace berth::cdi {

struct Kind {
  std::string vendor;
  std::string className;
};

// "vendor.com/class". INVALID_ARGUMENT says what is wrong with it (CDI specification, "Kind").
absl::StatusOr<Kind> parseKind(std::string_view text);

// Letters, digits and "_-.:", beginning and ending with a letter or digit.
absl::Status checkDeviceName(std::string_view name);

// INVALID_ARGUMENT when it is not "vendor.com/class=device".
absl::Status checkQualifiedName(std::string_view name);

// The devices that annotations ask for: keys that begin with "cdi.k8s.io/" have qualified names,
// separated by commas, as values. In the order of the keys.
absl::StatusOr<std::vector<std::string>> devicesOfAnnotations(
    const std::vector<std::pair<std::string, std::string>>& annotations);

}  // namespace berth::cdi
