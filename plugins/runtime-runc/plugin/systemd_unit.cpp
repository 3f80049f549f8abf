#include "systemd_unit.hpp"

#include <memory>
#include <systemd/sd-bus.h>
#include <variant>

#include "berth/support/status.hpp"

namespace berth::runc {

using support::strCat;

namespace {

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

int append(sd_bus_message* message, const UnitProperty& property) {
  int result = ::sd_bus_message_open_container(message, 'r', "sv");
  if (result >= 0) result = ::sd_bus_message_append(message, "s", property.name.c_str());
  if (const auto* number = std::get_if<uint64_t>(&property.value)) {
    if (result >= 0) result = ::sd_bus_message_append(message, "v", "t", *number);
  } else {
    const auto& bits = std::get<std::vector<uint8_t>>(property.value);
    if (result >= 0) result = ::sd_bus_message_open_container(message, 'v', "ay");
    if (result >= 0) {
      result = ::sd_bus_message_append_array(message, 'y', bits.data(), bits.size());
    }
    if (result >= 0) result = ::sd_bus_message_close_container(message);
  }
  return result < 0 ? result : ::sd_bus_message_close_container(message);
}

int append(sd_bus_message* message, const std::string& unit,
           const std::vector<UnitProperty>& properties) {
  int result = ::sd_bus_message_append(message, "sb", unit.c_str(), /*runtime=*/1);
  if (result >= 0) result = ::sd_bus_message_open_container(message, 'a', "(sv)");
  for (const UnitProperty& property : properties) {
    if (result >= 0) result = append(message, property);
  }
  return result < 0 ? result : ::sd_bus_message_close_container(message);
}

}  // namespace

absl::Status setUnitProperties(const std::string& unit,
                               const std::vector<UnitProperty>& properties) {
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
