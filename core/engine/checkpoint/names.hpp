// What the files of a checkpoint are called: in an archive, and in the folder that it is made from
// and unpacked to (the tree). The names are those that other engines and tools give them.
#pragma once

#include <array>
#include <string_view>

namespace berth::checkpoint {

inline constexpr std::string_view kImageFolder = "checkpoint";  // the runtime's own files
inline constexpr std::string_view kConfigDump = "config.dump";  // which container it was, JSON
inline constexpr std::string_view kSpecDump = "spec.dump";      // its OCI runtime spec
inline constexpr std::string_view kStatusDump = "status.dump";  // its CRI status, JSON
inline constexpr std::string_view kStatus = "status";           // the same in short
inline constexpr std::string_view kBindMounts = "bind.mounts";  // what the host lent it, JSON
inline constexpr std::string_view kRootfsDiff = "rootfs-diff.tar";
inline constexpr std::string_view kDeletedFiles = "deleted.files";  // JSON
inline constexpr std::string_view kDumpLog = "dump.log";
inline constexpr std::string_view kStatsDump = "stats-dump";
inline constexpr std::string_view kLog = "container.log";  // what it wrote so far
inline constexpr std::string_view kOtherLog = "io.kubernetes.cri-o.LogPath";

// In the order in which an archive has them: what says what it is comes first.
inline constexpr std::array kFiles = {kConfigDump, kSpecDump,     kStatusDump, kStatus,
                                      kBindMounts, kDeletedFiles, kRootfsDiff, kDumpLog,
                                      kStatsDump,  kLog,          kOtherLog};

// Of a pod: beside a tree for each container.
inline constexpr std::string_view kPodDump = "pod.dump";        // its CRI configuration, JSON
inline constexpr std::string_view kPodOptions = "pod.options";  // which containers there are, JSON

}  // namespace berth::checkpoint
