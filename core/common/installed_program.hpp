// What is installed with this program.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

namespace berth::common {

// The folder that this program's own folder lies in; a build folder is such a prefix too.
absl::StatusOr<std::string> installedPrefix();

// A program for this one's own use, in <prefix>/libexec/berth. The errno's code with the path when
// it is not there.
absl::StatusOr<std::string> installedProgram(std::string_view name);

}  // namespace berth::common
