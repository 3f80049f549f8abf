#include "layer_store.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"
#include "berth/untar/extract.hpp"

namespace berth::overlay {

using support::annotate;
using support::errnoStatus;
using support::Fd;
using support::strCat;

namespace {

absl::Status toAbslStatus(const Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.code()), status.message());
}

// The host's stream as the reader wants it; looks whether the layer is still wanted between pieces.
untar::PieceSource sourceOf(Stream& tar, const Op& op, uint64_t& done) {
  return [&tar, &op, &done](std::string_view& piece) -> absl::Status {
    BERTH_RETURN_IF_ERROR(checkWanted(op));
    BERTH_RETURN_IF_ERROR(toAbslStatus(tar.next(piece)));
    done += piece.size();
    op.progress(done, 0);
    return absl::OkStatus();
  };
}

// How a layer is compared, and who is told of what.
struct Comparing {
  Depth depth;
  const Op& op;
  Differences& differences;
  Findings& out;
};

absl::Status countOnly(const LayerRecord& known, int root, const Comparing& how) {
  BERTH_ASSIGN_OR_RETURN(const DiskUsage now,
                         untar::measureTree(root, [&how] { return how.op.cancelled(); }));
  if (now.inodes != known.usage.inodes)
    how.differences.add("", strCat("has ", now.inodes, " files instead of ", known.usage.inodes));
  how.out.limited("",
                  "its files can only be counted: it was unpacked by a version that kept no list "
                  "of them");
  return absl::OkStatus();
}

absl::Status compareLayer(const LayerRecord& known, const std::string& directory,
                          const Comparing& how) {
  const absl::StatusOr<LayerRecord> record = readLayerRecord(directory);
  if (isDamage(record.status())) {
    how.differences.add("", support::fromAbsl(record.status().message()));
  } else if (!record.ok()) {
    return record.status();
  } else if (encode(*record) != encode(known)) {
    how.differences.add("", "its record has changed");
  }
  const absl::StatusOr<Fd> root = support::openFile(directory + "/fs", O_RDONLY | O_DIRECTORY);
  if (absl::IsNotFound(root.status())) {
    how.differences.add("", "its files are missing");
    return absl::OkStatus();
  }
  BERTH_RETURN_IF_ERROR(root.status());
  if (!known.content) return countOnly(known, root->get(), how);
  const absl::StatusOr<std::string> list =
      readContentList(contentListPath(directory), *known.content);
  if (isDamage(list.status())) {
    how.differences.add("", support::fromAbsl(list.status().message()));
    return absl::OkStatus();
  }
  BERTH_RETURN_IF_ERROR(list.status());
  return compareContent(root->get(), *list, how.depth, how.op, how.differences);
}

}  // namespace

absl::StatusOr<DiskUsage> LayerStore::apply(const std::string& diffId, Stream& tar, const Op& op) {
  BERTH_RETURN_IF_ERROR(checkOwn(diffId));
  {
    op.stage(strCat("wait for layer ", diffId));
    BERTH_ASSIGN_OR_RETURN(const KeyLocks::Guard guard, locks_.lock(diffId, op));
    if (const auto known = registry_.layer(diffId)) return known->usage;
  }
  // Calls for one layer do not wait for each other's streams: the first to have it whole wins.
  const std::string staging = layout_.stagingPath();
  const absl::StatusOr<LayerRecord> layer = unpack(diffId, staging, tar, op);
  const absl::StatusOr<bool> published = layer.ok() ? keep(*layer, staging, op) : layer.status();
  if (published.ok() && *published) return layer->usage;
  support::StatusCollector failures;
  failures.add(annotate(published.status(), strCat("apply layer ", diffId)));
  failures.add(support::removeTree(staging));
  BERTH_RETURN_IF_ERROR(failures.status());
  return layer->usage;
}

absl::StatusOr<bool> LayerStore::keep(const LayerRecord& layer, const std::string& staging,
                                      const Op& op) {
  BERTH_ASSIGN_OR_RETURN(const KeyLocks::Guard guard, locks_.lock(layer.diffId, op));
  if (registry_.layer(layer.diffId)) return false;
  BERTH_RETURN_IF_ERROR(publish(layer.diffId, staging));
  registry_.addLayer(LayerRecord(layer));
  return true;
}

