#include "images/storage_check.hpp"

#include <algorithm>

#include <absl/strings/str_join.h>

#include "berth/support/status.hpp"
#include "images/image_record.hpp"

namespace berth::images {

using support::fromAbsl;
using support::strCat;

namespace {

std::string nameOf(const Image& image) {
  if (!image.repoTags.empty()) return strCat("image ", image.repoTags.front(), " (", image.id, ")");
  return strCat("image ", image.id);
}

// The lines of those of a kind.
std::string linesOf(const std::vector<plugins::Finding>& findings, berth_finding_kind kind) {
  std::vector<std::string> lines;
  for (const plugins::Finding& one : findings) {
    if (one.kind == kind)
      lines.push_back(one.what.empty() ? one.detail : strCat(one.what, " ", one.detail));
  }
  return absl::StrJoin(lines, "\n");
}

}  // namespace

absl::Status StorageCheck::run() {
  if (request_.depth != StorageDepth::kSetAside) BERTH_RETURN_IF_ERROR(checkRecords());
  for (const auto& [name, snapshotter] : storage_.registry.snapshotters()) {
    if (request_.depth != StorageDepth::kSetAside) BERTH_RETURN_IF_ERROR(checkStored(*snapshotter));
    BERTH_RETURN_IF_ERROR(tellOfSetAside(*snapshotter));
  }
  tellOfIncomplete();
  return absl::OkStatus();
}

void StorageCheck::tellOfDamage(const std::string& what, const std::string& detail,
                                const std::function<absl::Status()>& repair,
                                const std::string& repaired) {
  if (!request_.repair || !repair) return tell_({StorageState::kDamaged, what, detail});
  const absl::Status done = repair();
  if (done.ok()) return tell_({StorageState::kRepaired, what, strCat(detail, "\n", repaired)});
  tell_(
      {StorageState::kDamaged, what, strCat(detail, "\nnot repaired: ", fromAbsl(done.message()))});
}

void StorageCheck::tellOfCount(const std::string& what, size_t sound, size_t all) {
  tell_({StorageState::kSound, what, strCat(sound, " of ", all, " are what they were")});
}

absl::Status StorageCheck::checkRecords() {
  size_t sound = 0;
  size_t all = 0;
  BERTH_RETURN_IF_ERROR(storage_.catalog.examine([&](const Catalog::Examined& one) {
    ++all;
    if (one.sound) ++sound;
    if (one.asWritten) return;
    tellOfDamage(
        strCat("record of image ", one.id), "the database does not have it as it was written",
        [&] { return storage_.catalog.keepRemnant(one.id); },
        "the image is not listed until it is pulled again, which fetches what is damaged alone");
  }));
  tellOfCount("images", sound, all);
  return absl::OkStatus();
}

std::string StorageCheck::usersOf(const std::string& layer) const {
  std::vector<std::string> names;
  for (const auto& image : storage_.catalog.all()) {
    const auto isIt = [&](const plugins::Layer& own) {
      return own.diffId == layer || own.chainId == layer;
    };
    if (std::any_of(image->layers.begin(), image->layers.end(), isIt))
      names.push_back(nameOf(*image));
  }
  return names.empty() ? "no image has it any more"
                       : strCat("part of ", absl::StrJoin(names, ", "));
}

absl::Status StorageCheck::checkStored(plugins::Snapshotter& snapshotter) {
  absl::Status checked = checkLayers(snapshotter);
  if (checked.ok()) checked = checkSnapshots(snapshotter);
  if (!absl::IsUnimplemented(checked)) return checked;
  tell_({StorageState::kUnknown, strCat("layers of ", snapshotter.name()),
         std::string(fromAbsl(checked.message()))});
  return absl::OkStatus();
}

absl::Status StorageCheck::checkLayers(plugins::Snapshotter& snapshotter) {
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> keys, snapshotter.listLayers(op_));
  const auto verify = [&](const std::string& key) {
    return snapshotter.verifyLayer(op_, plugins::Layer{key, "", key}, depth());
  };
  const auto tellOf = [&](const std::string& what, const std::string& key,
                          const std::string& damage) {
    tellOfDamage(
        what, strCat(damage, "\n", usersOf(key)),
        [&] {
          absl::Status dropped = storage_.layers.drop(op_, snapshotter.name(), key);
          storage_.hideIncomplete();
          return dropped;
        },
        "it is dropped: the next pull fetches it, and containers that run keep what they have");
  };
  return checkEach(snapshotter, "layer", keys, verify, tellOf);
}

absl::Status StorageCheck::checkSnapshots(plugins::Snapshotter& snapshotter) {
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> keys, snapshotter.list(op_));
  const auto verify = [&](const std::string& key) {
    return snapshotter.verifySnapshot(op_, key, depth());
  };
  const auto tellOf = [&](const std::string& what, const std::string&, const std::string& damage) {
    tellOfDamage(what, strCat(damage, "\nit goes when its container is removed"), {}, {});
  };
  return checkEach(snapshotter, "snapshot", keys, verify, tellOf);
}

absl::Status StorageCheck::checkEach(const plugins::Snapshotter& snapshotter, std::string_view kind,
                                     const std::vector<std::string>& keys, const Verify& verify,
                                     const TellOfDamage& tellOf) {
  size_t sound = 0;
  size_t all = 0;
  for (const std::string& key : keys) {
    BERTH_RETURN_IF_ERROR(op_.check());
    const auto found = verify(key);
    if (absl::IsUnimplemented(found.status())) return found.status();
    // Removed in the meantime.
    if (absl::IsNotFound(found.status())) continue;
    BERTH_RETURN_IF_ERROR(op_.check());
    ++all;
    const std::string what = strCat(kind, " ", key, " of ", snapshotter.name());
    if (!found.ok()) {
      tell_({StorageState::kUnknown, what, std::string(fromAbsl(found.status().message()))});
      continue;
    }
    const std::string damage = linesOf(*found, BERTH_FINDING_REFUSED);
    const std::string limits = linesOf(*found, BERTH_FINDING_LIMITED);
    if (!damage.empty()) {
      tellOf(what, key, damage);
    } else if (!limits.empty()) {
      tell_({StorageState::kUnknown, what, limits});
    } else {
      ++sound;
    }
  }
  tellOfCount(strCat(kind, "s of ", snapshotter.name()), sound, all);
  return absl::OkStatus();
}

absl::Status StorageCheck::tellOfSetAside(plugins::Snapshotter& snapshotter) {
  const auto found = snapshotter.setAside(op_);
  if (absl::IsUnimplemented(found.status())) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(found.status());
  for (const plugins::Finding& one : *found)
    tell_({StorageState::kSetAside, strCat(one.what, " of ", snapshotter.name()), one.detail});
  return absl::OkStatus();
}

void StorageCheck::tellOfIncomplete() {
  for (const auto& image : storage_.catalog.hidden())
    tell_({StorageState::kIncomplete, nameOf(*image), "it is not listed until it is pulled again"});
}

}  // namespace berth::images
