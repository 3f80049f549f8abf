#include "shim_events.hpp"

#include "../ttrpc/fields.hpp"

namespace berth::kata::keeper {

namespace {

using ttrpc::FieldReader;

constexpr uint32_t kEnvelope = 1;  // of ForwardRequest
constexpr uint32_t kTopic = 3;     // of Envelope
constexpr uint32_t kEvent = 4;
constexpr uint32_t kValue = 2;  // of google.protobuf.Any
constexpr uint32_t kContainer = 1;
constexpr uint32_t kId = 2;  // of TaskExit

bool parseEvent(std::string_view any, ShimEvent& event) {
  FieldReader reader(any);
  while (reader.next()) {
    if (reader.number() != kValue) continue;
    FieldReader value(reader.bytes());
    while (value.next()) {
      if (value.number() == kContainer) event.container.assign(value.bytes());
      if (value.number() == kId) event.id.assign(value.bytes());
    }
    if (value.failed()) return false;
  }
  return !reader.failed();
}

bool parseEnvelope(std::string_view envelope, ShimEvent& event) {
  FieldReader reader(envelope);
  while (reader.next()) {
    if (reader.number() == kTopic) event.topic.assign(reader.bytes());
    if (reader.number() == kEvent && !parseEvent(reader.bytes(), event)) return false;
  }
  return !reader.failed();
}

}  // namespace

bool parseForward(std::string_view request, ShimEvent& event) {
  FieldReader reader(request);
  while (reader.next()) {
    if (reader.number() == kEnvelope && !parseEnvelope(reader.bytes(), event)) return false;
  }
  return !reader.failed() && !event.topic.empty();
}

}  // namespace berth::kata::keeper