absl::StatusOr<LayerRecord> LayerStore::unpack(const std::string& diffId,
                                               const std::string& staging, Stream& tar,
                                               const Op& op) {
  op.stage(strCat("unpack layer ", diffId));
  const std::string content = staging + "/fs";
  BERTH_RETURN_IF_ERROR(support::makeDirectories(staging, 0700));
  BERTH_RETURN_IF_ERROR(support::makeDirectories(content, 0755));
  BERTH_ASSIGN_OR_RETURN(const Fd root, support::openFile(content, O_RDONLY | O_DIRECTORY));
  if (::fchmod(root.get(), 0755) != 0)
    return errnoStatus(errno, strCat("set the mode of ", content));

  ContentListWriter list;
  BERTH_RETURN_IF_ERROR(list.open(contentListPath(staging)));
  uint64_t done = 0;
  BERTH_ASSIGN_OR_RETURN(untar::ExtractResult result,
                         untar::extractLayer(root.get(), sourceOf(tar, op, done),
                                             {.maximumEntries = maxEntries_, .observer = &list}));
  BERTH_ASSIGN_OR_RETURN(const ContentSummary summary, list.finish());
  LayerRecord layer{.diffId = diffId,
                    .usage = result.usage,
                    .impliedDirectories = std::move(result.impliedDirectories),
                    .content = summary};
  BERTH_RETURN_IF_ERROR(support::replaceFile(layerRecordPath(staging), encode(layer), 0600,
                                             support::Durability::kVisible));
  return layer;
}

// Containers may run on it all the same.
absl::StatusOr<std::string> LayerStore::takeAway(const std::string& diffId) const {
  const std::string target = layout_.layer(diffId);
  if (!registry_.isUsed(diffId)) return layout_.discard(target);
  const std::string aside = layout_.replacedLayer(diffId);
  if (support::steps::rename(target.c_str(), aside.c_str()) != 0 && errno != ENOENT)
    return errnoStatus(errno, strCat("rename ", target, " to ", aside));
  return std::string();
}

// What stands in the layer's place is no whole one, or it would be known.
absl::Status LayerStore::makeRoom(const std::string& diffId) const {
  BERTH_ASSIGN_OR_RETURN(const std::string discarded, takeAway(diffId));
  return discarded.empty() ? absl::OkStatus() : support::removeTree(discarded);
}

// Durable first, then visible.
absl::Status LayerStore::publish(const std::string& diffId, const std::string& staging) {
  if (durability_ == Durability::kSynced) BERTH_RETURN_IF_ERROR(sync_.sync());
  const std::string target = layout_.layer(diffId);
  BERTH_RETURN_IF_ERROR(makeRoom(diffId));
  if (support::steps::rename(staging.c_str(), target.c_str()) != 0)
    return errnoStatus(errno, strCat("rename ", staging, " to ", target));
  if (durability_ == Durability::kVisible) return absl::OkStatus();
  BERTH_ASSIGN_OR_RETURN(const Fd parent,
                         support::openFile(layout_.layers(), O_RDONLY | O_DIRECTORY));
  if (::fsync(parent.get()) != 0) {
    absl::Status status = errnoStatus(errno, strCat("sync ", layout_.layers()));
    (void)support::steps::rename(target.c_str(), staging.c_str());
    return status;
  }
  return absl::OkStatus();
}

absl::Status LayerStore::checkOwn(const std::string& diffId) {
  (void)leftAlone_.dropGone();
  return annotate(leftAlone_.check(diffId), "layer");
}

absl::Status LayerStore::remove(const std::string& diffId, const Op& op) {
  BERTH_RETURN_IF_ERROR(checkOwn(diffId));
  std::string discarded;
  {
    BERTH_ASSIGN_OR_RETURN(const KeyLocks::Guard guard, locks_.lock(diffId, op));
    BERTH_ASSIGN_OR_RETURN(std::optional<LayerRecord> taken, registry_.takeLayer(diffId));
    absl::StatusOr<std::string> moved = layout_.discard(layout_.layer(diffId));
    if (!moved.ok()) {
      if (taken) registry_.addLayer(*std::move(taken));
      return annotate(moved.status(), strCat("remove layer ", diffId));
    }
    discarded = *std::move(moved);
  }
  // Long work, but the layer is gone for everyone already, and may come again meanwhile.
  if (discarded.empty() || sweeper_.add(discarded).ok()) return absl::OkStatus();
  op.stage(strCat("delete the files of layer ", diffId));
  return support::removeTree(discarded);
}

