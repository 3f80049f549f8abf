// The events that shims forward to whoever made their pod (containerd's events service).
#pragma once

#include <string>
#include <string_view>

namespace berth::kata::keeper {

inline constexpr std::string_view kEventsService = "containerd.services.events.ttrpc.v1.Events";
inline constexpr std::string_view kForward = "Forward";

struct ShimEvent {
  std::string topic;      // "/tasks/oom"
  std::string container;  // where it has one
  std::string id;         // of the process, in /tasks/exit
};

// Reads a ForwardRequest: an envelope, of which topic and event matter. The events' own messages
// have the container's id first, and an exit the process's second. False for what is none.
bool parseForward(std::string_view request, ShimEvent& event);

}  // namespace berth::kata::keeper
