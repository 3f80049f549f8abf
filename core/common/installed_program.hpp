// Programs that are installed with this one.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

namespace berth::common {

// They lie in <prefix>/libexec/berth, and this program in a folder of the prefix; a build folder is
// such a prefix too. The errno's code with the path when it is not there.
absl::StatusOr<std::string> installedProgram(std::string_view name);

}  // namespace berth::common
