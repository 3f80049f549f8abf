// Extended headers (POSIX.1-2017, "pax Extended Header").
#pragma once

#include <cstdint>
#include <ctime>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "sparse.hpp"

namespace berth::untar {

// What the records that matter here say. Records of others are skipped.
struct PaxRecords {
  std::optional<std::string> path;
  std::optional<std::string> linkTarget;
  std::optional<uint64_t> size;
  std::optional<uint64_t> uid;
  std::optional<uint64_t> gid;
  std::optional<timespec> modified;
  std::map<std::string, std::string, std::less<>> xattrs;

  std::optional<std::string> sparseName;
  std::optional<uint64_t> sparseSize;
  std::optional<uint64_t> sparseMajor;
  std::optional<uint64_t> sparseMinor;
  std::optional<SparseMap> sparseMap;    // formats 0.0 and 0.1
  std::optional<uint64_t> sparseOffset;  // of format 0.0, until its size follows
};

// Adds the records of one extended header; later ones replace earlier ones, and an empty value
// takes a record back.
absl::Status parsePaxRecords(std::string_view text, PaxRecords& records);

// What a copy of their texts and of the map takes.
uint64_t bytesOf(const PaxRecords& records);

}  // namespace berth::untar
