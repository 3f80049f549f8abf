// What a check of the storage finds.
#pragma once

#include <functional>
#include <string>

namespace berth::images {

enum class StorageState {
  kSound,
  kUnknown,     // could not be checked
  kIncomplete,  // an image that is not offered until it is pulled again
  kSetAside,    // was damaged, and nothing uses it any more
  kDamaged,
  kRepaired,  // was damaged; `detail` says what has been done
};

struct StorageFinding {
  StorageState state = StorageState::kSound;
  std::string what;    // "layer sha256:… of overlay"
  std::string detail;  // several lines, when there is more than one thing to say
};

enum class StorageDepth {
  kSetAside,  // only what has been found and set aside earlier
  kQuick,     // without reading the content of files
  kThorough,
};

struct StorageRequest {
  StorageDepth depth = StorageDepth::kThorough;
  bool repair = false;  // drop what is damaged, so that the next pull fetches only that
};

// Called on the checking thread, in the order in which people should read.
using StorageTeller = std::function<void(const StorageFinding& finding)>;

}  // namespace berth::images
