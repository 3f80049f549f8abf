#include "images/layer_keeper.hpp"

#include <algorithm>
#include <atomic>

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "images/decompress.hpp"
#include "images/digest.hpp"
#include "images/piece_queue.hpp"

namespace berth::images {

using support::strCat;

namespace {

// How often one who waits looks whether it is still wanted.
constexpr std::chrono::milliseconds kLook{100};

// The stream a layer is unpacked from: fetched on a thread of its own from the first read on,
// decompressed and hashed on the reader's. Its end is only given once both digests are right, so a
// snapshotter never keeps a layer that is not what its manifest says.
class LayerStream {
 public:
  LayerStream(const plugins::Operation& op, const WantedLayer& wanted, const Origin& origin,
              uint64_t maxBytes, Slots& downloads)
      : op_(op), wanted_(wanted), origin_(origin), maxBytes_(maxBytes), downloads_(downloads) {}
  ~LayerStream() {
    queue_.abandon();
    if (fetcher_.joinable()) fetcher_.join();
  }
  LayerStream(const LayerStream&) = delete;
  LayerStream& operator=(const LayerStream&) = delete;

  absl::StatusOr<std::string_view> next() {
    if (decompressor_ == nullptr) begin();
    BERTH_ASSIGN_OR_RETURN(const std::string_view piece, decompressor_->next());
    if (piece.empty()) {
      BERTH_RETURN_IF_ERROR(checkEnd());
      ended_ = true;
      return piece;
    }
    plain_ += piece.size();
    if (maxBytes_ != 0 && plain_ > maxBytes_) {
      return absl::ResourceExhaustedError(strCat("layer ", wanted_.descriptor.digest,
                                                 " unpacks to more than ", maxBytes_, " bytes"));
    }
    hash_.update(piece);
    return piece;
  }
  // After a failure to unpack: DATA_LOSS when the bytes were not those of the descriptor, which
  // explains the failure better than what the damage looked like.
  absl::Status damage() {
    if (decompressor_ == nullptr || ended_) return absl::OkStatus();
    for (;;) {
      auto rest = queue_.next();
      if (!rest.ok()) return absl::IsDataLoss(rest.status()) ? rest.status() : absl::OkStatus();
      if (rest->empty()) return absl::OkStatus();
    }
  }
  bool begun() const { return decompressor_ != nullptr; }
  bool ended() const { return ended_; }
  uint64_t fetched() const { return fetched_; }  // bytes

 private:
  void begin() {
    decompressor_ = Decompressor::create([this] { return queue_.next(); }, &op_);
    auto fetcher = support::startThread(
        [this] { queue_.close(support::returnThrown([&] { return fetch(); })); });
    if (fetcher.ok()) {
      fetcher_ = *std::move(fetcher);
    } else {
      queue_.close(fetcher.status());
    }
  }

  absl::Status fetch() {
    BERTH_ASSIGN_OR_RETURN(const Slots::Slot slot, downloads_.take(op_));
    return fetchBlob(op_, origin_, wanted_.descriptor, [this](std::string_view bytes) {
      fetched_ += bytes.size();
      if (origin_.progress != nullptr) origin_.progress->received(bytes.size());
      return queue_.write(bytes);
    });
  }

  absl::Status checkEnd() {
    // What stands behind the compressed stream belongs to the blob and is hashed with it.
    for (;;) {
      BERTH_ASSIGN_OR_RETURN(const std::string_view rest, queue_.next());
      if (rest.empty()) break;
    }
    const std::string digest = hash_.finish();
    if (digest == wanted_.layer.diffId) return absl::OkStatus();
    return absl::DataLossError(strCat("layer ", wanted_.descriptor.digest,
                                      " unpacks to the diff ID ", digest,
                                      " instead of the configuration's ", wanted_.layer.diffId));
  }

  const plugins::Operation& op_;
  const WantedLayer& wanted_;
  const Origin& origin_;
  const uint64_t maxBytes_;
  Slots& downloads_;
  PieceQueue queue_;
  std::unique_ptr<Decompressor> decompressor_;
  Hash hash_{wanted_.layer.diffId};
  uint64_t plain_ = 0;
  std::atomic<uint64_t> fetched_ = 0;
  bool ended_ = false;
  std::thread fetcher_;
};

}  // namespace

LayerKeeper::LayerKeeper(plugins::Registry& registry, LayerLimits limits,
                         std::function<absl::Status()> settle)
    : registry_(registry),
      limits_(limits),
      settle_(std::move(settle)),
      downloads_(limits.downloads),
      unpacks_(limits.unpacks == 0 ? std::max(1u, std::thread::hardware_concurrency())
                                   : limits.unpacks) {}

void LayerKeeper::finish() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    if (collecting_ != nullptr) collecting_->cancel();
  }
  wake_.notify_all();
  if (collector_.joinable()) collector_.join();
}

