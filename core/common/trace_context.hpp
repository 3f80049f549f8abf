// Where a piece of work stands in a distributed trace.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace berth::common {

// As W3C Trace Context writes identifiers: lowercase hexadecimal digits, not all of them zeros.
struct TraceContext {
  std::string trace;  // 32 digits
  std::string span;   // 16 digits: of the span that what follows belongs to

  bool operator==(const TraceContext&) const = default;
};

// What a client says of itself in the header "traceparent" (W3C Trace Context, section 3.2). Of a
// version above ours what ours has is read, as section 4.2 has it; null: the header is not valid,
// and counts as missing.
std::optional<TraceContext> parseTraceParent(std::string_view header);

// A span of its own: in the trace of `parent`, or the first of a new one.
TraceContext newSpan(const std::optional<TraceContext>& parent);

// The client of the call that this thread is answering, when it has said where in a trace it is.
void setCallerTrace(std::optional<TraceContext> caller);
const std::optional<TraceContext>& callerTrace();

}  // namespace berth::common
