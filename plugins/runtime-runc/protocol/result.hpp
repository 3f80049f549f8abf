// What the frames carry. Each message lists its members with their tags once, in visit(); encoder
// and decoder both go through that list. Tags are never reused; new members get new tags and a
// default under which an older peer behaves rightly.
//
// Times are nanoseconds since the epoch (CLOCK_REALTIME); 0 means not yet.
#pragma once

#include "berth/streams/status.hpp"
#include "wire.hpp"

namespace berth::runc::protocol {

// The codes, and the first member of every reply.
using streams::Code;
using Result = streams::Status;
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
