// The hooks that the files of some folders ask for.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <boost/json.hpp>

#include "common/folder_cache.hpp"
#include "hooks/definition.hpp"

namespace berth::hooks {

// Reads "*.json" of the folders; of files with the same name in several folders the last counts.
// The folders are looked at for each container. Any thread; blocks on the file system.
class Registry {
 public:
  explicit Registry(std::vector<std::string> folders);

  // Adds the hooks whose conditions hold to `spec`, behind those that are there, in the order of
  // the files' names, upper and lower case being the same. FAILED_PRECONDITION when a file is of no
  // use: hooks often guard something, and a container must not run because one was written wrong.
  absl::Status inject(const Subject& subject, boost::json::object& spec);

  // Files of no use, with the reason.
  std::vector<std::pair<std::string, absl::Status>> problems();
  const std::vector<std::string>& folders() const { return cache_.folders(); }

 private:
  using File = common::FolderCache<Definition>::File;
  // By the name in lower case, then as it is.
  std::map<std::pair<std::string, std::string>, File> current();

  common::FolderCache<Definition> cache_;
};

}  // namespace berth::hooks
