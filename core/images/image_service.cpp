#include "images/image_service.hpp"

#include <algorithm>
#include <mutex>

#include <absl/strings/str_join.h>

#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "common/log.hpp"
#include "common/published.hpp"
#include "images/acceptance.hpp"
#include "images/artifact.hpp"
#include "images/catalog.hpp"
#include "images/export.hpp"
#include "images/fetch.hpp"
#include "images/image_record.hpp"
#include "images/import.hpp"
#include "images/known_names.hpp"
#include "images/layer_keeper.hpp"
#include "images/locator.hpp"
#include "images/manifest.hpp"
#include "images/name_platforms.hpp"
#include "images/reference.hpp"
#include "images/shared_pulls.hpp"
#include "images/short_names.hpp"
#include "images/storage_check.hpp"

namespace berth::images {

using support::strCat;

namespace {

// How often people are told of a pull that takes long.
constexpr std::chrono::seconds kTellEvery{5};

constexpr size_t kMostShown = 1000;  // bytes of the names that an archive gives an image

// Who sends credentials with a name that has no registry means those of docker.io, as the kubelet
// does, unless they name their server.
bool mayGet(const Reference& reference, const plugins::Credentials* credentials) {
  return reference.registry == kDefaultRegistry ||
         (credentials != nullptr && !credentials->serverAddress.empty());
}

void logPull(const std::string& reference, const PullProgress::Figures& figures) {
  common::logInfo("pulling", {{"image", reference}, {"progress", textOf(figures)}});
}

class Service : public ImageService {
 public:
  Service(Options options, Platform platform, plugins::Registry& registry, store::Store& store)
      : options_(std::move(options)),
        acceptance_(options_.policy),
        shortNames_(options_.shortNames != nullptr ? options_.shortNames
                                                   : std::make_shared<const ShortNames>()),
        locator_(registry, options_, std::move(platform)),
        registry_(registry),
        store_(store),
        catalog_(store),
        layers_(
            registry,
            {options_.concurrentDownloads, options_.concurrentUnpacks, options_.maxLayerBytes,
             options_.writeBytesPerSecond, options_.patience},
            [&store] { return store.sync(); },
            [this](const WantedLayer& one) { return catalog_.hasLayer(one); }) {}

