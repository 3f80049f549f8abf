#include "images/catalog.hpp"

#include <algorithm>

#include "berth/support/status.hpp"
#include "images/digest.hpp"
#include "images/image_record.hpp"

namespace berth::images {

using support::strCat;

namespace {

constexpr std::string_view kDigestPrefix = "sha256:";
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

}  // namespace

absl::Status Catalog::load(const std::function<void(std::string_view)>& report) {
  BERTH_ASSIGN_OR_RETURN(const std::vector<store::Entry> stored, store_.list(kImageKind));
  for (const store::Entry& one : stored) {
    Entry entry;
    absl::Status status;
    if (!entry.record.ParseFromString(one.value) || entry.record.id() != one.id) {
      status = absl::DataLossError("it does not parse");
    } else {
      auto image = imageOf(entry.record);
      if (image.ok()) {
        entry.image = *image;
      } else {
        status = image.status();
      }
    }
    if (!status.ok()) {
      report(strCat("the record of image ", one.id,
                    " is damaged and set aside: ", support::fromAbsl(status.message())));
      BERTH_RETURN_IF_ERROR(
          store_.setAside(kImageKind, one.id, support::fromAbsl(status.message())));
      continue;
    }
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

absl::StatusOr<std::shared_ptr<const Image>> Catalog::add(records::ImageRecord record) {
  std::lock_guard writing(writing_);
  // What changes is worked out on copies, kept durably, and only then made visible.
  std::vector<Entry> changed;
  Entry entry{std::move(record), nullptr};
  {
    std::shared_lock lock(mutex_);
    if (auto old = entries_.find(entry.record.id()); old != entries_.end()) {
      for (const std::string& tag : old->second.record.tags()) {
        addUnique(*entry.record.mutable_tags(), tag);
      }
      for (const std::string& digest : old->second.record.digests()) {
        addUnique(*entry.record.mutable_digests(), digest);
      }
      entry.record.set_pinned(entry.record.pinned() || old->second.record.pinned());
    }
    for (const std::string& tag : entry.record.tags()) {
      auto owner = byName_.find(tag);
      if (owner == byName_.end() || owner->second == entry.record.id()) continue;
      Entry loser = entries_.at(owner->second);
      removeValue(*loser.record.mutable_tags(), tag);
      changed.push_back(std::move(loser));
    }
  }
  changed.push_back(std::move(entry));
  for (Entry& one : changed) {
    BERTH_ASSIGN_OR_RETURN(one.image, imageOf(one.record));
    BERTH_RETURN_IF_ERROR(store_.put(kImageKind, one.record.id(), one.record.SerializeAsString()));
  }
  BERTH_RETURN_IF_ERROR(store_.sync());
  std::unique_lock lock(mutex_);
  for (Entry& one : changed) {
    unindexLocked(one);
    indexLocked(one);
    entries_[one.record.id()] = one;
  }
  return changed.back().image;
}

const Catalog::Entry* Catalog::findLocked(std::string_view reference) const {
  const std::string_view digits = reference.substr(0, kDigestPrefix.size()) == kDigestPrefix
                                      ? reference.substr(kDigestPrefix.size())
                                      : reference;
  if (isHex(digits) && digits.size() >= kShortestIdPrefix) {
    const std::string id = strCat(kDigestPrefix, digits);
    auto found = entries_.lower_bound(id);
    const auto matches = [&](auto it) {
      return it != entries_.end() && it->first.compare(0, id.size(), id) == 0;
    };
    if (matches(found) && (found->first == id || !matches(std::next(found)))) {
      return &found->second;
    }
  }
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
  if (entry != nullptr) return entry->image;
  return absl::NotFoundError(strCat("image ", reference, " is not on this node"));
}

std::vector<std::shared_ptr<const Image>> Catalog::list() const {
  std::shared_lock lock(mutex_);
  std::vector<std::shared_ptr<const Image>> images;
  for (const auto& [id, entry] : entries_) images.push_back(entry.image);
  return images;
}

absl::StatusOr<records::ImageRecord> Catalog::record(const std::string& id) const {
  std::shared_lock lock(mutex_);
  auto found = entries_.find(id);
  if (found != entries_.end()) return found->second.record;
  return absl::NotFoundError(strCat("image ", id, " is not on this node"));
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
