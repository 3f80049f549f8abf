// Checks of what the entry returns.
#include <algorithm>
#include <cstring>
#include <link.h>
#include <regex>

#include "berth/plugin.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "plugin_check/check.hpp"
#include "plugin_check/entry.hpp"
#include "plugin_check/probe.hpp"

namespace berth::check {

using support::strCat;

namespace {

// What the entry returns; null, and the check is skipped, where another check says why.
const berth_plugin* describe(Probe& probe) {
  probe.step("call the entry");
  const auto plugin = callEntry(probe.settings().file);
  if (plugin.ok()) return *plugin;
  probe.skip(strCat("the entry ", support::fromAbsl(plugin.status().message())));
  return nullptr;
}

void checkEntry(Probe& probe) {
  const auto entry = findEntry(probe.settings().file);
  if (!entry.ok()) return probe.skip(support::fromAbsl(entry.status().message()));
  probe.step("call the entry");
  const auto plugin = callEntry(probe.settings().file);
  if (!probe.succeeds(plugin.status(), "the entry")) return;
  const std::pair<uint32_t, uint32_t> hosts[] = {{BERTH_ABI_MAJOR, BERTH_ABI_MINOR},
                                                 {BERTH_ABI_MAJOR, BERTH_ABI_MINOR + 20},
                                                 {BERTH_ABI_MAJOR, 0},
                                                 {BERTH_ABI_MAJOR + 1, 0}};
  for (const auto& [major, minor] : hosts) {
    const std::string call = strCat("the entry for a host of ABI ", major, ".", minor);
    probe.step(call);
    try {
      const berth_plugin* again = (*entry)(major, minor);
      probe.expect(again == nullptr || again == *plugin,
                   strCat(call, " returns another description than before"));
      const bool fits = major == BERTH_ABI_MAJOR && minor >= BERTH_ABI_MINOR;
      probe.expect(!fits || again != nullptr, strCat(call, " returns nothing"));
    } catch (...) {
      probe.fail(strCat(call, " throws an exception"));
    }
  }
}

void checkVersions(Probe& probe) {
  const berth_plugin* given = describe(probe);
  if (given == nullptr) return;
  const berth_plugin plugin = detail::known(given);
  if (!probe.expect(plugin.abi_major == BERTH_ABI_MAJOR,
                    strCat("was built for ABI ", plugin.abi_major, ".", plugin.abi_minor,
                           "; this checker knows ABI ", BERTH_ABI_MAJOR)))
    return;
  probe.expect(plugin.required_minor <= BERTH_ABI_MINOR,
               strCat("requires ABI ", plugin.abi_major, ".", plugin.required_minor,
                      " of its host; this is ", BERTH_ABI_MAJOR, ".", BERTH_ABI_MINOR));
  probe.expect(plugin.required_minor <= plugin.abi_minor,
               strCat("requires the minor version ", plugin.required_minor,
                      " and was built with the headers of ", plugin.abi_minor));
}

// Whether [start, start + size) lies within what one file has brought into memory.
struct Range {
  uintptr_t start, size;
  bool found = false;
};

bool isMapped(const void* start, size_t size) {
  Range range{reinterpret_cast<uintptr_t>(start), size};
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        auto& wanted = *static_cast<Range*>(data);
        for (size_t i = 0; i < info->dlpi_phnum; ++i) {
          const auto& segment = info->dlpi_phdr[i];
          const uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
          if (segment.p_type == PT_LOAD && wanted.start >= begin &&
              wanted.size <= segment.p_memsz &&
              wanted.start - begin <= segment.p_memsz - wanted.size)
            wanted.found = true;
        }
        return 0;
      },
      &range);
  return range.found;
}

bool isCode(const void* function) {
  Range range{reinterpret_cast<uintptr_t>(function), 1};
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        auto& wanted = *static_cast<Range*>(data);
        for (size_t i = 0; i < info->dlpi_phnum; ++i) {
          const auto& segment = info->dlpi_phdr[i];
          const uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
          if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0 && wanted.start >= begin &&
              wanted.start < begin + segment.p_memsz)
            wanted.found = true;
        }
        return 0;
      },
      &range);
  return range.found;
}

void judgeSize(Probe& probe, std::string_view what, const void* start, size_t least) {
  if (!probe.expect(isMapped(start, sizeof(size_t)),
                    strCat(what, " does not lie in the memory of a loaded file")))
    return;
  size_t size = 0;
  std::memcpy(&size, start, sizeof size);
  if (!probe.expect(size >= least, strCat(what, " has the size ", size, "; at least ", least,
                                          " bytes are mandatory")))
    return;
  probe.expect(size % alignof(void*) == 0,
               strCat(what, " has the size ", size, ", which no struct of pointers has"));
  probe.expect(isMapped(start, size),
               strCat(what, " has the size ", size, ", more than there is of it"));
}

// The end of the last callback that a plugin of the kind must have.
size_t leastTable(plugins::Kind kind) {
  size_t least = sizeof(size_t);
  for (const plugins::Callback& callback : plugins::mandatoryCallbacks(kind))
    least = std::max(least, callback.offset + sizeof(void*));
  return least;
}

void checkSizes(Probe& probe) {
  const berth_plugin* given = describe(probe);
  if (given == nullptr) return;
  judgeSize(probe, "berth_plugin", given, offsetof(berth_plugin, get_extension));
  const berth_plugin plugin = detail::known(given);
  const auto kind = plugins::kindOf(view(plugin.interface_id));
  if (!kind.has_value() || plugin.functions == nullptr) return;
  judgeSize(probe, strCat("the function table of ", interfaceId(*kind)), plugin.functions,
            leastTable(*kind));
}

