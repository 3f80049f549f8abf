// The CDI devices of this host.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/json.hpp>

#include "cdi/apply.hpp"
#include "cdi/document.hpp"
#include "common/folder_cache.hpp"

namespace berth::cdi {

// What is wrong with a file, or with two that describe the same device.
struct Problem {
  std::string path;
  absl::Status status;
};

// Reads "*.json" and "*.yaml" of the folders; of a device in several folders the last counts. The
// folders are looked at for each request, so that a device is there as soon as its file is. Any
// thread; blocks on the file system.
class Registry {
 public:
  explicit Registry(std::vector<std::string> folders);

  // Puts the devices into the specification: each file's own edits once, before those of its first
  // device. A name that is given twice counts once. INVALID_ARGUMENT for a name that is none, or of
  // a device that no file describes or that two files of one folder do; it names what there is.
  absl::Status inject(const std::vector<std::string>& devices, const RuntimeSupport& support,
                      boost::json::object& spec);

  // By qualified name, sorted.
  std::vector<std::string> devices();
  std::vector<Problem> problems();
  const std::vector<std::string>& folders() const { return cache_.folders(); }

 private:
  struct Found {
    std::shared_ptr<const Document> document;
    const Device* device = nullptr;  // of the document
    std::string path;
    size_t folder = 0;
    std::string also;  // another file of the same folder with it
  };
  struct View {
    std::map<std::string, Found> devices;
    std::vector<Problem> problems;
  };

  View view();
  static void addDevice(const std::string& name, Found found, View& view);
  absl::Status unknown(const std::string& name, const View& view) const;

  common::FolderCache<Document> cache_;
};

}  // namespace berth::cdi
