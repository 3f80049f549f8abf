#include "common/trace_context.hpp"

#include <utility>

#include "berth/support/ids.hpp"

namespace berth::common {

namespace {

constexpr size_t kVersionSize = 2;
constexpr size_t kTraceSize = 32;
constexpr size_t kSpanSize = 16;
constexpr size_t kFlagsSize = 2;
constexpr std::string_view kOurVersion = "00";
constexpr std::string_view kNoVersion = "ff";

// Takes that many digits off the front; empty when there are others, or fewer.
std::string_view takeDigits(std::string_view& text, size_t size) {
  const std::string_view digits = text.substr(0, size);
  if (digits.size() < size ||
      digits.find_first_not_of("0123456789abcdef") != std::string_view::npos)
    return {};
  text.remove_prefix(size);
  return digits;
}

bool takeHyphen(std::string_view& text) {
  if (!text.starts_with('-')) return false;
  text.remove_prefix(1);
  return true;
}

bool isId(std::string_view digits) {
  return digits.find_first_not_of('0') != std::string_view::npos;
}

std::optional<TraceContext>& ofThisThread() {
  thread_local std::optional<TraceContext> caller;
  return caller;
}

}  // namespace

std::optional<TraceContext> parseTraceParent(std::string_view header) {
  const std::string_view version = takeDigits(header, kVersionSize);
  if (version.empty() || version == kNoVersion || !takeHyphen(header)) return std::nullopt;
  const std::string_view trace = takeDigits(header, kTraceSize);
  if (!isId(trace) || !takeHyphen(header)) return std::nullopt;
  const std::string_view span = takeDigits(header, kSpanSize);
  if (!isId(span) || !takeHyphen(header)) return std::nullopt;
  if (takeDigits(header, kFlagsSize).empty()) return std::nullopt;
  // What a later version adds is apart.
  if (!header.empty() && (version == kOurVersion || !header.starts_with('-'))) return std::nullopt;
  return TraceContext{std::string(trace), std::string(span)};
}

TraceContext newSpan(const std::optional<TraceContext>& parent) {
  const std::string digits = support::randomId();
  return {parent ? parent->trace : digits.substr(kSpanSize, kTraceSize),
          digits.substr(0, kSpanSize)};
}

void setCallerTrace(std::optional<TraceContext> caller) {
  ofThisThread() = std::move(caller);
}

const std::optional<TraceContext>& callerTrace() {
  return ofThisThread();
}

}  // namespace berth::common
