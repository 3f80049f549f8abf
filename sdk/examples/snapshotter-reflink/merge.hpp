// Puts unpacked layers above each other in one directory.
#pragma once

#include <functional>
#include <string>

#include <absl/status/status.h>

namespace reflink {

enum class Files {
  kClone,  // files of their own, which share blocks where the file system can
  kLink    // the layers' own files, for those who only read
};

// Copies `layer`, whose whiteouts have the kernel's form (overlayfs: devices 0:0, opaque
// directories), above what is in `target`. `wanted` is asked now and then, and ends it.
absl::Status merge(const std::string& layer, const std::string& target, Files files,
                   const std::function<absl::Status()>& wanted);

// Whether files in `directory` can be cloned. UNIMPLEMENTED when not.
absl::Status tryClone(const std::string& directory);

}  // namespace reflink
