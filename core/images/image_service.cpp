#include "images/image_service.hpp"

#include <algorithm>
#include <future>
#include <map>
#include <mutex>

#include <absl/strings/str_join.h>

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "images/acceptance.hpp"
#include "images/artifact.hpp"
#include "images/catalog.hpp"
#include "images/digest.hpp"
#include "images/fetch.hpp"
#include "images/image_record.hpp"
#include "images/layer_keeper.hpp"
#include "images/manifest.hpp"
#include "images/reference.hpp"
#include "images/storage_check.hpp"

namespace berth::images {

using support::strCat;

namespace {

constexpr uint64_t kMaxConfigBytes = 8u << 20;

// A document that was resolved, and the source that had it.
struct Found {
  plugins::ImageSource* source;
  plugins::Resolved resolved;
};

class Service : public ImageService {
 public:
  Service(Options options, Platform platform, plugins::Registry& registry, store::Store& store)
      : options_(std::move(options)),
        platform_(std::move(platform)),
        acceptance_(options_.policy),
        registry_(registry),
        store_(store),
        catalog_(store),
        layers_(registry,
                {options_.concurrentDownloads, options_.concurrentUnpacks, options_.maxLayerBytes},
                [&store] { return store.sync(); }) {}

  absl::Status load(const std::function<void(std::string_view)>& report) {
    BERTH_RETURN_IF_ERROR(catalog_.load(report));
    for (const auto& image : catalog_.list()) layers_.claim(image->layers);
    BERTH_RETURN_IF_ERROR(layers_.load());
    for (const Catalog::Kept& one : catalog_.all()) {
      const absl::Status content = checkContent(one.record);
      const Image& image = *one.image;
      if (content.ok() && isWhole(image)) continue;
      catalog_.hide(image.id);
      report(strCat("image ", image.id,
                    content.ok() ? " lacks layers" : strCat(" is damaged: ", content.message()),
                    "; it is not listed until it is pulled again",
                    image.repoTags.empty() ? "" : strCat(": ", image.repoTags.front())));
    }
    return absl::OkStatus();
  }

  // Pulls of the same reference with the same rights share one; whoever began it may give up, and
  // then it is the turn of the next.
  absl::StatusOr<std::shared_ptr<const Image>> pull(const plugins::Operation& op,
                                                    std::string_view text,
                                                    const plugins::Credentials* credentials,
                                                    const std::string& snapshotterGiven) override {
    BERTH_ASSIGN_OR_RETURN(const Reference reference, parseReference(text));
    const std::string& snapshotter =
        snapshotterGiven.empty() ? options_.snapshotter : snapshotterGiven;
    const std::string key = pullKey(reference, snapshotter, credentials);
    for (;;) {
      std::promise<Pulled> promise;
      std::shared_future<Pulled> joined;
      {
        std::lock_guard lock(pullsMutex_);
        auto [slot, begun] = pulls_.try_emplace(key);
        if (begun) {
          slot->second = promise.get_future().share();
        } else {
          joined = slot->second;
        }
      }
      if (!joined.valid()) {
        Pulled result;
        // Who has joined must get a result in any case.
        const absl::Status thrown = support::returnThrown([&] {
          result = pullAlone(op, reference, credentials, snapshotter);
          return absl::OkStatus();
        });
        if (!thrown.ok()) result = thrown;
        {
          std::lock_guard lock(pullsMutex_);
          pulls_.erase(key);
        }
        promise.set_value(result);
        return result;
      }
      if (!awaitPull(joined, op)) return op.check();
      const Pulled& result = joined.get();
      const bool givenUp =
          absl::IsCancelled(result.status()) || absl::IsDeadlineExceeded(result.status());
      if (!givenUp) return result;
    }
  }

