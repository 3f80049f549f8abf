#include "attempts.hpp"

#include <algorithm>
#include <ctime>

#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "error_body.hpp"

namespace berth::registry {
namespace {

using support::strCat;

constexpr size_t kEntriesListed = 16;

Remedy remedyOf(HttpFailure failure) {
  switch (failure) {
    case HttpFailure::kUnreachable:
    case HttpFailure::kInterrupted:
      return Remedy::kRepeat;
    case HttpFailure::kEnded:
      return Remedy::kStop;
    default:
      return Remedy::kNextServer;
  }
}

// "404 Not Found: MANIFEST_UNKNOWN: manifest unknown".
std::string describe(const HttpAnswer& answer) {
  std::string text = strCat("HTTP ", answer.head.status);
  const std::string_view name = nameOfHttpStatus(answer.head.status);
  if (!name.empty()) text += strCat(" ", name);
  const std::string said = describeErrorBody(answer.body, answer.head.contentType);
  if (!said.empty()) text += ": " + said;
  return text;
}

std::string_view headline(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kNotFound:
      return "not found";
    case absl::StatusCode::kUnauthenticated:
      return "the registry wants other credentials";
    case absl::StatusCode::kPermissionDenied:
      return "the registry denies access";
    case absl::StatusCode::kUnavailable:
      return "no registry or mirror could serve it";
    case absl::StatusCode::kDataLoss:
      return "what the registry sent is not what was asked for";
    case absl::StatusCode::kResourceExhausted:
      return "too large";
    default:
      return "failed";
  }
}

}  // namespace

Failure failureOf(const HttpAnswer& answer, const Url& asked) {
  Failure failure;
  failure.where = support::oneLine(asked.shown(), 512);
  if (answer.failure != HttpFailure::kNone) {
    failure.status = answer.status;
    failure.remedy = remedyOf(answer.failure);
    failure.unreachable = answer.failure == HttpFailure::kUnreachable;
    return failure;
  }
  const long status = answer.head.status;
  if (status >= 200 && status < 300) return failure;
  failure.status = absl::Status(codeOfHttpStatus(status), describe(answer));
  failure.remedy = isTransient(status) ? Remedy::kRepeat : Remedy::kNextServer;
  failure.retryAfter = parseRetryAfter(answer.head.retryAfter, std::time(nullptr));
  return failure;
}

void Attempts::add(EndpointRole role, const Failure& failure) {
  // The same failure again and again is told once.
  const bool repeated = !entries_.empty() && entries_.back().where == failure.where &&
                        entries_.back().status == failure.status;
  if (repeated) return;
  if (entries_.size() == kEntriesListed) {
    entries_.erase(entries_.begin());
    ++omitted_;
  }
  entries_.push_back({role, failure.status, failure.where, failure.unreachable});
}

const Attempts::Entry* Attempts::decisive() const {
  const auto latest = [&](auto matches) -> const Entry* {
    const auto found = std::find_if(entries_.rbegin(), entries_.rend(), matches);
    return found == entries_.rend() ? nullptr : &*found;
  };
  const Entry* own = latest([](const Entry& entry) {
    return entry.role == EndpointRole::kRegistry && !entry.unreachable;
  });
  if (own != nullptr) return own;
  const Entry* objection = latest([](const Entry& entry) {
    return !absl::IsUnavailable(entry.status) && !absl::IsNotFound(entry.status);
  });
  if (objection != nullptr) return objection;
  const Entry* passing =
      latest([](const Entry& entry) { return absl::IsUnavailable(entry.status); });
  return passing != nullptr || entries_.empty() ? passing : &entries_.back();
}

std::string Attempts::listed() const {
  std::string result;
  if (omitted_ > 0) result = strCat(omitted_, " earlier attempts; ");
  for (const Entry& entry : entries_) {
    if (&entry != &entries_.front()) result += "; ";
    result += strCat(entry.where, entry.where.empty() ? "" : ": ",
                     support::fromAbsl(entry.status.message()));
  }
  return result;
}

absl::Status Attempts::summary(std::string_view what) const {
  const Entry* entry = decisive();
  if (entry == nullptr) return absl::InternalError(strCat(what, ": nothing was tried"));
  const absl::StatusCode code = entry->status.code();
  return absl::Status(code, strCat(what, ": ", headline(code), " (tried ", listed(), ")"));
}

absl::Status Attempts::ended(std::string_view what, const absl::Status& status) const {
  std::string message = strCat(what, ": ", support::fromAbsl(status.message()));
  if (!entries_.empty()) message += strCat(" (tried ", listed(), ")");
  return absl::Status(status.code(), message);
}

}  // namespace berth::registry
