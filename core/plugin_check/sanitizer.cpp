#include "plugin_check/sanitizer.hpp"

#include <cstdlib>
#include <unistd.h>

#include "berth/support/status.hpp"
#include "plugin_check/elf.hpp"

namespace berth::check {

std::string sanitizerOf(const std::string& plugin) {
  const auto file = readElf(plugin);
  if (!file.ok()) return {};
  for (const std::string& library : file->needed) {
    if (library.starts_with("libasan.so") || library.starts_with("libtsan.so") ||
        library.starts_with("libclang_rt.asan") || library.starts_with("libclang_rt.tsan"))
      return library;
  }
  return {};
}

std::optional<std::vector<std::string>> environmentFor(const std::string& plugin, Leaks leaks) {
  const std::string runtime = sanitizerOf(plugin);
  if (runtime.empty()) return std::nullopt;
  std::vector<std::string> environment;
  // What the user has set counts, but for leaks, which one check alone is to tell of.
  const char* own = std::getenv("ASAN_OPTIONS");
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with("ASAN_OPTIONS=")) environment.emplace_back(*entry);
  }
  environment.push_back(support::strCat("ASAN_OPTIONS=", own != nullptr ? own : "",
                                        ":detect_leaks=", leaks == Leaks::kReported ? 1 : 0));
  environment.push_back(support::strCat("LD_PRELOAD=", runtime));
  return environment;
}

}  // namespace berth::check