std::string LayerKeeper::keyOf(const plugins::Snapshotter& snapshotter,
                               const plugins::Layer& layer) const {
  return snapshotter.independentLayers() ? layer.diffId : layer.chainId;
}

absl::Status LayerKeeper::load() {
  plugins::Operation op("list the unpacked layers");
  std::lock_guard lock(mutex_);
  for (const auto& [name, snapshotter] : registry_.snapshotters()) {
    BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> keys, snapshotter->listLayers(op));
    for (const std::string& key : keys) {
      // The one name that is known stands for both: the snapshotter looks at its own.
      present_[name][key] = plugins::Layer{key, "", key};
    }
  }
  BERTH_ASSIGN_OR_RETURN(collector_, support::startThread([this] { collectorLoop(); }));
  collect_ = true;
  // The collector may wait already.
  wake_.notify_all();
  return absl::OkStatus();
}

bool LayerKeeper::has(const std::string& snapshotter, const plugins::Layer& layer) const {
  auto found = registry_.snapshotter(snapshotter);
  if (!found.ok()) return false;
  std::lock_guard lock(mutex_);
  auto layers = present_.find(snapshotter);
  return layers != present_.end() && layers->second.contains(keyOf(**found, layer));
}

void LayerKeeper::claim(const std::vector<plugins::Layer>& layers) {
  std::lock_guard lock(mutex_);
  for (const plugins::Layer& layer : layers) {
    ++claims_[layer.chainId];
    if (layer.diffId != layer.chainId) ++claims_[layer.diffId];
  }
}

void LayerKeeper::release(const std::vector<plugins::Layer>& layers) {
  {
    std::lock_guard lock(mutex_);
    const auto drop = [this](const std::string& name) {
      auto found = claims_.find(name);
      if (found == claims_.end() || --found->second != 0) return;
      claims_.erase(found);
      unsettled_.insert(name);
    };
    for (const plugins::Layer& layer : layers) {
      drop(layer.chainId);
      if (layer.diffId != layer.chainId) drop(layer.diffId);
    }
  }
  wakeCollector();
}

absl::StatusOr<size_t> LayerKeeper::obtain(const plugins::Operation& op,
                                           const std::string& snapshotterName,
                                           const std::vector<WantedLayer>& layers,
                                           const Origin& origin) {
  BERTH_ASSIGN_OR_RETURN(plugins::Snapshotter * snapshotter,
                         registry_.snapshotter(snapshotterName));
  std::vector<plugins::Layer> claimed;
  uint64_t bytes = 0;
  for (const WantedLayer& wanted : layers) {
    claimed.push_back(wanted.layer);
    bytes += wanted.descriptor.size;
  }
  if (origin.progress != nullptr)
    origin.progress->expect(static_cast<unsigned>(layers.size()), bytes);
  claim(claimed);
  const size_t width =
      snapshotter->independentLayers() ? std::min<size_t>(layers.size(), limits_.downloads) : 1;
  std::vector<const WantedLayer*> order;
  for (const WantedLayer& wanted : layers) order.push_back(&wanted);
  // The largest first: begun last, it would be waited for alone.
  if (snapshotter->independentLayers()) {
    std::stable_sort(order.begin(), order.end(), [](const auto* left, const auto* right) {
      return left->descriptor.size > right->descriptor.size;
    });
  }
  std::atomic<bool> failed = false;
  std::atomic<size_t> fetched = 0;
  const absl::Status status = support::inParallel(layers.size(), width, [&](size_t i) {
    if (failed) return absl::OkStatus();  // the others need not begin
    const absl::StatusOr<bool> obtained = obtainOne(op, *snapshotter, *order[i], origin);
    if (!obtained.ok()) failed = true;
    if (obtained.ok() && *obtained) ++fetched;
    return obtained.status();
  });
  if (status.ok()) return fetched.load();
  release(claimed);
  return status;
}

absl::StatusOr<bool> LayerKeeper::obtainOne(const plugins::Operation& op,
                                            plugins::Snapshotter& snapshotter,
                                            const WantedLayer& wanted, const Origin& origin) {
  const std::string key = keyOf(snapshotter, wanted.layer);
  const std::string flight = strCat(snapshotter.name(), " ", key);
  for (;;) {
    std::promise<absl::Status> promise;
    std::shared_future<absl::Status> joined;
    {
      std::lock_guard lock(mutex_);
      if (present_[snapshotter.name()].contains(key)) {
        if (origin.progress != nullptr) origin.progress->unpacked(wanted.descriptor.size);
        return false;
      }
      auto running = underWay_.find(flight);
      if (running != underWay_.end()) {
        joined = running->second;
      } else {
        underWay_[flight] = promise.get_future().share();
      }
    }
    if (joined.valid()) {
      // Its owner may be cancelled or lack the right to the blob: then it is this call's turn.
      while (joined.wait_for(kLook) != std::future_status::ready) BERTH_RETURN_IF_ERROR(op.check());
      BERTH_RETURN_IF_ERROR(op.check());
      continue;
    }
    bool fetched = false;
    const absl::Status status = support::returnThrown([&]() -> absl::Status {
      BERTH_ASSIGN_OR_RETURN(fetched, unpack(op, snapshotter, wanted, origin));
      return absl::OkStatus();
    });
    {
      std::lock_guard lock(mutex_);
      if (status.ok()) present_[snapshotter.name()][key] = wanted.layer;
      underWay_.erase(flight);
    }
    promise.set_value(status);
    BERTH_RETURN_IF_ERROR(status);
    return fetched;
  }
}

