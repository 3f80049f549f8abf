// Sources of bind mounts shown with mapped ids, for runtimes that cannot map them themselves. They
// stand in a directory of their container's from shortly before its start until shortly after:
// a volume must not stay busy when the container has ended.
#pragma once

#include <string>
#include <vector>

#include <absl/status/status.h>

#include "engine/spec/types.hpp"

namespace berth::volumes {

// A user namespace that is there already, whose mappings can be used instead of those of a new one.
struct KnownNamespace {
  std::string path;  // empty: none
  support::IdRanges uids;
  support::IdRanges gids;
};

// Whether what lies in `directory` can be mounted with mapped ids: found out by a trial that leaves
// nothing. Blocks for a short-lived child; any thread.
bool idMappingWorks(const std::string& directory);

// Maps every source as attachMappedMounts() would, and lets go of it again: for an early answer.
absl::Status checkMappedMounts(const std::vector<spec::MappedMount>& mounts,
                               const KnownNamespace& known);

// Makes the targets and attaches the mapped sources to them. What is attached already, by a call
// that was cut off, stays. Mounts below a source that cannot be mapped, when the source itself can,
// show their files as belonging to nobody. On failure, and with a part of them attached,
// detachMappedMounts() is to follow. FAILED_PRECONDITION when a file system has no ID-mapped
// mounts, or a source is no longer what it was. Blocks; any thread.
absl::Status attachMappedMounts(const std::vector<spec::MappedMount>& mounts,
                                const KnownNamespace& known);

// Takes the mounts off again; idempotent. What the container has mounted of them stays.
absl::Status detachMappedMounts(const std::vector<spec::MappedMount>& mounts);

}  // namespace berth::volumes
