#include "options.hpp"

#include "berth/support/json.hpp"
#include "berth/support/options.hpp"
#include "berth/support/status.hpp"

namespace berth::layout {

const std::string_view kDeclaredOptions = R"json([
  {"key": "paths", "type": "array", "default": ["/var/lib/berth/images"], "example": ["/var/lib/berth/images", "/media/usb/app.tar"],
   "help": "Where images are looked for: OCI layouts, OCI archives and archives of docker save, or folders with any of these in them. What is not there is passed over; changes are seen at once."}
])json";

absl::StatusOr<Options> parseOptions(std::string_view json) {
  BERTH_ASSIGN_OR_RETURN(const boost::json::object given,
                         support::parseJsonObject(json.empty() ? "{}" : json, "the options"));
  Options options;
  BERTH_ASSIGN_OR_RETURN(options.paths, support::stringsOption(given, "paths"));
  for (size_t i = 0; i < options.paths.size(); ++i) {
    const std::string& path = options.paths[i];
    if (!path.starts_with('/') || path.find('\0') != std::string::npos)
      return support::optionError(support::strCat("paths[", i, "]"), "must be an absolute path");
  }
  return options;
}

}  // namespace berth::layout
