// Checks of calls that plugins of every kind have.
#include <algorithm>
#include <cstring>
#include <iterator>

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

constexpr std::string_view kKnown[] = {
    BERTH_EXTENSION_PAUSE,        BERTH_EXTENSION_CHECKPOINT,    BERTH_EXTENSION_POD_RESOURCES,
    BERTH_EXTENSION_PORT_FORWARD, BERTH_EXTENSION_REMOTE_LAYERS, BERTH_EXTENSION_DIFF,
    BERTH_EXTENSION_VERIFY,       BERTH_EXTENSION_QUOTA,         BERTH_EXTENSION_IMAGE_SIGNATURES};

// The table that the plugin gives for an id; null for none.
class Asking {
 public:
  Asking(Probe& probe, Session& session)
      : probe_(probe),
        plugin_(session.library().description()),
        handle_(session.instance().handle()) {}

  const void* operator()(std::string_view id, uint32_t revision) {
    probe_.step(strCat("get_extension ", id, ", revision ", revision));
    if (plugin_.get_extension == nullptr) return nullptr;
    try {
      return plugin_.get_extension(handle_, str(id), revision);
    } catch (...) {
      probe_.fail("get_extension lets an exception out");
      return nullptr;
    }
  }
  // Asks for one that there may be; returns whether there is.
  bool offers(std::string_view id) {
    const void* table = (*this)(id, 1);
    if (table == nullptr) return false;
    probe_.expect((*this)(id, 1) == table,
                  strCat("answers another table of ", id, " the second time"));
    size_t size = 0;
    std::memcpy(&size, table, sizeof size);
    probe_.expect(size >= 2 * sizeof(size_t) && size < 65536,
                  strCat("the table of ", id, " has the size ", size));
    return true;
  }

 private:
  Probe& probe_;
  const berth_plugin& plugin_;
  void* const handle_;
};

void checkExtensions(Probe& probe) {
  const auto session = Session::begin(probe);
  if (session == nullptr) return;
  Asking ask(probe, *session);
  for (const std::string_view id : {"", "example.berth.unknown", "berth."}) {
    probe.expect(ask(id, 1) == nullptr,
                 strCat("offers the extension \"", id, "\", which there is not"));
  }
  for (const std::string_view id : kKnown) {
    for (const uint32_t revision : {uint32_t{0}, uint32_t{9999}, UINT32_MAX}) {
      probe.expect(ask(id, revision) == nullptr,
                   strCat("offers ", id, " in the revision ", revision, ", which there is not"));
    }
    (void)ask.offers(id);
  }
  for (const std::string& id : probe.settings().extensions) {
    const bool known = std::find(std::begin(kKnown), std::end(kKnown), id) != std::end(kKnown);
    const bool offered = ask.offers(id);
    if (known || probe.settings().pluginHost.empty()) {
      probe.expect(offered, strCat("does not offer the extension ", id));
    } else {
      probe.warn(strCat("the extension ", id,
                        " does not get out of the plugin's process: only those of the SDK do"));
    }
  }
}

}  // namespace

std::vector<Check> callChecks() {
  return {
      {.name = "calls.extensions",
       .meaning = "Extensions and revisions that there are not are not offered, and those of "
                  "--extension are.",
       .rule = "plugin.h, get_extension: a function table for something beyond the interface, or "
               "NULL",
       .run = &checkExtensions},
  };
}

}  // namespace berth::check
