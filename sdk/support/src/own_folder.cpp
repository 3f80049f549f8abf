#include "berth/support/own_folder.hpp"

#include <filesystem>

#include <climits>

#include "berth/helpers.h"

namespace berth::support {

namespace {

// The loader's names may have "/./" in them.
std::string withoutDots(const char* folder) {
  return (std::filesystem::path(folder) / "file").lexically_normal().parent_path();
}

}  // namespace

std::string folderOfLoaded(const std::string& name) {
  char folder[PATH_MAX];
  const bool known = berth_folder_of_loaded(name.c_str(), folder, sizeof folder) != 0;
  return known ? withoutDots(folder) : std::string();
}

std::string ownFolder(const void* code) {
  char folder[PATH_MAX];
  return berth_own_folder(code, folder, sizeof folder) != 0 ? withoutDots(folder) : std::string();
}

}  // namespace berth::support
