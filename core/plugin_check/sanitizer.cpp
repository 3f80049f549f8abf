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

std::optional<std::vector<std::string>> environmentFor(const std::string& plugin) {
  const std::string runtime = sanitizerOf(plugin);
  if (runtime.empty()) return std::nullopt;
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  environment.push_back(support::strCat("LD_PRELOAD=", runtime));
  return environment;
}

}  // namespace berth::check
