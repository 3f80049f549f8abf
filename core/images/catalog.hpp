// Which images there are, and by which names.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
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
//
// An image that lacks layers is hidden: it is neither found nor listed, so that who needs it pulls
// it. Its record stays, and with it the names and what there is of it, until a pull adds it again
// or it is removed.
class Catalog {
 public:
  explicit Catalog(store::Store& store) : store_(store) {}

  absl::Status load(const std::function<void(std::string_view)>& report);
  void hide(const std::string& id);

  struct Changed;
  // What an addition has changed, for takeBack().
  using Addition = std::vector<Changed>;
  // Whether the layers of a record have come by its own manifest, or were here before it. Many
  // manifests may name one configuration, and what they say of layers may be made up.
  enum class Proof { kFetched, kNone };
  // Adds the names of `record` to the image, or the image itself; a tag moves away from the image
  // that had it. An image that is here and whole keeps its manifest, unless the new one is proven.
  // All of that or nothing. It survives the process when this returns, and a power cut once the
  // store has been synced.
  absl::StatusOr<Addition> add(records::ImageRecord record, Proof proof = Proof::kNone);
  static const std::shared_ptr<const Image>& imageOf(const Addition& addition);
  // Undoes an addition that cannot be made durable, unless its image has changed since, and for the
  // images that lost a tag to it as far as they have not. Whether the image is gone with that.
  bool takeBack(const Addition& addition);
  // Whether it is here, hidden or not.
  bool knows(const std::string& id) const;

  absl::StatusOr<std::shared_ptr<const Image>> find(std::string_view reference) const;
  std::vector<std::shared_ptr<const Image>> list() const;
  std::vector<std::shared_ptr<const Image>> hidden() const;
  absl::StatusOr<records::ImageRecord> record(const std::string& id) const;

  // For a check of what is kept: every image with its record, hidden or not.
  struct Kept {
    records::ImageRecord record;
    std::shared_ptr<const Image> image;
    bool hidden;
  };
  std::vector<Kept> all() const;
  // Calls `use` with the record of each, hidden or not, while nothing can change. Without copies of
  // what may have megabytes.
  void each(const std::function<void(const records::ImageRecord&)>& use) const;
  // The ids of records that the store does not have as they are here, or that are there alone.
  absl::StatusOr<std::vector<std::string>> unlikeStored();
  // Makes the store have what is here.
  absl::Status keepAnew(const std::string& id);

  // Survives the process when it returns. NOT_FOUND; hidden ones are not there.
  absl::StatusOr<std::shared_ptr<const Image>> setPinned(std::string_view reference, bool pinned);

  // Takes the image that any of its names means, hidden or not, with all of them (CRI,
  // RemoveImage). The image that went, or null.
  absl::StatusOr<std::shared_ptr<const Image>> remove(std::string_view reference);

 private:
  struct Entry {
    records::ImageRecord record;
    std::shared_ptr<const Image> image;
    bool hidden = false;
  };
  const Entry* findByIdLocked(std::string_view reference) const;
  const Entry* findLocked(std::string_view reference) const;
  std::vector<std::shared_ptr<const Image>> listOf(bool hidden) const;
  void indexLocked(const Entry& entry);
  void unindexLocked(const Entry& entry);
  void replaceLocked(const Entry& entry);

  store::Store& store_;
  std::mutex writing_;  // one change at a time; the maps' own lock is never held over the disk
  mutable std::shared_mutex mutex_;
  std::map<std::string, Entry> entries_;       // by id
  std::map<std::string, std::string> byName_;  // tags and digest references → id
};

struct Catalog::Changed {
  Entry now;
  std::optional<Entry> before;
};

}  // namespace berth::images
