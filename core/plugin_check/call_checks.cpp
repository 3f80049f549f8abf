// Checks of calls that plugins of every kind have.
#include <cstring>

#include "berth/extensions.h"
#include "berth/image_signatures.h"
#include "berth/plugin.hpp"
#include "berth/support/status.hpp"
#include "plugin_check/check.hpp"
#include "plugin_check/probe.hpp"
#include "plugin_check/session.hpp"

namespace berth::check {

using support::strCat;

namespace {

constexpr std::string_view kKnown[] = {BERTH_EXTENSION_PAUSE,         BERTH_EXTENSION_CHECKPOINT,
                                       BERTH_EXTENSION_POD_RESOURCES, BERTH_EXTENSION_PORT_FORWARD,
                                       BERTH_EXTENSION_REMOTE_LAYERS, BERTH_EXTENSION_DIFF,
                                       BERTH_EXTENSION_VERIFY,        BERTH_EXTENSION_QUOTA,
                                       BERTH_EXTENSION_IMAGE_SIGNATURES};

void checkExtensions(Probe& probe) {
  const auto session = Session::begin(probe);
  if (session == nullptr) return;
  const berth_plugin& plugin = session->library().description();
  if (plugin.get_extension == nullptr) return;
  void* handle = session->instance().handle();
  const auto ask = [&](std::string_view id, uint32_t revision) -> const void* {
    probe.step(strCat("get_extension ", id, ", revision ", revision));
    try {
      return plugin.get_extension(handle, str(id), revision);
    } catch (...) {
      probe.fail("get_extension lets an exception out");
      return nullptr;
    }
  };
  for (const std::string_view id : {"", "example.berth.unknown", "berth."}) {
    probe.expect(ask(id, 1) == nullptr,
                 strCat("offers the extension \"", id, "\", which there is not"));
  }
  for (const std::string_view id : kKnown) {
    for (const uint32_t revision : {uint32_t{0}, uint32_t{9999}, UINT32_MAX}) {
      probe.expect(ask(id, revision) == nullptr,
                   strCat("offers ", id, " in the revision ", revision, ", which there is not"));
    }
    const void* table = ask(id, 1);
    if (table == nullptr) continue;
    probe.expect(ask(id, 1) == table, strCat("answers another table of ", id, " the second time"));
    size_t size = 0;
    std::memcpy(&size, table, sizeof size);
    probe.expect(size >= 2 * sizeof(size_t) && size < 65536,
                 strCat("the table of ", id, " has the size ", size));
  }
}

}  // namespace

std::vector<Check> callChecks() {
  return {
      {.name = "calls.extensions",
       .meaning = "Extensions and revisions that there are not are not offered.",
       .rule = "plugin.h, get_extension: a function table for something beyond the interface, or "
               "NULL",
       .run = &checkExtensions},
  };
}

}  // namespace berth::check