  absl::Status ensureUnpacked(const plugins::Operation& op, const Image& image,
                              const std::string& snapshotter,
                              const plugins::Credentials* credentials) override {
    bool whole = true;
    for (const plugins::Layer& layer : image.layers) {
      whole = whole && layers_.has(snapshotter, layer);
    }
    if (whole) return absl::OkStatus();
    BERTH_ASSIGN_OR_RETURN(const records::ImageRecord record, catalog_.record(image.id));
    BERTH_ASSIGN_OR_RETURN(plugins::ImageSource * source, registry_.imageSource(record.source()));
    if (record.digests().empty()) {
      return absl::FailedPreconditionError(
          strCat("image ", image.id, " lacks layers and has no digest to fetch them by"));
    }
    const Origin origin{source, {record.digests(0), credentials}};
    absl::Status status = layers_.obtain(op, snapshotter, wantedLayers(image, record), origin);
    if (status.ok()) layers_.release(image.layers);  // the image has its own claim
    return support::annotate(status, strCat("unpack image ", image.id, " for ", snapshotter));
  }

  void judgeBy(std::shared_ptr<const signatures::Policy> policy) override {
    acceptance_.judgeBy(std::move(policy));
  }

  absl::Status checkAccepted(const plugins::Operation& op, const Image& image,
                             const std::vector<std::string>& names) const override {
    if (acceptance_.acceptsAll()) return absl::OkStatus();
    BERTH_ASSIGN_OR_RETURN(const records::ImageRecord record, catalog_.record(image.id));
    return acceptance_.check(op, record, names);
  }

  absl::StatusOr<std::shared_ptr<const Image>> find(std::string_view reference) const override {
    return catalog_.find(reference);
  }

  std::vector<std::shared_ptr<const Image>> list() const override { return catalog_.list(); }

  absl::StatusOr<std::string> configuration(const Image& image) const override {
    BERTH_ASSIGN_OR_RETURN(const records::ImageRecord record, catalog_.record(image.id));
    return record.config();
  }

  absl::Status remove(const plugins::Operation& /*op*/, std::string_view reference) override {
    if (reference.empty()) return absl::InvalidArgumentError("the image reference is empty");
    std::lock_guard lock(changing_);
    // Where not one is whole, the snapshotters' disk was not mounted at the start, as likely as
    // not.
    const bool lost = catalog_.list().empty();
    BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<const Image> gone, catalog_.remove(reference));
    if (gone != nullptr) layers_.release(gone->layers);
    if (lost) return absl::OkStatus();
    // Who removes images wants room. What nobody sees, nobody could ask to remove, and no pull has
    // completed it since the start.
    for (const auto& incomplete : catalog_.hidden()) {
      if (incomplete->pinned) continue;
      BERTH_ASSIGN_OR_RETURN(const auto dropped, catalog_.remove(incomplete->id));
      if (dropped != nullptr) layers_.release(dropped->layers);
    }
    return absl::OkStatus();
  }

  absl::Status checkStorage(const plugins::Operation& op, const StorageRequest& request,
                            const StorageTeller& tell) override {
    const Storage storage{registry_, catalog_, layers_, [this] { hideIncomplete(); }};
    return StorageCheck(storage, op, request, tell).run();
  }

  void collectGarbage() override { layers_.wakeCollector(); }
  void finish() override { layers_.finish(); }

  absl::StatusOr<std::vector<FilesystemUsage>> filesystems(const plugins::Operation& op) override {
    std::vector<FilesystemUsage> result;
    for (const auto& [name, snapshotter] : registry_.snapshotters()) {
      BERTH_ASSIGN_OR_RETURN(const plugins::Snapshotter::Filesystem one,
                             snapshotter->filesystem(op));
      const FilesystemUsage usage{one.path, one.usage.bytes, one.usage.inodes};
      // The kubelet looks at the first one alone.
      result.insert(name == options_.snapshotter ? result.begin() : result.end(), usage);
    }
    return result;
  }

 private:
  using Pulled = absl::StatusOr<std::shared_ptr<const Image>>;

