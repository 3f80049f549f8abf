// What the configuration says to the engine.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "engine/spec/sysctls.hpp"
#include "engine/spec/types.hpp"
#include "engine/volumes/image_defined.hpp"

namespace berth::engine {

// What may change while the engine runs. An operation looks once, and keeps to what it saw.
struct Preferences {
  std::string defaultRuntime;
  spec::Defaults containerDefaults;
  std::map<std::string, spec::Defaults> runtimeDefaults;  // by runtime; others have the above
  size_t execSyncOutputBytes = 16u << 20;  // of both streams together; the rest is dropped
};

struct Settings {
  std::string root;                                 // durable files
  std::string state;                                // files of this boot, on tmpfs
  std::string network;                              // plugin instance
  std::map<std::string, std::string> snapshotters;  // by runtime; for those not named: …
  std::string snapshotter;
  std::map<std::string, std::string> platforms;  // of images, by runtime; of others images.platform
  spec::CgroupDriver cgroupDriver = spec::CgroupDriver::kCgroupfs;
  volumes::ImageDefinedVolumes imageDefinedVolumes = volumes::ImageDefinedVolumes::kBind;
  spec::Sysctls defaultSysctls;      // of pods
  std::vector<std::string> cdiDirs;  // the last counts
  std::vector<std::string> hooksDirs;
};

}  // namespace berth::engine
