// How far an object is in its life, as events tell it (CRI, ContainerEventType).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "records.pb.h"

namespace berth::engine {

enum class LifeStep : int32_t { kNone = 0, kCreated = 1, kStarted = 2, kStopped = 3 };

// What is reported for a container whose program could not be run.
inline constexpr std::string_view kStartErrorReason = "StartError";

// Nothing when the record leaves it as it was: a pod that is being stopped.
inline std::optional<LifeStep> lifeStep(const records::PodRecord& record) {
  if (record.state() == records::POD_CREATING || record.restoring()) return LifeStep::kNone;
  if (record.state() == records::POD_STOPPED || record.lost()) return LifeStep::kStopped;
  if (record.state() == records::POD_READY) return LifeStep::kStarted;
  return std::nullopt;
}

inline std::optional<LifeStep> lifeStep(const records::ContainerRecord& record) {
  if (record.creating()) return LifeStep::kNone;
  switch (record.state()) {
    case runtime::v1::CONTAINER_CREATED:
      return LifeStep::kCreated;
    case runtime::v1::CONTAINER_RUNNING:
      return LifeStep::kStarted;
    default:
      return LifeStep::kStopped;
  }
}

// Whether it has been through the step on its way to a later one.
inline bool wentThrough(const records::PodRecord&, LifeStep) {
  return true;
}
inline bool wentThrough(const records::ContainerRecord& record, LifeStep step) {
  return step != LifeStep::kStarted || record.reason() != kStartErrorReason;
}

// Whether a life may begin with what the record says. A pod that never came up is undone without
// anyone having heard of it.
inline bool mayBegin(const records::PodRecord& record) {
  return record.state() == records::POD_READY && !record.lost();
}
inline bool mayBegin(const records::ContainerRecord& record) {
  return !record.creating();
}

}  // namespace berth::engine