  // Credentials are part of the key: who lacks the right to an image must not get it from another.
  static std::string pullKey(const Reference& reference, const std::string& snapshotter,
                             const plugins::Credentials* credentials) {
    std::string key = strCat(reference.full(), "\n", snapshotter);
    if (credentials == nullptr) return key;
    for (const std::string* part :
         {&credentials->username, &credentials->password, &credentials->auth,
          &credentials->serverAddress, &credentials->identityToken, &credentials->registryToken}) {
      key += strCat("\n", sha256(*part));
    }
    return key;
  }

  // False when the operation's time or patience ended first.
  static bool awaitPull(const std::shared_future<Pulled>& pull, const plugins::Operation& op) {
    constexpr std::chrono::milliseconds kLook{100};
    while (pull.wait_for(kLook) != std::future_status::ready) {
      if (op.cancelled()) return false;
    }
    return true;
  }

  absl::StatusOr<std::shared_ptr<const Image>> pullAlone(const plugins::Operation& op,
                                                         const Reference& reference,
                                                         const plugins::Credentials* credentials,
                                                         const std::string& snapshotter) {
    const plugins::ImageRequest request{reference.full(), credentials};
    BERTH_ASSIGN_OR_RETURN(Found found, resolve(op, request));
    Origin origin{found.source, request};
    BERTH_ASSIGN_OR_RETURN(records::ImageRecord record, describe(op, origin, found.resolved));
    if (!reference.digest.empty() && reference.digest != found.resolved.descriptor.digest) {
      return absl::DataLossError(strCat("pull ", reference.full(), ": the source gave ",
                                        found.resolved.descriptor.digest));
    }
    BERTH_RETURN_IF_ERROR(
        acceptance_.admit(op, origin, reference, found.resolved.descriptor.digest, record));
    if (!reference.tag.empty() && reference.digest.empty()) record.add_tags(reference.tagged());
    record.add_digests(strCat(reference.name(), "@", found.resolved.descriptor.digest));
    record.set_source(found.source->name());

    auto described = imageOf(record);
    if (!described.ok()) {
      return support::annotate(described.status(), strCat("pull ", reference.full()));
    }
    const std::shared_ptr<const Image> image = *std::move(described);
    BERTH_RETURN_IF_ERROR(
        support::annotate(layers_.obtain(op, snapshotter, wantedLayers(*image, record), origin),
                          strCat("pull ", reference.full())));
    return keep(*image, std::move(record));
  }

  // obtain() has claimed the layers for this image; an image that was there already has its own.
  Pulled keep(const Image& image, records::ImageRecord record) {
    std::unique_lock lock(changing_);
    const bool known = catalog_.knows(image.id);
    auto added = catalog_.add(std::move(record));
    if (!added.ok() || known) layers_.release(image.layers);
    BERTH_RETURN_IF_ERROR(added.status());
    // Behind all that a node's pulls write this takes its time: nobody waits with it.
    lock.unlock();
    const absl::Status synced = store_.sync();
    if (synced.ok()) return Catalog::imageOf(*added);
    lock.lock();
    if (catalog_.takeBack(*added)) layers_.release(image.layers);
    return support::annotate(synced, strCat("keep image ", image.id));
  }

  // Pulls complete images under the same lock.
  void hideIncomplete() {
    std::lock_guard lock(changing_);
    for (const auto& image : catalog_.list())
      if (!isWhole(*image)) catalog_.hide(image->id);
  }

  // Whether some snapshotter has all its layers.
  bool isWhole(const Image& image) const {
    for (const auto& [name, snapshotter] : registry_.snapshotters()) {
      const auto there = [&](const plugins::Layer& layer) { return layers_.has(name, layer); };
      if (std::all_of(image.layers.begin(), image.layers.end(), there)) return true;
    }
    return false;
  }