void checkCallbacks(Probe& probe) {
  const berth_plugin* given = describe(probe);
  if (given == nullptr) return;
  const berth_plugin plugin = detail::known(given);
  const auto judge = [&](const char* table, std::string_view name, const void* function,
                         bool mandatory) {
    if (function == nullptr && mandatory)
      probe.fail(strCat("lacks the mandatory callback `", name, "` of ", table));
    if (function != nullptr && !isCode(function))
      probe.fail(strCat("has a callback `", name, "` of ", table, " that points to no code"));
  };
  const auto pointer = [](auto function) { return reinterpret_cast<const void*>(function); };
  judge("berth_plugin", "create", pointer(plugin.create), true);
  judge("berth_plugin", "configure", pointer(plugin.configure), true);
  judge("berth_plugin", "start", pointer(plugin.start), true);
  judge("berth_plugin", "stop", pointer(plugin.stop), true);
  judge("berth_plugin", "destroy", pointer(plugin.destroy), true);
  judge("berth_plugin", "get_extension", pointer(plugin.get_extension), false);
  judge("berth_plugin", "examine", pointer(plugin.examine), false);
  const auto kind = plugins::kindOf(view(plugin.interface_id));
  if (!kind.has_value()) return;
  if (!probe.expect(plugin.functions != nullptr, "its function table is NULL")) return;
  const std::string table(interfaceId(*kind));
  size_t size = 0;
  std::memcpy(&size, plugin.functions, sizeof size);
  for (const plugins::Callback& callback : plugins::mandatoryCallbacks(*kind)) {
    const void* function = nullptr;
    // One that is cut off is a matter of the table's size.
    if (callback.offset + sizeof function > size) continue;
    std::memcpy(&function, static_cast<const char*>(plugin.functions) + callback.offset,
                sizeof function);
    judge(table.c_str(), callback.name, function, true);
  }
}

void checkTexts(Probe& probe) {
  const berth_plugin* given = describe(probe);
  if (given == nullptr) return;
  const berth_plugin plugin = detail::known(given);
  const std::pair<const char*, berth_str> texts[] = {{"name", plugin.name},
                                                     {"version", plugin.version},
                                                     {"summary", plugin.summary},
                                                     {"interface_id", plugin.interface_id}};
  for (const auto& [name, text] : texts) {
    probe.expect(!view(text).empty(), strCat("its ", name, " is empty"));
    probe.expect(support::isUtf8(view(text)), strCat("its ", name, " is not UTF-8"));
    probe.expect(view(text).find_first_of("\n\r") == std::string_view::npos,
                 strCat("its ", name, " has several lines"));
  }
  static const std::regex semantic(
      R"((0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?)");
  const std::string version = copy(plugin.version);
  probe.expect(
      version.empty() || std::regex_match(version, semantic),
      strCat("its version ", support::validUtf8(version), " is not one of semantic versioning"));
  probe.expect(plugin.threading >= BERTH_THREADING_SERIALIZED &&
                   plugin.threading <= BERTH_THREADING_PARALLEL,
               strCat("declares the unknown threading ", plugin.threading));
  probe.expect(
      view(plugin.interface_id).empty() || plugins::kindOf(view(plugin.interface_id)).has_value(),
      strCat("implements ", support::validUtf8(view(plugin.interface_id)),
             ", which is no interface of ABI ", BERTH_ABI_MAJOR, ".", BERTH_ABI_MINOR));
}

void checkAccepted(Probe& probe) {
  for (const std::string& name : probe.settings().failed) {
    if (name == "file.format" || name == "file.links" || name.starts_with("description."))
      return probe.skip(strCat(name, " has failed already"));
  }
  probe.step("load the plugin");
  const auto library = plugins::Library::load(probe.settings().file);
  if (!probe.succeeds(library.status(), "load it as berthd does")) return;
  alignas(std::max_align_t) unsigned char table[4096] = {};
  probe.succeeds(plugins::copyTable((*library)->kind(), (*library)->description().functions, table,
                                    plugins::tableSize((*library)->kind())),
                 "take its function table as berthd does");
}

}  // namespace

std::vector<Check> descriptionChecks() {
  return {
      {.name = "description.entry",
       .meaning = "The entry returns the same static description each time, to hosts of any age.",
       .rule = "plugin.h, berth_plugin_entry_function: may return NULL when it cannot run on it",
       .run = &checkEntry},
      {.name = "description.versions",
       .meaning = "The versions of the ABI in the description fit together and fit this host.",
       .rule = "plugin.h, berth_plugin: abi_major, abi_minor, required_minor",
       .run = &checkVersions},
      {.name = "description.sizes",
       .meaning = "The sizes of the description and of the function table are true.",
       .rule = "types.h: every struct starts with its size",
       .run = &checkSizes},
      {.name = "description.callbacks",
       .meaning = "All mandatory callbacks are there, and all callbacks point to code.",
       .rule = "plugin.h, berth_plugin: what is not optional may not be NULL",
       .run = &checkCallbacks},
      {.name = "description.texts",
       .meaning = "Name, version, summary, interface and threading are well formed.",
       .rule = "plugin.h, berth_plugin; types.h: text is UTF-8",
       .run = &checkTexts},
      {.name = "description.accepted",
       .meaning = "The host of berthd takes the plugin.",
       .rule = "plugin.h: how a plugin and its host meet",
       .run = &checkAccepted},
  };
}

}  // namespace berth::check
