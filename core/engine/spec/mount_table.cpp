#include "engine/spec/mount_table.hpp"

#include <fcntl.h>
#include <optional>
#include <sys/stat.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "common/text.hpp"
#include "engine/spec/text.hpp"

namespace berth::spec {
namespace {

// The kernel writes blanks, tabs, line ends and backslashes as three octal digits.
std::string unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](size_t n) { return text[i + n] >= '0' && text[i + n] <= '7'; };
    if (text[i] == '\\' && i + 3 < text.size() && digit(1) && digit(2) && digit(3)) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

std::optional<uint64_t> mountId(const std::string& path) {
  struct statx status {};
  if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
              STATX_MNT_ID, &status) != 0 ||
      (status.stx_mask & STATX_MNT_ID) == 0)
    return std::nullopt;
  return status.stx_mnt_id;
}

}  // namespace

MountTable MountTable::parse(std::string_view mountInfo) {
  MountTable table;
  for (std::string_view line : common::split(mountInfo, '\n')) {
    const std::vector<std::string_view> fields = common::split(line, ' ');
    const auto id = common::parseNumber<uint64_t>(fields[0]);
    if (fields.size() < 7 || !id) continue;
    MountEntry entry{.id = *id, .point = unescape(fields[4])};
    // Optional fields lie between the mount options and a lone "-".
    for (size_t i = 6; i < fields.size() && fields[i] != "-"; ++i) {
      entry.shared |= fields[i].starts_with("shared:");
      entry.slave |= fields[i].starts_with("master:");
    }
    table.entries_.push_back(std::move(entry));
  }
  return table;
}

absl::StatusOr<MountTable> MountTable::read() {
  BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile("/proc/self/mountinfo"));
  return parse(text);
}

const MountEntry* MountTable::covering(const std::string& path) const {
  if (const std::optional<uint64_t> id = mountId(path))
    for (const MountEntry& entry : entries_)
      if (entry.id == *id) return &entry;
  const MountEntry* best = nullptr;
  for (const MountEntry& entry : entries_) {
    // Of mounts on the same point the last one is on top.
    if (liesBelow(path, entry.point) &&
        (best == nullptr || entry.point.size() >= best->point.size()))
      best = &entry;
  }
  return best;
}

std::vector<std::string> MountTable::pointsBelow(const std::string& path) const {
  std::vector<std::string> points;
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry)
    if (liesBelow(entry->point, path)) points.push_back(entry->point);
  return points;
}

}  // namespace berth::spec