  // Asks the sources in order; those that do not know the reference let the next one try.
  absl::StatusOr<Found> resolve(const plugins::Operation& op,
                                const plugins::ImageRequest& request) {
    std::vector<std::string> attempts;
    absl::StatusCode code = absl::StatusCode::kNotFound;
    for (const std::string& name : options_.sources) {
      BERTH_ASSIGN_OR_RETURN(plugins::ImageSource * source, registry_.imageSource(name));
      if (!source->serves(request.reference)) continue;
      auto resolved = source->resolve(op, request, options_.maxManifestBytes);
      if (resolved.ok()) {
        const std::string digest = sha256(resolved->document);
        if (digest != resolved->descriptor.digest) {
          return absl::DataLossError(strCat("plugin ", name, " gave a document for ",
                                            request.reference, " that does not have its digest"));
        }
        return Found{source, *std::move(resolved)};
      }
      attempts.push_back(strCat(name, ": ", support::fromAbsl(resolved.status().message())));
      code = resolved.status().code();
      if (!absl::IsNotFound(resolved.status())) break;
    }
    if (attempts.empty()) attempts.push_back("no configured image source serves this reference");
    return absl::Status(code,
                        strCat("pull ", request.reference, ": ", absl::StrJoin(attempts, "; ")));
  }

  // Follows an index to the platform's manifest, and reads the configuration.
  absl::StatusOr<records::ImageRecord> describe(const plugins::Operation& op, const Origin& origin,
                                                const plugins::Resolved& resolved) {
    const std::string context =
        strCat("pull ", origin.request.reference, ": manifest ", resolved.descriptor.digest);
    std::string text = resolved.document;
    std::string digest = resolved.descriptor.digest;
    auto document = parseDocument(text, resolved.descriptor.mediaType);
    if (!document.ok()) return support::annotate(document.status(), context);
    if (const Index* index = std::get_if<Index>(&*document)) {
      auto chosen = choose(*index, platform_);
      if (!chosen.ok()) return support::annotate(chosen.status(), context);
      BERTH_ASSIGN_OR_RETURN(text, fetchDocument(op, origin, *chosen, options_.maxManifestBytes));
      digest = chosen->digest;
      document = parseDocument(text, chosen->mediaType);
      if (!document.ok()) return support::annotate(document.status(), context);
    }
    const Manifest* manifest = std::get_if<Manifest>(&*document);
    if (manifest == nullptr) {
      return absl::InvalidArgumentError(strCat(context, ": the index names another index"));
    }
    records::ImageRecord record;
    record.set_id(manifest->config.digest);
    record.set_manifest_digest(digest);
    record.set_manifest(text);
    BERTH_ASSIGN_OR_RETURN(*record.mutable_config(),
                           fetchDocument(op, origin, manifest->config, kMaxConfigBytes));
    if (isArtifact(*manifest, record.config())) {
      auto config = artifactConfig(op, origin, *manifest, platform_, options_.maxLayerBytes);
      if (!config.ok()) return support::annotate(config.status(), context);
      record.set_config(*std::move(config));
      record.set_id(digest);  // artifacts share their empty configuration
    }
    for (const plugins::Descriptor& layer : manifest->layers) {
      records::DescriptorRecord* kept = record.add_layers();
      kept->set_media_type(layer.mediaType);
      kept->set_digest(layer.digest);
      kept->set_size(layer.size);
      for (const std::string& url : layer.urls) kept->add_urls(url);
    }
    return record;
  }

  const Options options_;
  const Platform platform_;
  Acceptance acceptance_;
  plugins::Registry& registry_;
  store::Store& store_;
  Catalog catalog_;
  LayerKeeper layers_;
  std::mutex pullsMutex_;
  std::map<std::string, std::shared_future<Pulled>> pulls_;
  std::mutex changing_;  // keeps an image's claim on its layers in step with the catalog
};

}  // namespace

absl::StatusOr<std::unique_ptr<ImageService>> ImageService::open(
    Options options, plugins::Registry& registry, store::Store& store,
    const std::function<void(std::string_view message)>& report) {
  BERTH_ASSIGN_OR_RETURN(Platform platform, parsePlatform(options.platform));
  auto service =
      std::make_unique<Service>(std::move(options), std::move(platform), registry, store);
  BERTH_RETURN_IF_ERROR(service->load(report));
  return std::unique_ptr<ImageService>(std::move(service));
}

}  // namespace berth::images
