// YAML documents as JSON values.
#pragma once

#include <string_view>

#include <absl/status/statusor.h>
#include <boost/json.hpp>

namespace berth::cdi {

// One YAML 1.1 document with what JSON can hold: mappings with text for keys, sequences, scalars.
// Plain scalars become null, booleans and whole numbers by the rules of the core schema (YAML 1.2,
// 10.3.2), octal numbers in the older form "0644" too; all others stay text, so that nothing of a
// version like 0.6 is lost. INVALID_ARGUMENT with `what`, line and column for anything else:
// syntax, tags, a key that is given twice, more than one document, more than 64 levels or 1,000,000
// values, aliases counted as what they stand for. Any thread, does not block.
absl::StatusOr<boost::json::value> parseYaml(std::string_view text, std::string_view what);

}  // namespace berth::cdi
