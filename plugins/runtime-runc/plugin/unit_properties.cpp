#include "unit_properties.hpp"

#include <array>
#include <optional>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_split.h>

#include "berth/support/status.hpp"

namespace berth::runc {

using support::strCat;

namespace {

constexpr int64_t kSecond = 1000000;  // microseconds
constexpr uint32_t kMostInSet = 8192;
constexpr size_t kBitsOfByte = 8;

uint64_t limitOf(int64_t limit) {
  return limit < 0 ? kNoUnitLimit : static_cast<uint64_t>(limit);
}

// "0-3,7" (cpuset(7), "List format").
absl::StatusOr<std::vector<uint8_t>> bitsOf(const std::string& list) {
  std::vector<uint8_t> bits;
  for (const absl::string_view range : absl::StrSplit(list, ',')) {
    const std::pair<absl::string_view, absl::string_view> ends =
        absl::StrSplit(range, absl::MaxSplits('-', 1));
    uint32_t first = 0;
    uint32_t last = 0;
    const bool isRange = range.find('-') != absl::string_view::npos;
    if (!absl::SimpleAtoi(ends.first, &first) ||
        !absl::SimpleAtoi(isRange ? ends.second : ends.first, &last) || first > last ||
        last >= kMostInSet) {
      return absl::InvalidArgumentError(
          strCat("\"", list, "\" is no set of CPUs or memory nodes such as \"0-3,7\""));
    }
    if (bits.size() <= last / kBitsOfByte) bits.resize(last / kBitsOfByte + 1);
    for (uint32_t one = first; one <= last; ++one) {
      bits[one / kBitsOfByte] |= static_cast<uint8_t>(1u << (one % kBitsOfByte));
    }
  }
  return bits;
}

class Properties {
 public:
  // Of two for one property the later one counts, with systemd as here.
  void add(std::string name, uint64_t value) { all_.push_back({std::move(name), value}); }
  absl::Status addSet(std::string name, const std::string& list) {
    if (list.empty()) return absl::OkStatus();
    BERTH_ASSIGN_OR_RETURN(std::vector<uint8_t> bits, bitsOf(list));
    all_.push_back({std::move(name), std::move(bits)});
    return absl::OkStatus();
  }
  void addQuota(int64_t quota, int64_t period) {
    const bool bound = quota > 0 && period > 0 && quota <= INT64_MAX / kSecond;
    add("CPUQuotaPerSecUSec",
        bound ? static_cast<uint64_t>(quota * kSecond / period) : kNoUnitLimit);
    addPeriod(period);
  }
  void addPeriod(int64_t period) {
    if (period > 0) add("CPUQuotaPeriodUSec", static_cast<uint64_t>(period));
  }
  std::vector<UnitProperty> take() { return std::move(all_); }

 private:
  std::vector<UnitProperty> all_;
};

std::optional<uint64_t> numberOrMax(std::string_view text) {
  uint64_t number = 0;
  if (text == "max") return kNoUnitLimit;
  if (absl::SimpleAtoi(support::toAbsl(text), &number)) return number;
  return std::nullopt;
}

// "<quota or max> <period>", as the file has it.
bool addCpuMax(const std::string& text, Properties& properties) {
  const std::vector<std::string> parts = absl::StrSplit(text, ' ', absl::SkipEmpty());
  int64_t period = kDefaultCpuPeriod;
  int64_t quota = -1;
  if (parts.empty() || parts.size() > 2) return false;
  if (parts[0] != "max" && !absl::SimpleAtoi(parts[0], &quota)) return false;
  if (parts.size() == 2 && !absl::SimpleAtoi(parts[1], &period)) return false;
  properties.addQuota(quota, period);
  return true;
}

// Whether systemd has a property for this file of cgroup v2 and its content.
absl::StatusOr<bool> addUnified(const std::string& file, const std::string& text,
                                Properties& properties) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kNumbers = {
      {{"memory.min", "MemoryMin"},
       {"memory.low", "MemoryLow"},
       {"memory.high", "MemoryHigh"},
       {"memory.max", "MemoryMax"},
       {"memory.swap.max", "MemorySwapMax"},
       {"pids.max", "TasksMax"},
       {"cpu.weight", "CPUWeight"}}};
  for (const auto& [name, property] : kNumbers) {
    if (name != file) continue;
    const std::optional<uint64_t> value = numberOrMax(text);
    if (value) properties.add(std::string(property), *value);
    return value.has_value();
  }
  if (file == "cpu.max") return addCpuMax(text, properties);
  const bool cpus = file == "cpuset.cpus";
  if (!cpus && file != "cpuset.mems") return false;
  BERTH_RETURN_IF_ERROR(properties.addSet(cpus ? "AllowedCPUs" : "AllowedMemoryNodes", text));
  return !text.empty();
}

}  // namespace

absl::StatusOr<UnitLimits> unitLimits(const PodLimits& limits, CgroupMode mode) {
  const bool unified = mode == CgroupMode::kUnified;
  UnitLimits result;
  Properties properties;
  if (limits.memory) properties.add(unified ? "MemoryMax" : "MemoryLimit", limitOf(*limits.memory));
  if (limits.swap && unified) properties.add("MemorySwapMax", limitOf(*limits.swap));
  if (limits.shares && unified) properties.add("CPUWeight", limitOf(cpuWeight(*limits.shares)));
  if (limits.shares && !unified) properties.add("CPUShares", limitOf(*limits.shares));
  if (limits.quota) {
    properties.addQuota(*limits.quota, limits.period.value_or(kDefaultCpuPeriod));
  } else if (limits.period) {
    properties.addPeriod(*limits.period);
  }
  if (limits.pids) {
    properties.add("TasksMax", *limits.pids <= 0 ? kNoUnitLimit : limitOf(*limits.pids));
  }
  result.rest.hugepages = limits.hugepages;
  if (unified) {
    BERTH_RETURN_IF_ERROR(properties.addSet("AllowedCPUs", limits.cpus));
    BERTH_RETURN_IF_ERROR(properties.addSet("AllowedMemoryNodes", limits.mems));
  } else {
    // systemd knows nothing of this controller on v1.
    result.rest.cpus = limits.cpus;
    result.rest.mems = limits.mems;
  }
  for (const auto& [file, text] : limits.unified) {
    BERTH_ASSIGN_OR_RETURN(const bool known, addUnified(file, text, properties));
    if (!known) result.rest.unified.emplace(file, text);
  }
  result.properties = properties.take();
  return result;
}

}  // namespace berth::runc
