#include "berth/support/own_folder.hpp"

#include <cstdlib>
#include <dlfcn.h>
#include <memory>
#include <string_view>
#include <unistd.h>

#include <climits>

namespace berth::support {

namespace {

// What a descriptor's name leads to (proc(5)).
std::string readDescriptor(const std::string& name) {
  constexpr std::string_view kReplaced = " (deleted)";
  char target[PATH_MAX];
  const ssize_t length = ::readlink(name.c_str(), target, sizeof target);
  if (length < 0) return {};
  std::string path(target, static_cast<size_t>(length));
  if (path.ends_with(kReplaced)) path.resize(path.size() - kReplaced.size());
  return path;
}

}  // namespace

std::string folderOfLoaded(std::string name) {
  if (name.starts_with("/proc/self/fd/")) name = readDescriptor(name);
  if (!name.starts_with('/')) return {};
  return std::filesystem::path(name).lexically_normal().parent_path();
}

std::string ownFolder(const void* code) {
  Dl_info info{};
  if (::dladdr(code, &info) == 0 || info.dli_fname == nullptr) return {};
  return folderOfLoaded(info.dli_fname);
}

}  // namespace berth::support