absl::Status LayerStore::verify(const std::string& diffId, Depth depth, const Op& op,
                                Findings& out) const {
  const std::string directory = layout_.layer(diffId);
  absl::Status gone = absl::NotFoundError(strCat("layer ", diffId, " is not unpacked"));
  const std::optional<LayerRecord> known = registry_.layer(diffId);
  if (!known) return gone;
  op.stage(strCat("verify layer ", diffId));
  // No lock is held: it may be removed meanwhile, and then the differences are nobody's.
  Differences differences(out);
  const absl::Status status = compareLayer(*known, directory, {depth, op, differences, out});
  differences.close();
  return registry_.layer(diffId) ? annotate(status, strCat("verify layer ", diffId)) : gone;
}

absl::Status LayerStore::drop(const std::string& diffId, const Op& op) {
  BERTH_RETURN_IF_ERROR(checkOwn(diffId));
  std::string discarded;
  {
    BERTH_ASSIGN_OR_RETURN(const KeyLocks::Guard guard, locks_.lock(diffId, op));
    std::optional<LayerRecord> taken = registry_.dropLayer(diffId);
    absl::StatusOr<std::string> moved = takeAway(diffId);
    if (!moved.ok()) {
      if (taken) registry_.addLayer(*std::move(taken));
      return annotate(moved.status(), strCat("drop layer ", diffId));
    }
    discarded = *std::move(moved);
  }
  return discarded.empty() ? absl::OkStatus() : support::removeTree(discarded);
}

absl::Status LayerStore::setAside(Findings& out) const {
  for (const auto& [name, reason] : leftAlone_.list())
    if (support::pathExists(layout_.layer(name))) out.refused(strCat("layer ", name), reason);
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                         support::listDirectory(layout_.layers()));
  for (const std::string& name : names) {
    if (!isReplaced(name)) continue;
    const auto user = registry_.findUser(digestOf(name));
    out.refused(strCat("layer ", digestOf(name)),
                strCat("a damaged one stays ",
                       user ? strCat("while snapshot ", *user, " uses it")
                            : std::string("until the next start"),
                       ": ", layout_.layers(), "/", name));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> LayerStore::load() {
  std::vector<std::string> warnings;
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                         support::listDirectory(layout_.layers()));
  for (const std::string& name : names) {
    const std::string directory = strCat(layout_.layers(), "/", name);
    if (isReplaced(name)) {
      if (!registry_.isUsed(digestOf(name)))
        BERTH_RETURN_IF_ERROR(layout_.discard(directory).status());
      continue;
    }
    absl::StatusOr<LayerRecord> layer = readLayerRecord(directory);
    if (layer.ok() && layer->diffId == digestOf(name)) {
      registry_.addLayer(*std::move(layer));
      continue;
    }
    if (layer.ok()) layer = absl::DataLossError(strCat("the record is about ", layer->diffId));
    BERTH_ASSIGN_OR_RETURN(std::string warning, loadUnreadable(name, layer.status()));
    warnings.push_back(std::move(warning));
  }
  return warnings;
}

absl::StatusOr<std::string> LayerStore::loadUnreadable(const std::string& name,
                                                       const absl::Status& reason) {
  if (absl::IsResourceExhausted(reason)) return reason;
  const std::string directory = strCat(layout_.layers(), "/", name);
  const std::string diffId = digestOf(name);
  const std::string text(support::fromAbsl(reason.message()));
  if (!isDamage(reason)) {
    leftAlone_.add(diffId, directory, reason);
    return strCat("layer ", diffId, " is left alone: ", text);
  }
  if (registry_.isUsed(diffId))
    return strCat("layer ", diffId, " is damaged but in use, it stays until then: ", text);
  BERTH_RETURN_IF_ERROR(layout_.discard(directory).status());
  return strCat("layer ", diffId, " was damaged and is removed: ", text);
}

}  // namespace berth::overlay
