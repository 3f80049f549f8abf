#include "images/catalog.hpp"

#include <algorithm>
#include <set>

#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "images/digest.hpp"
#include "images/image_record.hpp"
#include "images/name_platforms.hpp"

namespace berth::images {

using support::strCat;

namespace {

constexpr std::string_view kDigestPrefixes[] = {"sha256:", "sha512:"};
constexpr size_t kShortestIdPrefix = 7;

bool isHex(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

absl::Status notHere(std::string_view image) {
  return absl::NotFoundError(strCat("image ", image, " is not on this node"));
}

std::string nameOf(const Reference& reference) {
  return reference.digest.empty() ? reference.tagged()
                                  : strCat(reference.name(), "@", reference.digest);
}

Catalog::Stored Catalog::remnant(const Entry& entry) {
  Stored stored{entry, remnantOf(*entry.image), {}};
  stored.entry.hidden = true;
  stored.entry.damaged = true;
  stored.value = stored.record.SerializeAsString();
  return stored;
}

absl::StatusOr<Catalog::Stored> Catalog::read(const Entry& entry) const {
  Stored stored{entry, {}, {}};
  auto value = store_.get(kImageKind, entry.image->id);
  if (!value.ok() && !absl::IsNotFound(value.status()) && !absl::IsDataLoss(value.status()))
    return value.status();
  if (!value.ok() || !stored.record.ParseFromString(*value) ||
      stored.record.id() != entry.image->id)
    return remnant(entry);
  stored.value = *std::move(value);
  return stored;
}

absl::StatusOr<std::pair<Catalog::Entry, store::Change>> Catalog::entryOf(
    const records::ImageRecord& record) {
  Entry entry;
  BERTH_ASSIGN_OR_RETURN(entry.image, images::imageOf(record));
  store::Change change{std::string(kImageKind), record.id(), record.SerializeAsString()};
  entry.sum = sumOf(*change.value);
  return std::pair(std::move(entry), std::move(change));
}

std::string Catalog::hiddenBecause(const Image& image, std::string_view reason) {
  return strCat("image ", image.id, " ", reason, "; it is not listed until it is pulled again",
                image.repoTags.empty() ? "" : strCat(": ", image.repoTags.front()));
}

absl::Status Catalog::load(const std::function<void(std::string_view)>& report,
                           const Check& check) {
  std::vector<std::pair<std::string, absl::Status>> unreadable;
  BERTH_RETURN_IF_ERROR(store_.each(kImageKind, [&](const store::Entry& one) {
    records::ImageRecord record;
    if (!record.ParseFromString(one.value) || record.id() != one.id) {
      unreadable.emplace_back(one.id, absl::DataLossError("it does not parse"));
      return;
    }
    auto image = images::imageOf(record);
    if (!image.ok()) {
      unreadable.emplace_back(one.id, image.status());
      return;
    }
    Entry entry{*std::move(image), sumOf(one.value)};
    const absl::Status content = check ? check(record) : absl::OkStatus();
    entry.hidden = entry.damaged = !content.ok();
    if (entry.damaged)
      report(hiddenBecause(*entry.image,
                           strCat("is damaged: ", support::fromAbsl(content.message()))));
    indexLocked(entry);
    entries_[one.id] = std::move(entry);
  }));
  for (const auto& [id, status] : unreadable) {
    const std::string_view reason = support::fromAbsl(status.message());
    report(strCat("the record of image ", id, " is damaged and set aside: ", reason));
    // On a full disk it stays where it is, and the next start tries again.
    if (const absl::Status aside = store_.setAside(kImageKind, id, reason); !aside.ok())
      report(support::fromAbsl(aside.message()));
  }
  return absl::OkStatus();
}

void Catalog::indexLocked(const Entry& entry) {
  const auto add = [&](const std::string& name) {
    for (const std::string& platform : platformsOf(*entry.image, name))
      byName_[name][platform] = entry.image->id;
  };
  for (const std::string& tag : entry.image->repoTags) add(tag);
  for (const std::string& digest : entry.image->repoDigests) add(digest);
}

void Catalog::unindexLocked(const Entry& entry) {
  for (auto at = byName_.begin(); at != byName_.end();) {
    std::erase_if(at->second, [&](const auto& one) { return one.second == entry.image->id; });
    at = at->second.empty() ? byName_.erase(at) : std::next(at);
  }
}

void Catalog::hide(const std::string& id) {
  std::unique_lock lock(mutex_);
  if (auto found = entries_.find(id); found != entries_.end()) found->second.hidden = true;
}

std::optional<Catalog::Entry> Catalog::entry(const std::string& id) const {
  std::shared_lock lock(mutex_);
  const auto found = entries_.find(id);
  return found == entries_.end() ? std::nullopt : std::optional(found->second);
}

std::map<std::string, Catalog::Entry> Catalog::losersOf(const records::ImageRecord& record) const {
  std::map<std::string, Entry> losers;
  std::shared_lock lock(mutex_);
  for (const std::string& tag : record.tags()) {
    for (const std::string& platform : platformsOf(record, tag)) {
      const std::string* owner = ownerLocked(tag, platform);
      if (owner != nullptr && *owner != record.id()) losers.emplace(*owner, entries_.at(*owner));
    }
  }
  return losers;
}

absl::StatusOr<Catalog::Addition> Catalog::add(records::ImageRecord record) {
  std::lock_guard writing(writing_);
  // What changes is worked out on copies, kept, and only then made visible.
  Addition changed;
  std::vector<store::Change> kept;
  for (const auto& [id, loser] : losersOf(record)) {
    BERTH_ASSIGN_OR_RETURN(Stored old, read(loser));
    records::ImageRecord rest = old.record;
    loseTags(record, rest);
    BERTH_ASSIGN_OR_RETURN(auto now, entryOf(rest));
    now.first.hidden = old.entry.hidden;
    now.first.damaged = old.entry.damaged;
    kept.push_back(std::move(now.second));
    changed.push_back({std::move(now.first), std::move(old)});
  }
  std::optional<Stored> before;
  if (const auto known = entry(record.id())) {
    BERTH_ASSIGN_OR_RETURN(before, read(*known));
    mergeRecord(before->record, before->entry.hidden, record);
  }
  BERTH_ASSIGN_OR_RETURN(auto now, entryOf(record));
  kept.push_back(std::move(now.second));
  changed.push_back({std::move(now.first), std::move(before)});
  BERTH_RETURN_IF_ERROR(store_.apply(kept));
  std::unique_lock lock(mutex_);
  for (const Changed& one : changed) replaceLocked(one.now);
  return changed;
}

const std::shared_ptr<const Image>& Catalog::imageOf(const Addition& addition) {
  return addition.back().now.image;
}

bool Catalog::takeBack(const Addition& addition) {
  std::lock_guard writing(writing_);
  std::vector<const Changed*> unchanged;
  std::vector<store::Change> kept;
  {
    std::shared_lock lock(mutex_);
    const auto isChanged = [this](const Changed& one) {
      auto found = entries_.find(one.now.image->id);
      return found == entries_.end() || found->second.image != one.now.image;
    };
    // It may have lost the tags that it took from others to a third one.
    if (isChanged(addition.back())) return false;
    for (const Changed& one : addition) {
      if (isChanged(one)) continue;
      unchanged.push_back(&one);
      kept.push_back({std::string(kImageKind), one.now.image->id,
                      one.before ? std::optional(one.before->value) : std::nullopt});
    }
  }
  // Memory stays with what is kept.
  if (!store_.apply(kept).ok()) return false;
  std::unique_lock lock(mutex_);
  bool gone = false;
  for (const Changed* one : unchanged) {
    unindexLocked(one->now);
    if (!one->before) entries_.erase(one->now.image->id);
    gone = gone || (one == &addition.back() && !one->before);
  }
  for (const Changed* one : unchanged) {
    if (one->before) replaceLocked(one->before->entry);
  }
  return gone;
}

void Catalog::replaceLocked(const Entry& entry) {
  unindexLocked(entry);
  indexLocked(entry);
  entries_[entry.image->id] = entry;
}

bool Catalog::knows(const std::string& id) const {
  std::shared_lock lock(mutex_);
  return entries_.contains(id);
}

// Of the ids that begin so the only one, or the one that is no longer.
const Catalog::Entry* Catalog::findByIdLocked(std::string_view reference) const {
  const Entry* only = nullptr;
  for (const std::string_view prefix : kDigestPrefixes) {
    const bool has = reference.starts_with(prefix);
    const std::string_view digits = has ? reference.substr(prefix.size()) : reference;
    if (!isHex(digits) || digits.size() < kShortestIdPrefix) continue;
    const std::string id = strCat(prefix, digits);
    for (auto found = entries_.lower_bound(id);
         found != entries_.end() && found->first.starts_with(id); ++found) {
      if (found->first == id) return &found->second;
      if (only != nullptr) return nullptr;
      only = &found->second;
    }
  }
  return only;
}

// The id of the image that the name means for the platform; for any, that of Options first.
const std::string* Catalog::ownerLocked(const std::string& name,
                                        const AnyPlatform& platform) const {
  const auto found = byName_.find(name);
  if (found == byName_.end()) return nullptr;
  const auto owner = platform ? found->second.find(*platform) : found->second.begin();
  return owner == found->second.end() ? nullptr : &owner->second;
}

const Catalog::Entry* Catalog::findLocked(std::string_view reference,
                                          const AnyPlatform& platform) const {
  if (const Entry* entry = findByIdLocked(reference)) return entry;
  auto parsed = parseReference(reference);
  if (!parsed.ok()) return nullptr;
  const std::string* owner = ownerLocked(nameOf(*parsed), platform);
  return owner == nullptr ? nullptr : &entries_.at(*owner);
}

absl::StatusOr<std::shared_ptr<const Image>> Catalog::find(std::string_view reference,
                                                           const AnyPlatform& platform) const {
  std::shared_lock lock(mutex_);
  const Entry* entry = findLocked(reference, platform);
  if (entry != nullptr && !entry->hidden) return entry->image;
  return notHere(reference);
}

bool Catalog::hasId(std::string_view idOrPrefix) const {
  std::shared_lock lock(mutex_);
  return findByIdLocked(idOrPrefix) != nullptr;
}

bool Catalog::hasName(const Reference& reference, const AnyPlatform& platform) const {
  std::shared_lock lock(mutex_);
  return ownerLocked(nameOf(reference), platform) != nullptr;
}

std::vector<std::shared_ptr<const Image>> Catalog::list() const {
  return listOf([](const Entry& entry) { return !entry.hidden; });
}

std::vector<std::shared_ptr<const Image>> Catalog::hidden() const {
  return listOf([](const Entry& entry) { return entry.hidden; });
}

std::vector<std::shared_ptr<const Image>> Catalog::all() const {
  return listOf([](const Entry&) { return true; });
}

std::vector<std::shared_ptr<const Image>> Catalog::listOf(
    const std::function<bool(const Entry&)>& isWanted) const {
  std::shared_lock lock(mutex_);
  std::vector<std::shared_ptr<const Image>> images;
  for (const auto& [id, entry] : entries_) {
    if (isWanted(entry)) images.push_back(entry.image);
  }
  return images;
}

absl::StatusOr<records::ImageRecord> Catalog::record(const std::string& id) {
  absl::Status none = notHere(id);
  const auto known = entry(id);
  if (!known || known->hidden) return none;
  BERTH_ASSIGN_OR_RETURN(Stored stored, read(*known));
  if (!stored.entry.damaged) return std::move(stored.record);
  // Unless it has been removed or pulled again since.
  {
    std::unique_lock lock(mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end() || found->second.image != known->image) return none;
    found->second.hidden = true;
  }
  common::logWarning(hiddenBecause(*known->image, "has a record that is damaged"), {});
  return none;
}

bool Catalog::hasLayer(const WantedLayer& wanted) const {
  const auto isIt = [&wanted](const plugins::Layer& layer) {
    return layer.diffId == wanted.layer.diffId;
  };
  std::vector<Entry> having;
  {
    std::shared_lock lock(mutex_);
    for (const auto& [id, entry] : entries_) {
      const auto& layers = entry.image->layers;
      if (std::any_of(layers.begin(), layers.end(), isIt)) having.push_back(entry);
    }
  }
  return std::any_of(having.begin(), having.end(), [&](const Entry& entry) {
    const auto stored = read(entry);
    if (!stored.ok()) return false;
    const std::vector<WantedLayer> known = wantedLayers(*entry.image, stored->record);
    return stored->entry.damaged ||
           std::any_of(known.begin(), known.end(), [&](const WantedLayer& one) {
             return isIt(one.layer) && one.descriptor.digest == wanted.descriptor.digest &&
                    one.descriptor.size == wanted.descriptor.size;
           });
  });
}

absl::Status Catalog::examine(const std::function<void(const Examined&)>& use) {
  std::set<std::string> ids;
  BERTH_RETURN_IF_ERROR(
      store_.each(kImageKind, [&ids](store::Entry one) { ids.insert(std::move(one.id)); }));
  for (const auto& image : all()) ids.insert(image->id);
  for (const std::string& id : ids) {
    Examined examined{.id = id};
    {
      std::lock_guard writing(writing_);
      const auto known = entry(id);
      const auto value = store_.get(kImageKind, id);
      if (!known && !value.ok()) continue;
      examined.asWritten = known && value.ok() && sumOf(*value) == known->sum;
      examined.sound = examined.asWritten && !known->damaged;
    }
    use(examined);
  }
  return absl::OkStatus();
}

absl::Status Catalog::keepRemnant(const std::string& id) {
  std::lock_guard writing(writing_);
  const auto known = entry(id);
  if (!known) return store_.erase(kImageKind, id);
  Stored stored = remnant(*known);
  BERTH_RETURN_IF_ERROR(store_.put(kImageKind, id, stored.value));
  stored.entry.sum = sumOf(stored.value);
  std::unique_lock lock(mutex_);
  replaceLocked(stored.entry);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const Image>> Catalog::setPinned(std::string_view reference,
                                                                bool pinned) {
  std::lock_guard writing(writing_);
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<const Image> image, find(reference));
  if (image->pinned == pinned) return image;
  BERTH_ASSIGN_OR_RETURN(records::ImageRecord changed, record(image->id));
  changed.set_pinned(pinned);
  BERTH_ASSIGN_OR_RETURN(const auto now, entryOf(changed));
  BERTH_RETURN_IF_ERROR(store_.apply({now.second}));
  std::unique_lock lock(mutex_);
  replaceLocked(now.first);
  return now.first.image;
}

absl::StatusOr<std::shared_ptr<const Image>> Catalog::remove(std::string_view reference,
                                                             const AnyPlatform& platform) {
  std::lock_guard writing(writing_);
  Entry entry;
  {
    std::shared_lock lock(mutex_);
    const Entry* found = findLocked(reference, platform);
    if (found == nullptr) return std::shared_ptr<const Image>();
    entry = *found;
  }
  BERTH_RETURN_IF_ERROR(store_.erase(kImageKind, entry.image->id));
  std::unique_lock lock(mutex_);
  unindexLocked(entry);
  entries_.erase(entry.image->id);
  return entry.image;
}

}  // namespace berth::images
