// Checks of the shared object as a file, before anything in it runs.
#include <dlfcn.h>

#include <absl/strings/str_join.h>

#include "berth/support/status.hpp"
#include "plugin_check/check.hpp"
#include "plugin_check/elf.hpp"
#include "plugin_check/entry.hpp"
#include "plugin_check/probe.hpp"

namespace berth::check {

using support::strCat;

namespace {

constexpr size_t kShown = 5;
constexpr std::string_view kEntry = "berth_plugin_entry";

std::string shown(const std::vector<std::string>& names) {
  std::vector<std::string> first(
      names.begin(), names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kShown)));
  std::string text = absl::StrJoin(first, ", ");
  if (names.size() > kShown) text += strCat(" and ", names.size() - kShown, " more");
  return text;
}

void checkFormat(Probe& probe) {
  const auto file = readElf(probe.settings().file);
  if (!probe.succeeds(file.status(), "read the file")) return;
  probe.expect(file->hasSymbols, "has no table of dynamic symbols");
}

void checkExports(Probe& probe) {
  const auto file = readElf(probe.settings().file);
  if (!file.ok()) return probe.skip(support::fromAbsl(file.status().message()));
  std::vector<std::string> strong, weak;
  bool entry = false;
  for (const ElfSymbol& symbol : file->symbols) {
    if (!symbol.defined) continue;
    entry = entry || symbol.name == kEntry;
    if (symbol.name == kEntry) continue;
    (symbol.binding == ElfSymbol::Binding::kWeak ? weak : strong).push_back(symbol.name);
  }
  probe.expect(entry, strCat(std::string(kEntry), " is not exported"));
  if (!strong.empty()) {
    probe.fail(strCat("exports more than ", kEntry, ": ", shown(strong),
                      "; compile with -fvisibility=hidden, or give the linker a version script"));
  }
  // What the compiler made of the library's templates, which have their own visibility.
  if (!weak.empty()) {
    probe.warn(strCat("exports weak symbols: ", shown(weak), "; a version script hides them"));
  }
}

void checkLinks(Probe& probe) {
  const auto file = readElf(probe.settings().file);
  if (!file.ok()) return probe.skip(support::fromAbsl(file.status().message()));
  const auto library = openLibrary(probe.settings().file);
  if (!probe.succeeds(library.status(), "load it with RTLD_NOW | RTLD_LOCAL")) return;
  // Some are resolved here by what this program is linked with: another host may not be.
  std::vector<std::string> missing;
  for (const ElfSymbol& symbol : file->symbols) {
    if (symbol.defined || symbol.binding == ElfSymbol::Binding::kWeak) continue;
    ::dlerror();
    if (::dlsym(*library, symbol.name.c_str()) == nullptr && ::dlerror() != nullptr)
      missing.push_back(symbol.name);
  }
  probe.expect(missing.empty(),
               strCat("uses what no library has that it is linked with: ", shown(missing)));
}

void checkMemoryRights(Probe& probe) {
  const auto file = readElf(probe.settings().file);
  if (!file.ok()) return probe.skip(support::fromAbsl(file.status().message()));
  if (file->executableStack)
    probe.warn("asks for an executable stack, which every thread of the host then has");
  if (file->textRelocations)
    probe.warn("has text relocations (DT_TEXTREL): it is not position independent");
}

}  // namespace

std::vector<Check> fileChecks() {
  return {
      {.name = "file.format",
       .meaning = "The file is a shared object for this machine.",
       .rule = "plugin.h: a plugin is a shared object",
       .run = &checkFormat},
      {.name = "file.exports",
       .meaning = "Only berth_plugin_entry can be seen from outside.",
       .rule = "plugin.h: a plugin is a shared object that exports one symbol",
       .run = &checkExports},
      {.name = "file.links",
       .meaning = "It is linked with all that it uses, and needs nothing of the host.",
       .rule = "plugin.h: the host loads it with RTLD_NOW | RTLD_LOCAL",
       .run = &checkLinks},
      {.name = "file.memory-rights",
       .meaning = "It needs no executable stack and no text relocations.",
       .rule = "plugin.h: the host loads it into its own process",
       .run = &checkMemoryRights},
  };
}

}  // namespace berth::check
