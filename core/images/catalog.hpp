// Which images there are, and by which names.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "images/image_service.hpp"
#include "images/reference.hpp"
#include "records.pb.h"
#include "store/store.hpp"

namespace berth::images {

inline constexpr std::string_view kImageKind = "image";

// The images in memory, each with its durable record. Thread-safe; find and list never wait for
// the disk.
class Catalog {
 public:
  explicit Catalog(store::Store& store) : store_(store) {}

  absl::Status load(const std::function<void(std::string_view)>& report);

  // Adds the names of `record` to the image, or the image itself; a tag moves away from the image
  // that had it. Durable when it returns.
  absl::StatusOr<std::shared_ptr<const Image>> add(records::ImageRecord record);
  absl::StatusOr<std::shared_ptr<const Image>> find(std::string_view reference) const;
  std::vector<std::shared_ptr<const Image>> list() const;
  absl::StatusOr<records::ImageRecord> record(const std::string& id) const;

  // Takes the image that any of its names means, with all of them (CRI, RemoveImage). The image
  // that went, or null.
  absl::StatusOr<std::shared_ptr<const Image>> remove(std::string_view reference);

 private:
  struct Entry {
    records::ImageRecord record;
    std::shared_ptr<const Image> image;
  };
  const Entry* findLocked(std::string_view reference) const;
  void indexLocked(const Entry& entry);
  void unindexLocked(const Entry& entry);

  store::Store& store_;
  std::mutex writing_;  // one change at a time; the maps' own lock is never held over the disk
  mutable std::shared_mutex mutex_;
  std::map<std::string, Entry> entries_;       // by id
  std::map<std::string, std::string> byName_;  // tags and digest references → id
};

}  // namespace berth::images
