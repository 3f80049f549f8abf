#include "plugin_check/sanitizer.hpp"

#include <cstdlib>
#include <unistd.h>

#include "berth/support/status.hpp"
#include "plugin_check/elf.hpp"

namespace berth::check {

namespace {

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

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
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view set = *entry;
    if (!set.starts_with("ASAN_OPTIONS=") && !set.starts_with("TSAN_OPTIONS="))
      environment.emplace_back(set);
  }
  environment.push_back(support::strCat("ASAN_OPTIONS=", variable("ASAN_OPTIONS"),
                                        ":detect_leaks=", leaks == Leaks::kReported ? 1 : 0));
  // At once, so that it is known in which step it was.
  environment.push_back(support::strCat("TSAN_OPTIONS=halt_on_error=1:", variable("TSAN_OPTIONS")));
  environment.push_back(support::strCat("LD_PRELOAD=", runtime));
  return environment;
}

}  // namespace berth::check
