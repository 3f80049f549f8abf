// Failures of a start that another start would only repeat.
#pragma once

#include <absl/status/status.h>

namespace berth::common {

// What `berthd` ends with after one, EX_CONFIG of sysexits(3): berth.service does not start it
// again.
inline constexpr int kRefusedExit = 78;

// Marks a failure whose reason only somebody can take away: what the configuration says, who may
// change what root acts on, a format or kernel that does not fit. Not what may pass by itself: a
// file system that is not mounted yet, an address or port that is not free yet, a disk's errors,
// another berthd that ends. What is OK stays so; annotating keeps the mark.
absl::Status refusal(absl::Status status);
bool isRefusal(const absl::Status& status);

}  // namespace berth::common
