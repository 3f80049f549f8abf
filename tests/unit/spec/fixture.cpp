#include "fixture.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/capability_names.hpp"

namespace berth::spec::test {

namespace fs = std::filesystem;

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (fs::canonical(fs::temp_directory_path()) / "berth-spec-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp " + pattern);
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string TemporaryDirectory::operator/(std::string_view name) const {
  return path_ + "/" + std::string(name);
}

std::string TemporaryDirectory::write(std::string_view name, std::string_view content) const {
  const fs::path path = *this / name;
  fs::create_directories(path.parent_path());
  std::ofstream(path) << content;
  return path.string();
}

std::string TemporaryDirectory::makeDirectory(std::string_view name) const {
  fs::create_directories(*this / name);
  return *this / name;
}

std::string TemporaryDirectory::link(std::string_view name, const std::string& target) const {
  const fs::path path = *this / name;
  fs::create_directories(path.parent_path());
  fs::create_symlink(target, path);
  return path.string();
}

common::HostFacts richHost() {
  common::HostFacts host;
  host.capabilities = common::capabilityBit(common::kCapabilityCount) - 1;
  host.kernelCapabilities = host.capabilities;
  host.rlimits = {{"RLIMIT_NOFILE", {.soft = 1024, .hard = 4096}},
                  {"RLIMIT_CORE", {.soft = 0, .hard = 1000}}};
  host.cgroupMode = common::CgroupMode::kUnified;
  host.hugetlb = true;
  host.swapAccounting = true;
  host.seccomp = true;
  host.userNamespaces = true;
  host.kernel = {.major = 6, .minor = 1};
  host.architecture = "amd64";
  host.hostname = "node-1";
  return host;
}

void enableSeLinux(common::HostFacts& host) {
  host.seLinux = true;
  host.seLinuxProcessContext = "system_u:system_r:container_t:s0";
  host.seLinuxFileContext = "system_u:object_r:container_file_t:s0";
}

boost::json::value json(std::string_view text) {
  return boost::json::parse(boost::json::string_view(text.data(), text.size()));
}

boost::json::value at(const boost::json::value& document, std::string_view pointer) {
  boost::json::error_code error;
  const boost::json::value* found =
      document.find_pointer(boost::json::string_view(pointer.data(), pointer.size()), error);
  return found != nullptr ? *found : boost::json::value();
}

std::vector<std::string> texts(const boost::json::value& array) {
  std::vector<std::string> result;
  if (const boost::json::array* list = array.if_array())
    for (const boost::json::value& element : *list)
      result.emplace_back(element.as_string().c_str());
  return result;
}

}  // namespace berth::spec::test
