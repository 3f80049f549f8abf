#include "images/catalog.hpp"

#include <algorithm>

#include "berth/support/status.hpp"
#include "images/acceptance.hpp"
#include "images/digest.hpp"
#include "images/image_record.hpp"

namespace berth::images {

using support::strCat;

namespace {

constexpr std::string_view kDigestPrefixes[] = {"sha256:", "sha512:"};
constexpr size_t kShortestIdPrefix = 7;

bool isHex(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

template <class Field>
void addUnique(Field& field, const std::string& value) {
  if (std::find(field.begin(), field.end(), value) == field.end()) *field.Add() = value;
}

template <class Field>
bool removeValue(Field& field, const std::string& value) {
  auto found = std::find(field.begin(), field.end(), value);
  if (found == field.end()) return false;
  field.erase(found);
  return true;
}

// The manifest by which an image came here counts; the digest of the other stays one of its names,
// as a signature may be of it.
void keepManifest(const records::ImageRecord& old, records::ImageRecord& record) {
  if (record.manifest_digest() == old.manifest_digest()) return;
  if (record.digests_size() > 0) {
    const std::string& name = record.digests(0);
    addUnique(*record.mutable_digests(),
              strCat(name.substr(0, name.find('@')), "@", record.manifest_digest()));
  }
  record.set_manifest_digest(old.manifest_digest());
  record.set_manifest(old.manifest());
  record.set_config(old.config());
  record.set_source(old.source());
  *record.mutable_layers() = old.layers();
}

// The same of an image whose new manifest is proven.
void keepManifestDigest(const records::ImageRecord& old, records::ImageRecord& record) {
  if (record.manifest_digest() == old.manifest_digest() || old.digests_size() == 0) return;
  const std::string& name = old.digests(0);
  addUnique(*record.mutable_digests(),
            strCat(name.substr(0, name.find('@')), "@", old.manifest_digest()));
}

}  // namespace

absl::Status Catalog::load(const std::function<void(std::string_view)>& report) {
  BERTH_ASSIGN_OR_RETURN(std::vector<store::Entry> stored, store_.list(kImageKind));
  for (store::Entry& one : stored) {
    Entry entry;
    absl::Status status;
    if (!entry.record.ParseFromString(one.value) || entry.record.id() != one.id) {
      status = absl::DataLossError("it does not parse");
    } else {
      auto image = images::imageOf(entry.record);
      if (image.ok()) {
        entry.image = *image;
      } else {
        status = image.status();
      }
    }
    if (!status.ok()) {
      report(strCat("the record of image ", one.id,
                    " is damaged and set aside: ", support::fromAbsl(status.message())));
      // On a full disk it stays where it is, and the next start tries again.
      if (const absl::Status aside =
              store_.setAside(kImageKind, one.id, support::fromAbsl(status.message()));
          !aside.ok()) {
        report(support::fromAbsl(aside.message()));
      }
      continue;
    }
    std::string().swap(one.value);  // together they may have gigabytes
    indexLocked(entry);
    entries_[one.id] = std::move(entry);
  }
  return absl::OkStatus();
}

void Catalog::indexLocked(const Entry& entry) {
  for (const std::string& tag : entry.record.tags()) byName_[tag] = entry.record.id();
  for (const std::string& digest : entry.record.digests()) byName_[digest] = entry.record.id();
}

void Catalog::unindexLocked(const Entry& entry) {
  std::erase_if(byName_, [&](const auto& name) { return name.second == entry.record.id(); });
}

void Catalog::hide(const std::string& id) {
  std::unique_lock lock(mutex_);
  if (auto found = entries_.find(id); found != entries_.end()) found->second.hidden = true;
}

absl::StatusOr<Catalog::Addition> Catalog::add(records::ImageRecord record, Proof proof) {
  std::lock_guard writing(writing_);
  // What changes is worked out on copies, kept, and only then made visible.
  Addition changed;
  Entry entry{std::move(record), nullptr};
  std::optional<Entry> before;
  {
    std::shared_lock lock(mutex_);
    if (auto old = entries_.find(entry.record.id()); old != entries_.end()) {
      before = old->second;
      for (const std::string& tag : old->second.record.tags()) {
        addUnique(*entry.record.mutable_tags(), tag);
      }
      for (const std::string& digest : old->second.record.digests()) {
        addUnique(*entry.record.mutable_digests(), digest);
      }
      if (old->second.hidden || proof == Proof::kFetched)
        keepManifestDigest(old->second.record, entry.record);
      else
        keepManifest(old->second.record, entry.record);
      mergeSignatures(old->second.record, entry.record);
      entry.record.set_pinned(entry.record.pinned() || old->second.record.pinned());
    }
    std::map<std::string, Changed> losers;
    for (const std::string& tag : entry.record.tags()) {
      auto owner = byName_.find(tag);
      if (owner == byName_.end() || owner->second == entry.record.id()) continue;
      const Entry& old = entries_.at(owner->second);
      Changed& loser = losers.try_emplace(owner->second, Changed{old, old}).first->second;
      removeValue(*loser.now.record.mutable_tags(), tag);
    }
    for (auto& [id, loser] : losers) changed.push_back(std::move(loser));
  }
  changed.push_back({std::move(entry), std::move(before)});
  std::vector<store::Change> kept;
  for (Changed& one : changed) {
    BERTH_ASSIGN_OR_RETURN(one.now.image, images::imageOf(one.now.record));
    kept.push_back(
        {std::string(kImageKind), one.now.record.id(), one.now.record.SerializeAsString()});
  }
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
      auto found = entries_.find(one.now.record.id());
      return found == entries_.end() || found->second.image != one.now.image;
    };
    // It may have lost the tags that it took from others to a third one.
    if (isChanged(addition.back())) return false;
    for (const Changed& one : addition) {
      if (isChanged(one)) continue;
      unchanged.push_back(&one);
      kept.push_back(
          {std::string(kImageKind), one.now.record.id(),
           one.before ? std::optional(one.before->record.SerializeAsString()) : std::nullopt});
    }
  }
  // Memory stays with what is kept.
  if (!store_.apply(kept).ok()) return false;
  std::unique_lock lock(mutex_);
  bool gone = false;
  for (const Changed* one : unchanged) {
    unindexLocked(one->now);
    if (!one->before) entries_.erase(one->now.record.id());
    gone = gone || (one == &addition.back() && !one->before);
  }
  for (const Changed* one : unchanged) {
    if (one->before) replaceLocked(*one->before);
  }
  return gone;
}

