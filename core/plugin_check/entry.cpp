#include "plugin_check/entry.hpp"

#include <dlfcn.h>

#include "berth/support/status.hpp"

namespace berth::check {

using support::strCat;

absl::StatusOr<void*> openLibrary(const std::string& file) {
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return absl::FailedPreconditionError(::dlerror());
  return library;
}

absl::StatusOr<berth_plugin_entry_function> findEntry(const std::string& file) {
  BERTH_ASSIGN_OR_RETURN(void* library, openLibrary(file));
  void* entry = ::dlsym(library, "berth_plugin_entry");
  if (entry == nullptr) return absl::FailedPreconditionError("berth_plugin_entry is not exported");
  return reinterpret_cast<berth_plugin_entry_function>(entry);
}

absl::StatusOr<const berth_plugin*> callEntry(const std::string& file) {
  BERTH_ASSIGN_OR_RETURN(const berth_plugin_entry_function entry, findEntry(file));
  try {
    const berth_plugin* plugin = entry(BERTH_ABI_MAJOR, BERTH_ABI_MINOR);
    if (plugin == nullptr) {
      return absl::UnknownError(
          strCat("returns nothing to a host of ABI ", BERTH_ABI_MAJOR, ".", BERTH_ABI_MINOR));
    }
    return plugin;
  } catch (...) {
    return absl::UnknownError("throws an exception");
  }
}

}  // namespace berth::check