absl::StatusOr<bool> LayerKeeper::unpack(const plugins::Operation& op,
                                         plugins::Snapshotter& snapshotter,
                                         const WantedLayer& wanted, const Origin& origin) {
  BERTH_ASSIGN_OR_RETURN(const Slots::Slot slot, unpacks_.take(op));
  LayerStream stream(op, wanted, origin, limits_.maxBytes, downloads_);
  auto usage = snapshotter.applyLayer(op, wanted.layer, [&] { return stream.next(); });
  if (!usage.ok()) {
    if (absl::IsInvalidArgument(usage.status())) BERTH_RETURN_IF_ERROR(stream.damage());
    return support::annotate(usage.status(), strCat("layer ", wanted.descriptor.digest));
  }
  if (stream.begun() && !stream.ended()) {
    snapshotter.removeLayer(op, wanted.layer).IgnoreError();
    return absl::InternalError(strCat("plugin ", snapshotter.name(), " kept layer ",
                                      wanted.layer.diffId, " without reading it to its end"));
  }
  if (origin.progress != nullptr)
    origin.progress->unpacked(wanted.descriptor.size - stream.fetched());
  return stream.ended();
}

void LayerKeeper::wakeCollector() {
  {
    std::lock_guard lock(mutex_);
    collect_ = true;
  }
  wake_.notify_all();
}

void LayerKeeper::collectorLoop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || collect_; });
    if (stopping_) return;
    collect_ = false;
    plugins::Operation op("free layers that nothing uses");
    collecting_ = &op;
    lock.unlock();
    collect(op);
    lock.lock();
    collecting_ = nullptr;
  }
}

void LayerKeeper::collect(const plugins::Operation& op) {
  std::vector<std::pair<std::string, std::string>> unclaimed;  // snapshotter, key
  {
    std::lock_guard lock(mutex_);
    for (const auto& [snapshotter, layers] : present_) {
      for (const auto& [key, layer] : layers) {
        if (!claims_.contains(key)) unclaimed.emplace_back(snapshotter, key);
      }
    }
    unsettled_.clear();
    if (unclaimed.empty()) return;
  }
  if (!settle_().ok()) return;
  for (const auto& [name, key] : unclaimed) {
    if (op.cancelled()) break;  // the next start goes on
    auto snapshotter = registry_.snapshotter(name);
    if (!snapshotter.ok()) continue;
    const auto mayGo = [this, &key = key] {
      // Claimed and released again: the next round's.
      return !claims_.contains(key) && !unsettled_.contains(key);
    };
    // In use by a snapshot, or not removable now: looked at again after the next removal.
    takeAway(name, key, mayGo, [&op, &snapshotter](const plugins::Layer& layer) {
      return (*snapshotter)->removeLayer(op, layer);
    }).IgnoreError();
  }
}

absl::Status LayerKeeper::takeAway(const std::string& snapshotter, const std::string& key,
                                   const std::function<bool()>& mayGo, const Removal& remove) {
  plugins::Layer layer;
  std::promise<absl::Status> promise;
  const std::string flight = strCat(snapshotter, " ", key);
  {
    std::lock_guard lock(mutex_);
    if (underWay_.contains(flight))
      return absl::UnavailableError(strCat("layer ", key, " is being fetched or removed just now"));
    auto& layers = present_[snapshotter];
    auto found = layers.find(key);
    if (found == layers.end() || !mayGo()) return absl::OkStatus();
    layer = found->second;
    layers.erase(found);
    underWay_[flight] = promise.get_future().share();
  }
  const absl::Status removed = support::returnThrown([&] { return remove(layer); });
  {
    std::lock_guard lock(mutex_);
    if (!removed.ok()) present_[snapshotter][key] = layer;
    underWay_.erase(flight);
  }
  promise.set_value(removed);
  return removed;
}

absl::Status LayerKeeper::drop(const plugins::Operation& op, const std::string& snapshotter,
                               const std::string& key) {
  BERTH_ASSIGN_OR_RETURN(plugins::Snapshotter * keeper, registry_.snapshotter(snapshotter));
  return takeAway(
      snapshotter, key, [] { return true; },
      [&](const plugins::Layer& layer) { return keeper->dropLayer(op, layer); });
}

}  // namespace berth::images
