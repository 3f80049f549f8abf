// config.dump: which container a checkpoint is of.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>
#include <boost/json/object.hpp>

namespace berth::checkpoint {

struct Description {
  std::string id;
  std::string name;
  std::string image;      // as the container's creator named it
  std::string imageRef;   // its id, or a reference with a digest
  std::string imageName;  // a name by which it can be pulled
  std::string runtime;    // the handler
  std::string format;     // of the runtime's own files; archives of others do not say: "criu"
  int64_t createdAt = 0;  // CLOCK_REALTIME, nanoseconds
  int64_t checkpointedAt = 0;
  bool restored = false;  // it had itself been made from a checkpoint
};

std::string configDump(const Description& description);
// INVALID_ARGUMENT when it is no such document or has no image.
absl::StatusOr<Description> parseConfigDump(std::string_view text);

// What a tree says of itself.
struct Tree {
  std::string directory;
  Description description;
  boost::json::object spec;  // OCI runtime spec
};

// INVALID_ARGUMENT when config.dump, spec.dump or the runtime's files are missing or are not what
// they should be. Blocks.
absl::StatusOr<Tree> readTree(const std::string& directory);

}  // namespace berth::checkpoint
