#include "systemd_unit.hpp"

#include <memory>
#include <systemd/sd-bus.h>
#include <utility>
#include <vector>

#include "berth/support/status.hpp"

namespace berth::runc {

using support::strCat;

namespace {

using Property = std::pair<const char*, uint64_t>;

constexpr uint64_t kNoLimit = UINT64_MAX;
constexpr int64_t kSecond = 1000000;  // microseconds

uint64_t limitOf(int64_t limit) {
  return limit < 0 ? kNoLimit : static_cast<uint64_t>(limit);
}

std::vector<Property> propertiesOf(const PodLimits& limits, CgroupMode mode) {
  const bool unified = mode == CgroupMode::kUnified;
  std::vector<Property> properties;
  if (limits.memory) {
    properties.emplace_back(unified ? "MemoryMax" : "MemoryLimit", limitOf(*limits.memory));
  }
  if (limits.shares && unified)
    properties.emplace_back("CPUWeight", limitOf(cpuWeight(*limits.shares)));
  if (limits.shares && !unified) properties.emplace_back("CPUShares", limitOf(*limits.shares));
  if (limits.quota) {
    const int64_t period = limits.period.value_or(kDefaultCpuPeriod);
    const bool bound = *limits.quota > 0 && period > 0;
    properties.emplace_back(
        "CPUQuotaPerSecUSec",
        bound ? static_cast<uint64_t>(*limits.quota * kSecond / period) : kNoLimit);
    if (bound) properties.emplace_back("CPUQuotaPeriodUSec", static_cast<uint64_t>(period));
  }
  if (limits.pids) {
    properties.emplace_back("TasksMax", *limits.pids <= 0 ? kNoLimit : limitOf(*limits.pids));
  }
  return properties;
}

// A function, because sd_bus_message_unref() returns its argument.
void release(sd_bus_message* message) {
  ::sd_bus_message_unref(message);
}
void release(sd_bus* bus) {
  ::sd_bus_flush_close_unref(bus);
}
template <class T>
struct Release {
  void operator()(T* object) const { release(object); }
};
template <class T>
using Owner = std::unique_ptr<T, Release<T>>;

int append(sd_bus_message* message, const std::string& unit,
           const std::vector<Property>& properties) {
  int result = ::sd_bus_message_append(message, "sb", unit.c_str(), /*runtime=*/1);
  if (result >= 0) result = ::sd_bus_message_open_container(message, 'a', "(sv)");
  for (const auto& [name, value] : properties) {
    if (result >= 0) result = ::sd_bus_message_append(message, "(sv)", name, "t", value);
  }
  return result < 0 ? result : ::sd_bus_message_close_container(message);
}

}  // namespace

absl::Status setUnitLimits(const std::string& unit, const PodLimits& limits, CgroupMode mode) {
  const std::vector<Property> properties = propertiesOf(limits, mode);
  if (properties.empty()) return absl::OkStatus();
  sd_bus* opened = nullptr;
  int result = ::sd_bus_open_system(&opened);
  const Owner<sd_bus> bus(opened);
  if (result < 0) {
    const absl::Status why = support::errnoStatus(-result, "connect to systemd over D-Bus");
    return absl::UnavailableError(strCat("set the limits of ", unit, ": ", why.message()));
  }
  sd_bus_message* made = nullptr;
  result = ::sd_bus_message_new_method_call(
      bus.get(), &made, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
      "org.freedesktop.systemd1.Manager", "SetUnitProperties");
  const Owner<sd_bus_message> message(made);
  if (result >= 0) result = append(message.get(), unit, properties);
  if (result < 0) return support::errnoStatus(-result, strCat("write a message about ", unit));
  sd_bus_error error = SD_BUS_ERROR_NULL;
  result = ::sd_bus_call(bus.get(), message.get(), 0, &error, nullptr);
  const std::string words = error.message != nullptr ? error.message : "no reason given";
  ::sd_bus_error_free(&error);
  if (result >= 0) return absl::OkStatus();
  return support::annotate(support::errnoStatus(-result, words),
                           strCat("have systemd set the limits of ", unit));
}

}  // namespace berth::runc
