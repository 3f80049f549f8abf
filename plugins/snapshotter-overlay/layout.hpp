// Where things stand below the plugin's root:
//
//   lock                        held by the one instance that uses the root
//   layers/sha256-<hex>/fs      a whole layer; beside it its record, layer.json, and the list of
//                               what it holds, content
//   layers/sha256-<hex>~<id>    a damaged one whose place another has taken, while a snapshot names
//                               it: it may be mounted
//   snapshots/<key>/upper,work  a snapshot, and snapshot.json beside them
//   staging/                    what is being made or removed; emptied at start
//   empty/                      stands in for a layer where there is none
//   mnt/                        where mounts are put together in a namespace of their own
//   abilities.json              what the kernel could do when it was last tried (probe.cpp)
#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"

namespace berth::overlay {

// How to get at a layer's directory from its diff ID. INVALID_ARGUMENT when it is no digest.
absl::Status checkDigest(std::string_view digest);
// INVALID_ARGUMENT when it cannot be the name of a directory.
absl::Status checkKey(std::string_view key);

class Layout {
 public:
  explicit Layout(std::string root) : root_(std::move(root)) {}

  const std::string& root() const { return root_; }
  std::string layers() const { return root_ + "/layers"; }
  std::string layer(std::string_view digest) const;
  // A fresh path for a damaged layer whose place another is to take.
  std::string replacedLayer(std::string_view digest) const;
  std::string snapshots() const { return root_ + "/snapshots"; }
  std::string snapshot(std::string_view key) const;
  std::string staging() const { return root_ + "/staging"; }
  std::string empty() const { return root_ + "/empty"; }
  std::string mountPoint() const { return root_ + "/mnt"; }

  // Makes the directories and takes the lock, which lives as long as the descriptor.
  // FAILED_PRECONDITION while another instance holds it.
  absl::StatusOr<support::Fd> create() const;

  // A fresh path in staging; nothing is there yet.
  std::string stagingPath() const;

  // Takes a directory out of sight at once and durably enough that what is removed afterwards is
  // never seen half; returns its path in staging, "" when it was not there.
  absl::StatusOr<std::string> discard(const std::string& path) const;

 private:
  std::string root_;
};

// The digest of a layer's directory: "sha256-ab…" is "sha256:ab…", and so is "sha256-ab…~…".
std::string digestOf(std::string_view directoryName);
bool isReplaced(std::string_view directoryName);

}  // namespace berth::overlay
