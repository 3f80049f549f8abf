// pod.options: what a pod's checkpoint has.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace berth::checkpoint {

struct PodFolder {
  std::string format;                             // of the runtime's own files
  std::map<std::string, std::string> containers;  // name → folder of its tree
};

std::string podOptions(const PodFolder& folder);
// INVALID_ARGUMENT when it is no such document, or names a folder that is not directly beside it.
absl::StatusOr<PodFolder> parsePodOptions(std::string_view text);

// A pod's checkpoint on its way into a folder: its files stand in a folder within that until all of
// them are whole. A note, a file elsewhere, tells a later daemon of it. One thread.
class PodOutput {
 public:
  PodOutput(std::string folder, std::string note);
  // Takes back what has not been committed.
  ~PodOutput();
  PodOutput(const PodOutput&) = delete;
  PodOutput& operator=(const PodOutput&) = delete;

  // The folder to fill, which is made with the note. Once.
  absl::StatusOr<std::string> begin();
  // Moves everything to its place, durably. `pod.options`, which makes it a checkpoint, comes last.
  absl::Status commit();

 private:
  const std::string folder_;
  const std::string partial_;
  const std::string note_;
};

// Takes back what the note tells of, if anything; then the note goes. A checkpoint that was
// committed stays. Blocks.
absl::Status undoPodOutput(const std::string& note);

}  // namespace berth::checkpoint
