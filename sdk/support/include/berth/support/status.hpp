// Errors as values: helpers around absl::Status.
#pragma once

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

namespace berth::support {

// Debian builds Abseil with a string_view of its own, which std::string_view does not convert to.
inline absl::string_view toAbsl(std::string_view text) {
  return {text.data(), text.size()};
}
inline std::string_view fromAbsl(absl::string_view text) {
  return {text.data(), text.size()};
}

namespace internal {
template <typename Part>
const Part& stringPart(const Part& part) {
  return part;
}
inline absl::string_view stringPart(std::string_view part) {
  return toAbsl(part);
}
}  // namespace internal

// absl::StrCat that also takes std::string_view: strings and numbers, joined.
template <typename... Parts>
std::string strCat(const Parts&... parts) {
  return absl::StrCat(internal::stringPart(parts)...);
}

// The status for an errno value; `doing` says what was being done and to what:
// "open /etc/berth/berth.toml". The message becomes "<doing>: <strerror>".
absl::Status errnoStatus(int error, std::string_view doing);

// The same status with "<context>: " put before its message, unless it begins so already; OK stays
// OK.
absl::Status annotate(const absl::Status& status, std::string_view context);

// Keeps the first failure's code and joins the messages of all: for undo, which runs every step.
class StatusCollector {
 public:
  explicit StatusCollector(std::string_view separator = "; ") : separator_(separator) {}
  void add(const absl::Status& status);
  absl::Status status() const { return first_; }
  bool ok() const { return first_.ok(); }

 private:
  std::string separator_;
  absl::Status first_;
};

}  // namespace berth::support

#define BERTH_RETURN_IF_ERROR(expression)          \
  do {                                             \
    absl::Status berth_status_ = (expression);     \
    if (!berth_status_.ok()) return berth_status_; \
  } while (false)

#define BERTH_CONCAT_INNER(a, b) a##b
#define BERTH_CONCAT(a, b) BERTH_CONCAT_INNER(a, b)
// NOLINTBEGIN(bugprone-macro-parentheses): `target` may be a declaration.
// BERTH_ASSIGN_OR_RETURN(auto value, functionThatReturnsStatusOr());
#define BERTH_ASSIGN_OR_RETURN(target, expression) \
  BERTH_ASSIGN_OR_RETURN_INNER(BERTH_CONCAT(berth_or_, __LINE__), target, expression)
#define BERTH_ASSIGN_OR_RETURN_INNER(temporary, target, expression) \
  auto temporary = (expression);                                    \
  if (!temporary.ok()) return std::move(temporary).status();        \
  target = *std::move(temporary)
// NOLINTEND(bugprone-macro-parentheses)
