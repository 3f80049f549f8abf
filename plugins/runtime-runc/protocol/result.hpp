// What the frames carry. Each message lists its members with their tags once, in visit(); encoder
// and decoder both go through that list. Tags are never reused; new members get new tags and a
// default under which an older peer behaves rightly.
//
// Times are nanoseconds since the epoch (CLOCK_REALTIME); 0 means not yet.
#pragma once

#include <cstdint>
#include <string>

#include "wire.hpp"

namespace berth::runc::protocol {

// The gRPC canonical codes (same numbers as absl::StatusCode).
enum class Code : uint32_t {
  kOk = 0,
  kCancelled = 1,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
};

// First member of every reply.
struct Result {
  Code code = Code::kOk;
  std::string message;
};
template <typename V>
void visit(V& v, Result& m) {
  v.field(1, m.code);
  v.field(2, m.message);
}

struct Empty {};
template <typename V>
void visit(V&, Empty&) {}

// A reply that says no more than whether it went well.
struct PlainReply {
  Result result;
};
template <typename V>
void visit(V& v, PlainReply& m) {
  v.field(1, m.result);
}

}  // namespace berth::runc::protocol
