#include "berth/support/process_stat.hpp"

#include <cstdlib>
#include <string>
#include <vector>

#include <absl/strings/str_split.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::support {

uint64_t processStat(int64_t pid, size_t field) {
  constexpr size_t kFirst = 3;
  const auto text = readFile(strCat("/proc/", pid, "/stat"));
  if (!text.ok()) return 0;
  // The second field is the name in parentheses and may hold anything, blanks included.
  const size_t end = text->rfind(')');
  if (end == std::string::npos) return 0;
  const std::vector<std::string> fields =
      absl::StrSplit(text->substr(end + 1), ' ', absl::SkipEmpty());
  const size_t index = field - kFirst;
  return fields.size() > index ? std::strtoull(fields[index].c_str(), nullptr, 10) : 0;
}

uint64_t processStart(int64_t pid) {
  constexpr size_t kStartTime = 22;
  return processStat(pid, kStartTime);
}

bool isProcessEnding(int64_t pid) {
  constexpr size_t kFlags = 9;
  constexpr uint64_t kExiting = 0x4;  // PF_EXITING of the kernel's sched.h; zombies have it, too
  return (processStat(pid, kFlags) & kExiting) != 0 || processStart(pid) == 0;
}

std::string unifiedCgroupIn(std::string_view text) {
  constexpr std::string_view kUnified = "0::";
  for (const auto& line : absl::StrSplit(toAbsl(text), '\n')) {
    if (fromAbsl(line).starts_with(kUnified)) return std::string(line.substr(kUnified.size()));
  }
  return {};
}

}  // namespace berth::support
