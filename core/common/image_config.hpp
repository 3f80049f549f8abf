// The configuration blob of an image, as the OCI image specification ("Image Configuration") and
// Docker's schema 2 define it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

namespace berth::common {

struct ImageHistory {
  std::string created;
  std::string createdBy;
  std::string author;
  std::string comment;
  bool emptyLayer = false;
};

struct ImageConfig {
  std::string architecture;
  std::string os;
  std::string variant;
  std::string created;
  std::string author;
  // The members of "config": how a container of the image runs.
  std::vector<std::string> environment;  // "KEY=value"
  std::vector<std::string> entrypoint;
  std::vector<std::string> command;
  std::string user;  // "user", "uid", either with ":group" or ":gid"
  std::string workingDirectory;
  std::string stopSignal;
  std::vector<std::string> volumes;       // sorted
  std::vector<std::string> exposedPorts;  // "80/tcp", sorted
  std::map<std::string, std::string> labels;
  std::vector<std::string> diffIds;  // bottom layer first
  std::vector<ImageHistory> history;
};

// `what` names the document in errors. Members that are null or missing are empty, unknown ones
// are ignored; a member of another type than specified, or a diff ID that is no digest, is
// INVALID_ARGUMENT with its path. Any thread, does not block.
absl::StatusOr<ImageConfig> parseImageConfig(std::string_view text, std::string_view what);

}  // namespace berth::common