  absl::Status load(const std::function<void(std::string_view)>& report) {
    BERTH_RETURN_IF_ERROR(catalog_.load(report, checkContent));
    for (const auto& image : catalog_.all()) layers_.claim(image->layers);
    BERTH_RETURN_IF_ERROR(layers_.load());
    for (const auto& image : catalog_.list()) {
      if (layers_.isWhole(image->layers)) continue;
      catalog_.hide(image->id);
      report(Catalog::hiddenBecause(*image, "lacks layers"));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::shared_ptr<const Image>> pull(const plugins::Operation& op,
                                                    std::string_view text,
                                                    const plugins::Credentials* credentials,
                                                    const PullTarget& wanted,
                                                    PullProgress* progress) override {
    BERTH_ASSIGN_OR_RETURN(const PullTarget target, completed(wanted));
    BERTH_ASSIGN_OR_RETURN(const std::vector<Reference> meant, shortNames_.load()->meant(text));
    std::vector<std::string> attempts;
    for (const Reference& reference : meant) {
      const bool isForIt = namesRegistry(text) || mayGet(reference, credentials);
      Pulled pulled = pullNamed(op, reference, isForIt ? credentials : nullptr, target, progress);
      if (pulled.ok() || meant.size() == 1) return pulled;
      const std::string message(support::fromAbsl(pulled.status().message()));
      // Clients know some messages by their beginning.
      if (!isUnknownName(pulled.status()))
        return attempts.empty()
                   ? pulled
                   : absl::Status(
                         pulled.status().code(),
                         strCat(message, "; asked before: ", absl::StrJoin(attempts, "; ")));
      attempts.push_back(message);
    }
    return absl::NotFoundError(strCat("pull ", text, ": ", absl::StrJoin(attempts, "; ")));
  }

  absl::Status ensureUnpacked(const plugins::Operation& op, const Image& image,
                              const std::string& snapshotter,
                              const plugins::Credentials* credentials) override {
    if (layers_.hasAll(snapshotter, image.layers)) return absl::OkStatus();
    BERTH_ASSIGN_OR_RETURN(const records::ImageRecord record, catalog_.record(image.id));
    const auto obtain = [&](const records::ImageRecord& by, const Origin& origin) {
      return layers_.obtain(op, snapshotter, wantedLayers(image, by), origin);
    };
    const absl::Status status =
        locator_.fromAny(op, record, credentials, [&](const Origin& origin) {
          absl::Status obtained = obtain(record, origin);
          if (obtained.ok()) return obtained;
          // Another's manifest may have been the first to name the configuration.
          const auto other = locator_.otherManifest(op, origin, record);
          return other.ok() ? obtain(*other, origin) : obtained;
        });
    if (status.ok()) layers_.release(image.layers);  // the image has its own claim
    return support::annotate(status, strCat("unpack image ", image.id, " for ", snapshotter));
  }

  void judgeBy(std::shared_ptr<const signatures::Policy> policy) override {
    acceptance_.judgeBy(std::move(policy));
  }

  void limitWrites(uint64_t bytesPerSecond) override { layers_.limitWrites(bytesPerSecond); }

  void completeBy(std::shared_ptr<const ShortNames> shortNames) override {
    shortNames_.store(std::move(shortNames));
  }

  absl::Status checkAccepted(const plugins::Operation& op, const Image& image,
                             const std::vector<std::string>& names) override {
    if (acceptance_.acceptsAll()) return absl::OkStatus();
    BERTH_ASSIGN_OR_RETURN(const records::ImageRecord record, catalog_.record(image.id));
    std::vector<std::string> whole = names;
    for (std::string& name : whole) name = meantOf(catalog_, *shortNames_.load(), image, name);
    return acceptance_.check(op, record, whole);
  }

  absl::StatusOr<std::shared_ptr<const Image>> find(std::string_view reference) const override {
    return findKnown(catalog_, *shortNames_.load(), reference);
  }

  absl::StatusOr<std::shared_ptr<const Image>> findFor(std::string_view reference,
                                                       const std::string& platform) const override {
    return findKnown(catalog_, *shortNames_.load(), reference, platform);
  }

  std::vector<std::shared_ptr<const Image>> list() const override { return catalog_.list(); }

  LayerFigures layerFigures() const override { return layers_.figures(); }

  absl::StatusOr<common::ImageConfig> config(const Image& image) override {
    BERTH_ASSIGN_OR_RETURN(const records::ImageRecord record, catalog_.record(image.id));
    return configOf(record);
  }

  absl::StatusOr<ImageContent> content(const Image& image) override {
    BERTH_ASSIGN_OR_RETURN(const records::ImageRecord record, catalog_.record(image.id));
    ImageContent content{record.manifest(), record.config(), {}, record.source()};
    for (const WantedLayer& layer : wantedLayers(image, record))
      content.layers.push_back(layer.descriptor);
    return content;
  }

  absl::StatusOr<std::shared_ptr<const Image>> setPinned(std::string_view reference,
                                                         bool pinned) override {
    BERTH_ASSIGN_OR_RETURN(const std::string name, known(reference));
    BERTH_ASSIGN_OR_RETURN(std::shared_ptr<const Image> image, catalog_.setPinned(name, pinned));
    BERTH_RETURN_IF_ERROR(store_.sync());
    return image;
  }

  absl::Status importImages(const plugins::Operation& op, const ImportRequest& request,
                            PullProgress* progress, const ImportTeller& tell) override {
    BERTH_ASSIGN_OR_RETURN(const PullTarget target, completed(request.target));
    BERTH_ASSIGN_OR_RETURN(const Found found, locator_.resolveFile(op, request.path));
    BERTH_ASSIGN_OR_RETURN(const auto document, parseDocument(found.resolved.document,
                                                              found.resolved.descriptor.mediaType));
    const Index* index = std::get_if<Index>(&document);
    if (index == nullptr)
      return absl::InternalError(
          strCat("plugin ", found.source->name(), " gave no index of ", request.path));
    BERTH_ASSIGN_OR_RETURN(const Platform platform, locator_.platform(target.platform));
    auto choices = chooseImports(*index, request.names, platform, *shortNames_.load());
    if (!choices.ok()) return support::annotate(choices.status(), request.path);
    PullProgress unseen;
    const Origin origin{found.source,
                        {strCat(kFileScheme, request.path), nullptr},
                        progress != nullptr ? progress : &unseen};
    const PullWatch::Guard watched(watch_, request.path, *origin.progress);
    support::StatusCollector failures("\n");
    for (const ImportChoice& choice : *choices) {
      const auto image = importOne(op, origin, choice, target);
      BERTH_RETURN_IF_ERROR(op.check());
      if (image.ok())
        tell(**image, choice.names);
      else
        failures.add(support::annotate(
            image.status(), support::oneLine(absl::StrJoin(choice.names, ", "), kMostShown)));
    }
    return failures.status();
  }

  absl::StatusOr<Exported> exportImage(const plugins::Operation& op, const ExportRequest& request,
                                       LayoutTarget& target) override {
    BERTH_ASSIGN_OR_RETURN(const std::string name, known(request.reference));
    BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<const Image> image, catalog_.find(name));
    // Removing the image does not wait, and leaves these.
    layers_.claim(image->layers);
    auto exported = exportClaimed(op, *image, {name, request.layers}, target);
    layers_.release(image->layers);
    return exported;
  }

  absl::Status remove(const plugins::Operation& /*op*/, std::string_view reference,
                      const std::string& platform) override {
    if (reference.empty()) return absl::InvalidArgumentError("the image reference is empty");
    std::lock_guard lock(changing_);
    // Where not one is whole, the snapshotters' disk was not mounted at the start, as likely as
    // not.
    const bool lost = catalog_.list().empty();
    const auto name = knownBy(catalog_, *shortNames_.load(), reference, platform);
    if (name.ok()) {
      BERTH_ASSIGN_OR_RETURN(const auto gone, catalog_.remove(*name, platform));
      if (gone != nullptr) layers_.release(gone->layers);
    }
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

 private:
  using Pulled = SharedPulls::Pulled;

  absl::StatusOr<std::string> known(std::string_view text) const {
    return knownBy(catalog_, *shortNames_.load(), text);
  }

  absl::StatusOr<PullTarget> completed(PullTarget target) const {
    if (target.snapshotter.empty()) target.snapshotter = options_.snapshotter;
    BERTH_ASSIGN_OR_RETURN(target.platform,
                           platformBeside(locator_.standardPlatform(), target.platform));
    return target;
  }

  // Pulls of the same reference with the same rights share one.
  Pulled pullNamed(const plugins::Operation& op, const Reference& reference,
                   const plugins::Credentials* credentials, const PullTarget& target,
                   PullProgress* progress) {
    return pulls_.run(
        op, pullKey(reference, target, credentials), progress, [&](PullProgress& own) {
          const PullWatch::Guard watched(watch_, reference.full(), own);
          return pullAlone(op, {reference.full(), credentials}, reference, target, own);
        });
  }

  absl::StatusOr<std::shared_ptr<const Image>> pullAlone(const plugins::Operation& op,
                                                         const plugins::ImageRequest& request,
                                                         const Reference& reference,
                                                         const PullTarget& target,
                                                         PullProgress& progress) {
    BERTH_ASSIGN_OR_RETURN(const Found found, locator_.resolve(op, request));
    const Origin origin{found.source, request, &progress};
    return obtain(op, origin, found.resolved, {reference}, target);
  }

  Pulled importOne(const plugins::Operation& op, const Origin& origin, const ImportChoice& choice,
                   const PullTarget& target) {
    plugins::Resolved resolved{choice.descriptor, {}};
    BERTH_ASSIGN_OR_RETURN(resolved.document,
                           fetchDocument(op, origin, choice.descriptor, options_.maxManifestBytes));
    std::vector<Reference> names;
    for (const std::string& name : choice.names) {
      BERTH_ASSIGN_OR_RETURN(names.emplace_back(), parseReference(name));
    }
    return obtain(op, origin, resolved, names, target);
  }

  // The image that was resolved, by these names.
  Pulled obtain(const plugins::Operation& op, const Origin& origin,
                const plugins::Resolved& resolved, const std::vector<Reference>& names,
                const PullTarget& target) {
    BERTH_ASSIGN_OR_RETURN(const Platform platform, locator_.platform(target.platform));
    BERTH_ASSIGN_OR_RETURN(records::ImageRecord record,
                           locator_.describe(op, origin, resolved, platform));
    for (const Reference& name : names)
      BERTH_RETURN_IF_ERROR(
          acceptance_.admit(op, origin, name, resolved.descriptor.digest, record));
    setPlatform(target.platform, record);
    BERTH_RETURN_IF_ERROR(locator_.complete(op, origin, platform, layers_.downloads(), record));
    return unpack(op, std::move(record), target.snapshotter, origin);
  }

  absl::StatusOr<Exported> exportClaimed(const plugins::Operation& op, const Image& image,
                                         const ExportRequest& request, LayoutTarget& target) {
    BERTH_ASSIGN_OR_RETURN(const records::ImageRecord record, catalog_.record(image.id));
    plugins::Snapshotter* having = nullptr;
    for (const auto& [name, snapshotter] : registry_.snapshotters())
      if (layers_.hasAll(name, image.layers) && (having == nullptr || name == options_.snapshotter))
        having = snapshotter;
    return Exporter(op, locator_, having, target).run(image, record, request);
  }

  Pulled unpack(const plugins::Operation& op, records::ImageRecord record,
                const std::string& snapshotter, const Origin& origin) {
    const std::string context = strCat("pull ", origin.request.reference);
    const auto described = imageOf(record);
    if (!described.ok()) return support::annotate(described.status(), context);
    const Image& image = **described;
    const auto obtained = layers_.obtain(op, snapshotter, wantedLayers(image, record), origin);
    if (!obtained.ok()) return support::annotate(obtained, context);
    return keep(image, std::move(record));
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
      if (!layers_.isWhole(image->layers)) catalog_.hide(image->id);
  }

  const Options options_;
  Acceptance acceptance_;
  common::Published<ShortNames> shortNames_;
  const Locator locator_;
  plugins::Registry& registry_;
  store::Store& store_;
  Catalog catalog_;
  LayerKeeper layers_;
  SharedPulls pulls_;
  PullWatch watch_{kTellEvery, logPull};
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
