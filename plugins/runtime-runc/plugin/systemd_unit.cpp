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

absl::StatusOr<Owner<sd_bus>> connect() {
  sd_bus* opened = nullptr;
  const int result = ::sd_bus_open_system(&opened);
  Owner<sd_bus> bus(opened);
  if (result >= 0) return bus;
  return absl::UnavailableError(
      support::errnoStatus(-result, "connect to systemd over D-Bus").message());
}

// What a call of sd_bus_call_method() or the like has come to.
absl::Status statusOf(int result, sd_bus_error& error, const std::string& doing) {
  const std::string words = error.message != nullptr ? error.message : "no reason given";
  ::sd_bus_error_free(&error);
  if (result >= 0) return absl::OkStatus();
  return support::annotate(support::errnoStatus(-result, words), doing);
}

}  // namespace

absl::Status setUnitProperties(const std::string& unit,
                               const std::vector<UnitProperty>& properties) {
  if (properties.empty()) return absl::OkStatus();
  auto connected = connect();
  if (!connected.ok())
    return support::annotate(connected.status(), strCat("set the limits of ", unit));
  const Owner<sd_bus> bus = *std::move(connected);
  sd_bus_message* made = nullptr;
  int result = ::sd_bus_message_new_method_call(
      bus.get(), &made, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
      "org.freedesktop.systemd1.Manager", "SetUnitProperties");
  const Owner<sd_bus_message> message(made);
  if (result >= 0) result = append(message.get(), unit, properties);
  if (result < 0) return support::errnoStatus(-result, strCat("write a message about ", unit));
  sd_bus_error error{};
  result = ::sd_bus_call(bus.get(), message.get(), 0, &error, nullptr);
  return statusOf(result, error, strCat("have systemd set the limits of ", unit));
}

// Between two messages systemd does what the first one has left to be done.
absl::Status awaitUnits(std::chrono::microseconds limit) {
  BERTH_ASSIGN_OR_RETURN(const Owner<sd_bus> bus, connect());
  ::sd_bus_set_method_call_timeout(bus.get(), static_cast<uint64_t>(limit.count()));
  sd_bus_error error{};
  const int result =
      ::sd_bus_call_method(bus.get(), "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                           "org.freedesktop.DBus.Peer", "Ping", &error, nullptr, "");
  return statusOf(result, error, "wait for systemd");
}

}  // namespace berth::runc
