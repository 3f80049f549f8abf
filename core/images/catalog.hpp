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
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include "images/image_service.hpp"
#include "images/layer_stream.hpp"
#include "images/reference.hpp"
#include "records.pb.h"
#include "store/store.hpp"

namespace berth::images {

inline constexpr std::string_view kImageKind = "image";

// The images in memory, and each one's record, manifest and configuration among it, in the store.
// Thread-safe; find and list never wait for the disk.
//
// An image that lacks layers or whose record is damaged is hidden: it is neither found nor listed,
// so that who needs it pulls it. Its record stays, and with it the names and what there is of it,
// until a pull adds it again or it is removed.
class Catalog {
 public:
  explicit Catalog(store::Store& store) : store_(store) {}

  // Loads the records. One that says nothing is set aside, and an image with a record that `check`
  // finds damaged is hidden; both are reported.
  using Check = std::function<absl::Status(const records::ImageRecord&)>;
  absl::Status load(const std::function<void(std::string_view)>& report, const Check& check = {});
  void hide(const std::string& id);
  // What to tell of an image that is hidden.
  static std::string hiddenBecause(const Image& image, std::string_view reason);

  struct Changed;
  // What an addition has changed, for takeBack().
  using Addition = std::vector<Changed>;
  // Adds the names of `record` to the image, or the image itself; a tag moves away from the image
  // that had it for the same platform. An image that is here and whole keeps its manifest: many may
  // name one configuration. All of that or nothing. It survives the process when this returns, and
  // a power cut once the store has been synced.
  absl::StatusOr<Addition> add(records::ImageRecord record);
  static const std::shared_ptr<const Image>& imageOf(const Addition& addition);
  // Undoes an addition that cannot be made durable, unless its image has changed since, and for the
  // images that lost a tag to it as far as they have not. Whether the image is gone with that.
  bool takeBack(const Addition& addition);
  // Whether it is here, hidden or not.
  bool knows(const std::string& id) const;

  // By a name for one platform, or for any (name_platforms.hpp); an id is of all.
  using AnyPlatform = std::optional<std::string>;
  absl::StatusOr<std::shared_ptr<const Image>> find(std::string_view reference,
                                                    const AnyPlatform& platform = {}) const;
  // Also of those that are hidden.
  bool hasId(std::string_view idOrPrefix) const;
  bool hasName(const Reference& reference, const AnyPlatform& platform = {}) const;
  std::vector<std::shared_ptr<const Image>> list() const;
  std::vector<std::shared_ptr<const Image>> hidden() const;
  std::vector<std::shared_ptr<const Image>> all() const;  // hidden or not
  // From the store: NOT_FOUND also for one that is damaged there, whose image is hidden then.
  absl::StatusOr<records::ImageRecord> record(const std::string& id);

  // Whether an image, hidden or not, has the layer by the same digest and size, or cannot tell any
  // more by which it had it. Blocks on the disk.
  bool hasLayer(const WantedLayer& wanted) const;

  // For a check of what is kept.
  struct Examined {
    std::string id;
    bool asWritten = false;  // the store has the record that was put there last
    bool sound = false;      // and with it the content of its digests
  };
  // Calls `use` with every image, hidden or not, and with what the store alone has. Blocks on the
  // disk; nobody waits for it, and `use` may call everything.
  absl::Status examine(const std::function<void(const Examined&)>& use);
  // Of a record that the store does not have as it was written, keeps what is here: the image is
  // hidden. Forgets one that is there alone.
  absl::Status keepRemnant(const std::string& id);

  // Survives the process when it returns. NOT_FOUND; hidden ones are not there.
  absl::StatusOr<std::shared_ptr<const Image>> setPinned(std::string_view reference, bool pinned);

  // Takes the image that any of its names means, for one platform or for any, hidden or not, with
  // all of them (CRI, RemoveImage). The image that went, or null.
  absl::StatusOr<std::shared_ptr<const Image>> remove(std::string_view reference,
                                                      const AnyPlatform& platform = {});

 private:
  struct Entry {
    std::shared_ptr<const Image> image;
    size_t sum = 0;  // of the record's bytes as the store was given them
    bool hidden = false;
    bool damaged = false;  // its manifest or configuration
  };
  // An image, and its record from the store, or what is left to say when that is damaged.
  struct Stored {
    Entry entry;
    records::ImageRecord record;
    std::string value;  // the record's bytes
  };
  static size_t sumOf(std::string_view value) { return std::hash<std::string_view>()(value); }
  // The entry for a record, and the change that puts it into the store.
  static absl::StatusOr<std::pair<Entry, store::Change>> entryOf(
      const records::ImageRecord& record);
  static Stored remnant(const Entry& entry);
  absl::StatusOr<Stored> read(const Entry& entry) const;
  std::optional<Entry> entry(const std::string& id) const;
  // Those that lose a tag to `record`, by id.
  std::map<std::string, Entry> losersOf(const records::ImageRecord& record) const;
  const Entry* findByIdLocked(std::string_view reference) const;
  const std::string* ownerLocked(const std::string& name, const AnyPlatform& platform) const;
  const Entry* findLocked(std::string_view reference, const AnyPlatform& platform = {}) const;
  std::vector<std::shared_ptr<const Image>> listOf(
      const std::function<bool(const Entry&)>& isWanted) const;
  void indexLocked(const Entry& entry);
  void unindexLocked(const Entry& entry);
  void replaceLocked(const Entry& entry);

  store::Store& store_;
  std::mutex writing_;  // one change at a time; the maps' own lock is never held over the disk
  mutable std::shared_mutex mutex_;
  std::map<std::string, Entry> entries_;  // by id
  // Tags and digest references → platform → id.
  std::map<std::string, std::map<std::string, std::string>> byName_;
};

struct Catalog::Changed {
  Entry now;
  std::optional<Stored> before;
};

// What says that an image is not there, for all who look for one.
absl::Status notHere(std::string_view image);
// By which an image is known: its digest decides when there is one.
std::string nameOf(const Reference& reference);

}  // namespace berth::images