void Catalog::replaceLocked(const Entry& entry) {
  unindexLocked(entry);
  indexLocked(entry);
  entries_[entry.record.id()] = entry;
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

const Catalog::Entry* Catalog::findLocked(std::string_view reference) const {
  if (const Entry* entry = findByIdLocked(reference)) return entry;
  auto parsed = parseReference(reference);
  if (!parsed.ok()) return nullptr;
  const std::string name =
      parsed->digest.empty() ? parsed->tagged() : strCat(parsed->name(), "@", parsed->digest);
  auto found = byName_.find(name);
  return found == byName_.end() ? nullptr : &entries_.at(found->second);
}

absl::StatusOr<std::shared_ptr<const Image>> Catalog::find(std::string_view reference) const {
  std::shared_lock lock(mutex_);
  const Entry* entry = findLocked(reference);
  if (entry != nullptr && !entry->hidden) return entry->image;
  return absl::NotFoundError(strCat("image ", reference, " is not on this node"));
}

std::vector<std::shared_ptr<const Image>> Catalog::list() const {
  return listOf(false);
}

std::vector<std::shared_ptr<const Image>> Catalog::hidden() const {
  return listOf(true);
}

std::vector<std::shared_ptr<const Image>> Catalog::listOf(bool hidden) const {
  std::shared_lock lock(mutex_);
  std::vector<std::shared_ptr<const Image>> images;
  for (const auto& [id, entry] : entries_) {
    if (entry.hidden == hidden) images.push_back(entry.image);
  }
  return images;
}

absl::StatusOr<records::ImageRecord> Catalog::record(const std::string& id) const {
  std::shared_lock lock(mutex_);
  auto found = entries_.find(id);
  if (found != entries_.end() && !found->second.hidden) return found->second.record;
  return absl::NotFoundError(strCat("image ", id, " is not on this node"));
}

std::vector<Catalog::Kept> Catalog::all() const {
  std::shared_lock lock(mutex_);
  std::vector<Kept> kept;
  for (const auto& [id, entry] : entries_)
    kept.push_back({entry.record, entry.image, entry.hidden});
  return kept;
}

void Catalog::each(const std::function<void(const records::ImageRecord&)>& use) const {
  std::shared_lock lock(mutex_);
  for (const auto& [id, entry] : entries_) use(entry.record);
}

absl::StatusOr<std::vector<std::string>> Catalog::unlikeStored() {
  std::lock_guard writing(writing_);
  BERTH_ASSIGN_OR_RETURN(const std::vector<store::Entry> stored, store_.list(kImageKind));
  std::map<std::string, std::string> values;
  for (const store::Entry& one : stored) values[one.id] = one.value;
  std::vector<std::string> unlike;
  std::shared_lock lock(mutex_);
  for (const auto& [id, entry] : entries_) {
    records::ImageRecord record;
    const auto found = values.find(id);
    // What another version has written may be of other bytes and say the same.
    if (found == values.end() || !record.ParseFromString(found->second) ||
        record.SerializeAsString() != entry.record.SerializeAsString())
      unlike.push_back(id);
    if (found != values.end()) values.erase(found);
  }
  for (const auto& [id, value] : values) unlike.push_back(id);
  return unlike;
}

absl::Status Catalog::keepAnew(const std::string& id) {
  std::lock_guard writing(writing_);
  std::string value;
  {
    std::shared_lock lock(mutex_);
    const auto found = entries_.find(id);
    if (found != entries_.end()) value = found->second.record.SerializeAsString();
  }
  return value.empty() ? store_.erase(kImageKind, id) : store_.put(kImageKind, id, value);
}

absl::StatusOr<std::shared_ptr<const Image>> Catalog::setPinned(std::string_view reference,
                                                                bool pinned) {
  std::lock_guard writing(writing_);
  Entry entry;
  {
    std::shared_lock lock(mutex_);
    const Entry* found = findLocked(reference);
    if (found == nullptr || found->hidden)
      return absl::NotFoundError(strCat("image ", reference, " is not on this node"));
    entry = *found;
  }
  if (entry.record.pinned() == pinned) return entry.image;
  entry.record.set_pinned(pinned);
  BERTH_ASSIGN_OR_RETURN(entry.image, images::imageOf(entry.record));
  BERTH_RETURN_IF_ERROR(
      store_.put(kImageKind, entry.record.id(), entry.record.SerializeAsString()));
  std::unique_lock lock(mutex_);
  replaceLocked(entry);
  return entry.image;
}

absl::StatusOr<std::shared_ptr<const Image>> Catalog::remove(std::string_view reference) {
  std::lock_guard writing(writing_);
  Entry entry;
  {
    std::shared_lock lock(mutex_);
    const Entry* found = findLocked(reference);
    if (found == nullptr) return std::shared_ptr<const Image>();
    entry = *found;
  }
  BERTH_RETURN_IF_ERROR(store_.erase(kImageKind, entry.record.id()));
  std::unique_lock lock(mutex_);
  unindexLocked(entry);
  entries_.erase(entry.record.id());
  return entry.image;
}

}  // namespace berth::images
