// What is kept on disk beside a layer and a snapshot.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "berth/support/user_namespace.hpp"
#include "berth/untar/usage.hpp"
#include "content_list.hpp"

namespace berth::overlay {

using untar::DiskUsage;

struct LayerRecord {
  std::string diffId;
  DiskUsage usage;
  std::vector<std::string> impliedDirectories;  // see untar::ExtractResult
  std::optional<ContentSummary> content;        // none: unpacked before there were lists
};

using support::IdRanges;

struct SnapshotRecord {
  std::string key;
  std::vector<std::string> layers;  // diff IDs, lowest first
  bool readOnly = false;
  IdRanges uidMappings;
  IdRanges gidMappings;
  std::string selinuxLabel;
  bool mapped() const { return !uidMappings.empty() || !gidMappings.empty(); }
};

bool sameSnapshot(const SnapshotRecord& one, const SnapshotRecord& other);

std::string encode(const LayerRecord& record);
std::string encode(const SnapshotRecord& record);

// DATA_LOSS when the file is not such a record, NOT_FOUND when it is missing, FAILED_PRECONDITION
// when a newer plugin wrote it, other codes when it could not be read.
absl::StatusOr<LayerRecord> readLayerRecord(const std::string& directory);
absl::StatusOr<SnapshotRecord> readSnapshotRecord(const std::string& directory);

// Whether such an error says that there is no whole record. What others are about is to be left
// alone: it may be as good as ever.
bool isDamage(const absl::Status& status);

std::string layerRecordPath(const std::string& directory);
std::string snapshotRecordPath(const std::string& directory);

}  // namespace berth::overlay
