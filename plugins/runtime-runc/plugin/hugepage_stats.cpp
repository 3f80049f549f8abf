#include "hugepage_stats.hpp"

#include <algorithm>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "cgroup_text.hpp"

namespace berth::runc {

using support::strCat;

namespace {

// As the kernel's hugetlb controller writes sizes.
std::string sizeName(uint64_t kibibytes) {
  constexpr uint64_t kMebi = 1024;
  constexpr uint64_t kGibi = kMebi * 1024;
  if (kibibytes >= kGibi) return strCat(kibibytes / kGibi, "GB");
  if (kibibytes >= kMebi) return strCat(kibibytes / kMebi, "MB");
  return strCat(kibibytes, "KB");
}

bool readNumber(const std::string& file, uint64_t& value) {
  const auto text = support::readFile(file);
  return text.ok() && parseNumber(*text, value);
}

bool readV1(const std::string& prefix, berth_hugepage_stats& stats) {
  if (!readNumber(strCat(prefix, ".usage_in_bytes"), stats.usage)) return false;
  readNumber(strCat(prefix, ".max_usage_in_bytes"), stats.max_usage);
  readNumber(strCat(prefix, ".failcnt"), stats.failures);
  return true;
}

bool readV2(const std::string& prefix, berth_hugepage_stats& stats) {
  if (!readNumber(strCat(prefix, ".current"), stats.usage)) return false;
  if (const auto events = support::readFile(strCat(prefix, ".events")); events.ok()) {
    parseFlat(*events, {{"max", &stats.failures}});
  }
  return true;
}

}  // namespace

std::vector<std::string> hugepageSizes() {
  constexpr std::string_view kPrefix = "hugepages-";
  std::vector<uint64_t> sizes;
  const auto names = support::listDirectory("/sys/kernel/mm/hugepages");
  if (!names.ok()) return {};
  for (const std::string& name : *names) {
    uint64_t kibibytes = 0;
    if (name.starts_with(kPrefix) && parseNumber(name.substr(kPrefix.size()), kibibytes)) {
      sizes.push_back(kibibytes);
    }
  }
  std::sort(sizes.begin(), sizes.end());
  std::vector<std::string> result;
  result.reserve(sizes.size());
  for (const uint64_t size : sizes) result.push_back(sizeName(size));
  return result;
}

std::vector<HugepageStats> readHugepages(const CgroupLayout& layout, const std::string& path,
                                         const std::vector<std::string>& sizes) {
  std::vector<HugepageStats> result;
  // On v1 the controller may nevertheless be the unified hierarchy's.
  const bool unified = layout.mode() == CgroupMode::kUnified;
  const std::string v1 = unified ? std::string() : layout.directory("hugetlb", path);
  const std::string directory = v1.empty() ? layout.unifiedDirectory(path) : v1;
  if (directory.empty()) return result;
  for (const std::string& size : sizes) {
    HugepageStats one{.pageSize = size};
    one.counters.size = sizeof one.counters;
    const std::string prefix = strCat(directory, "/hugetlb.", size);
    if (v1.empty() ? readV2(prefix, one.counters) : readV1(prefix, one.counters)) {
      result.push_back(std::move(one));
    }
  }
  return result;
}

}  // namespace berth::runc
