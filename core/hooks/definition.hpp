// A file that asks for a hook: oci-hooks(5), version 1.0.0 of its schema.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <re2/re2.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/json.hpp>

namespace berth::hooks {

// What a container is like, for the decision whether a hook is for it. Borrowed.
struct Subject {
  const std::map<std::string, std::string>& annotations;
  std::string command;         // the first of its arguments
  bool hasBindMounts = false;  // that were asked for, beyond those that every container has
};

using Pattern = std::shared_ptr<const re2::RE2>;

// All that are given must hold, and one must be given.
struct Condition {
  std::optional<bool> always;
  std::optional<bool> hasBindMounts;
  std::vector<std::pair<Pattern, Pattern>> annotations;  // key and value of one annotation each
  std::vector<Pattern> commands;                         // one of them

  bool holds(const Subject& subject) const;
};

struct Definition {
  boost::json::object hook;  // OCI runtime specification, "POSIX-platform Hooks"
  Condition when;
  std::vector<std::string> stages;  // "prestart"
};

// INVALID_ARGUMENT with `what` names the member that is wrong or unknown, or the pattern that is
// none (RE2's syntax); a hook whose program does not exist is FAILED_PRECONDITION. Looks for that
// program; any thread.
absl::StatusOr<Definition> parseDefinition(std::string_view text, std::string_view what);

}  // namespace berth::hooks
