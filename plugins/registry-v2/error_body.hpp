// What a registry says about a failure (OCI distribution spec, "Error Codes").
#pragma once

#include <string>
#include <string_view>

namespace berth::registry {

// The `errors[]` of the document as "MANIFEST_UNKNOWN: manifest unknown; …", or a token server's
// `error` and `error_description`, or the text itself when it is no such document and no HTML.
// One line, bounded; empty when there is nothing to say.
std::string describeErrorBody(std::string_view body, std::string_view contentType);

}  // namespace berth::registry
