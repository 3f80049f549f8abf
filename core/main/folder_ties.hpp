// Which root and which state belong together.
//
// A daemon would end the pods that it finds in its state and has no record of, and would not find
// those that it has records of and that are elsewhere. So both folders have a file, identity.json:
// the root's says who it is and which state it had last, the state's whose it is and since which
// boot, for pods do not outlive one. A state without it is anybody's: a new one, or one of a
// version that knew no such file.
#pragma once

#include <string>

#include <absl/status/status.h>

namespace berth::program {

// FAILED_PRECONDITION, with what to do about it, when there are pods in `state` and it belongs to
// another root than `root`. Reads files; without the right to, all is well.
absl::Status refusePodsOfAnotherRoot(const std::string& root, const std::string& state);

// The same when there are pods in another state than `state` that belongs to `root`.
absl::Status refusePodsInAnotherState(const std::string& root, const std::string& state);

// Notes, durably, that they belong together, which nothing has refused; whoever does so has both to
// itself. Writes only what is not there yet. Cut off at any point, nothing is refused that was not
// before.
absl::Status tieFolders(const std::string& root, const std::string& state);

}  // namespace berth::program
