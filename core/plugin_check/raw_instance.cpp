#include "plugin_check/raw_instance.hpp"

#include "berth/plugin.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"

namespace berth::check {

using support::strCat;

absl::Status judgedStatus(Probe& probe, std::string_view call, berth_code code,
                          std::string_view message) {
  if (code == BERTH_OK) return absl::OkStatus();
  if (code < BERTH_OK || code > BERTH_UNAUTHENTICATED) {
    probe.fail(strCat(call, " returns ", code, ", which is no code"));
    return absl::InternalError(support::validUtf8(message));
  }
  probe.expect(!message.empty(), strCat(call, " fails with code ", code, " and says nothing"));
  probe.expect(
      support::isUtf8(message),
      strCat(call, " fails with a message that is not UTF-8: ", support::validUtf8(message)));
  return {static_cast<absl::StatusCode>(code), support::toAbsl(message)};
}

absl::Status RawInstance::call(std::string_view step,
                               const std::function<berth_code(berth_error*)>& body) {
  probe_.step(step);
  detail::ErrorSlot slot;
  try {
    const berth_code code = body(slot.get());
    return judgedStatus(probe_, step, code, slot.status(code).message());
  } catch (...) {
    probe_.fail(strCat(step, " lets an exception out"));
    return absl::InternalError("an exception");
  }
}

absl::Status RawInstance::create() {
  // Asked by a process only that has followed another one, whose end was told as a failure.
  const isolation::Turns atOnce = [](std::string_view, const auto&, const auto& body) {
    body();
    return true;
  };
  return call("create", [&](berth_error* error) {
    return library_.create(host_.table(), atOnce, &handle_, error);
  });
}

absl::Status RawInstance::configure(std::string_view options) {
  return call("configure",
              [&](berth_error* error) { return plugin_.configure(handle_, str(options), error); });
}

absl::Status RawInstance::prepare(std::string_view options) {
  BERTH_RETURN_IF_ERROR(create());
  return configure(options);
}

absl::Status RawInstance::start() {
  probe_.step("start");
  BERTH_RETURN_IF_ERROR(host_.makeDirectories());
  host_.enter(Phase::kRunning);
  return call("start", [&](berth_error* error) { return plugin_.start(handle_, error); });
}

void RawInstance::stop() {
  call("stop", [&](berth_error*) -> berth_code {
    plugin_.stop(handle_);
    return BERTH_OK;
  }).IgnoreError();
  host_.enter(Phase::kStopped);
}

void RawInstance::destroy() {
  call("destroy", [&](berth_error*) -> berth_code {
    plugin_.destroy(handle_);
    return BERTH_OK;
  }).IgnoreError();
  host_.enter(Phase::kDestroyed);
}

}  // namespace berth::check
