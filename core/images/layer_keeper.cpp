#include "images/layer_keeper.hpp"

#include <algorithm>
#include <atomic>

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "common/log.hpp"
#include "images/layer_stream.hpp"
#include "images/patience.hpp"

namespace berth::images {

using support::strCat;
using Clock = plugins::Operation::Clock;

namespace {

// Bytes of this digest and length.
std::string blobOf(const WantedLayer& wanted) {
  return strCat(wanted.descriptor.digest, " ", wanted.descriptor.size);
}

absl::Status outrun(const WantedLayer& wanted) {
  return absl::AbortedError(
      strCat("layer ", wanted.descriptor.digest, " has come through another call"));
}

}  // namespace

LayerKeeper::LayerKeeper(plugins::Registry& registry, LayerLimits limits,
                         std::function<absl::Status()> settle,
                         std::function<bool(const WantedLayer&)> knows)
    : registry_(registry),
      limits_(limits),
      settle_(std::move(settle)),
      knows_(std::move(knows)),
      downloads_(limits.downloads),
      unpacks_(limits.unpacks == 0 ? std::max(1u, std::thread::hardware_concurrency())
                                   : limits.unpacks),
      writes_(limits.writeBytesPerSecond) {}

void LayerKeeper::finish() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    for (plugins::Operation* op : freeing_) op->cancel();
  }
  wake_.notify_all();
  for (std::thread& collector : collectors_)
    if (collector.joinable()) collector.join();
}

std::string LayerKeeper::keyOf(const plugins::Snapshotter& snapshotter,
                               const plugins::Layer& layer) const {
  return snapshotter.independentLayers() ? layer.diffId : layer.chainId;
}

absl::Status LayerKeeper::load() {
  const plugins::Operation op("list the unpacked layers", Clock::now() + limits_.listing);
  const auto snapshotters = registry_.snapshotters();
  std::lock_guard lock(mutex_);
  for (const auto& [name, snapshotter] : snapshotters) {
    const auto keys = snapshotter->listLayers(op);
    BERTH_RETURN_IF_ERROR(support::annotate(
        keys.status(), strCat("snapshotter ", name, " did not list its unpacked layers",
                              op.cancelled() ? " in time" : "")));
    for (const std::string& key : *keys) {
      // The one name that is known stands for both: the snapshotter looks at its own.
      present_[name][key] = plugins::Layer{key, "", key};
    }
  }
  ++wakes_;
  for (const auto& [name, snapshotter] : snapshotters) {
    BERTH_ASSIGN_OR_RETURN(std::thread collector, support::startThread([this, one = snapshotter] {
                             collectorLoop(*one);
                           }));
    collectors_.push_back(std::move(collector));
  }
  return absl::OkStatus();
}

bool LayerKeeper::hasAll(const std::string& snapshotter,
                         const std::vector<plugins::Layer>& layers) const {
  auto found = registry_.snapshotter(snapshotter);
  if (!found.ok()) return false;
  std::lock_guard lock(mutex_);
  auto present = present_.find(snapshotter);
  return std::all_of(layers.begin(), layers.end(), [&](const plugins::Layer& layer) {
    return present != present_.end() && present->second.contains(keyOf(**found, layer));
  });
}

bool LayerKeeper::isWhole(const std::vector<plugins::Layer>& layers) const {
  const auto all = registry_.snapshotters();
  return std::any_of(all.begin(), all.end(),
                     [&](const auto& one) { return hasAll(one.first, layers); });
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
    ++releases_;
    const auto drop = [this](const std::string& name) {
      auto found = claims_.find(name);
      if (found == claims_.end() || --found->second != 0) return;
      claims_.erase(found);
      proven_.erase(name);
      unsettled_[name] = releases_;
    };
    for (const plugins::Layer& layer : layers) {
      drop(layer.chainId);
      if (layer.diffId != layer.chainId) drop(layer.diffId);
    }
  }
  wakeCollector();
}

absl::Status LayerKeeper::obtain(const plugins::Operation& op, const std::string& snapshotterName,
                                 const std::vector<WantedLayer>& layers, const Origin& origin) {
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
  order.reserve(layers.size());
  for (const WantedLayer& wanted : layers) order.push_back(&wanted);
  // The largest first: begun last, it would be waited for alone.
  if (snapshotter->independentLayers()) {
    std::stable_sort(order.begin(), order.end(), [](const auto* left, const auto* right) {
      return left->descriptor.size > right->descriptor.size;
    });
  }
  std::atomic<bool> failed = false;
  absl::Status status = support::inParallel(layers.size(), width, [&](size_t i) {
    if (failed) return absl::OkStatus();  // the others need not begin
    absl::Status obtained = obtainOne(op, *snapshotter, *order[i], origin);
    if (!obtained.ok()) failed = true;
    return obtained;
  });
  if (!status.ok()) release(claimed);
  return status;
}

bool LayerKeeper::isProven(const WantedLayer& wanted) const {
  {
    std::lock_guard lock(mutex_);
    const auto found = proven_.find(wanted.layer.diffId);
    if (found != proven_.end() && found->second.contains(blobOf(wanted))) return true;
  }
  return knows_(wanted);
}

absl::Status LayerKeeper::obtainOne(const plugins::Operation& op, plugins::Snapshotter& snapshotter,
                                    const WantedLayer& wanted, const Origin& origin) {
  const std::string key = keyOf(snapshotter, wanted.layer);
  const Flight::Source source{registryOf(origin), blobOf(wanted), wanted.descriptor.size};
  uint64_t received = 0;  // by flights that others have outrun
  for (;;) {
    const bool present = hasAll(snapshotter.name(), {wanted.layer});
    if (present && isProven(wanted)) {
      if (origin.progress != nullptr) origin.progress->unpacked(wanted.descriptor.size - received);
      return absl::OkStatus();
    }
    // A plugin that takes one call at a time would have a second one wait for the first.
    const auto patience =
        present || snapshotter.isParallel() ? limits_.patience : std::chrono::milliseconds::max();
    const std::string name =
        present ? strCat("read ", blobOf(wanted)) : strCat(snapshotter.name(), " ", key);
    std::shared_ptr<Flight> other;
    std::shared_ptr<Flight> own;
    {
      std::lock_guard lock(mutex_);
      if (present != present_[snapshotter.name()].contains(key)) continue;  // has just come or gone
      other = underWay_.toWaitFor(name, source.registry, patience);
      if (other == nullptr) own = underWay_.begin(name, source);
    }
    if (other != nullptr) {
      // Its owner may be cancelled or lack the right to the blob: then it is this call's turn.
      while (other->ended().wait_until(nextLook(op)) != std::future_status::ready &&
             !op.cancelled() && other->isWorthWaitingFor(source.registry, patience)) {
      }
      BERTH_RETURN_IF_ERROR(support::annotate(
          op.check(), strCat("wait for layer ", key, ", which another call fetches or removes")));
      continue;
    }
    bool fetched = false;
    absl::Status status = support::returnThrown([&]() -> absl::Status {
      BERTH_ASSIGN_OR_RETURN(fetched, present ? readOnly(op, wanted, origin, *own)
                                              : unpack(op, snapshotter, wanted, origin, *own));
      if (fetched) count(wanted, *own, origin, received);
      return absl::OkStatus();
    });
    {
      std::lock_guard lock(mutex_);
      if (status.ok() && !present) present_[snapshotter.name()][key] = wanted.layer;
      if (fetched) proven_[wanted.layer.diffId].insert(blobOf(wanted));
      underWay_.end(name, own, fetched);
    }
    own->land(status);
    if (!status.ok() && own->isOutrun()) {
      BERTH_RETURN_IF_ERROR(op.check());
      received += own->fetched();
      continue;
    }
    if (!status.ok() || fetched) return status;
  }
}

absl::StatusOr<bool> LayerKeeper::readOnly(const plugins::Operation& op, const WantedLayer& wanted,
                                           const Origin& origin, Flight& flight) {
  BERTH_ASSIGN_OR_RETURN(const Slots::Slot slot, takeDownload(op, origin, flight));
  LayerStream stream(op, wanted, origin, limits_.maxBytes, unpacks_, flight);
  while (!stream.ended()) {
    const auto piece = stream.next();
    if (flight.isOutrun()) return outrun(wanted);
    if (piece.ok()) continue;
    if (absl::IsInvalidArgument(piece.status())) BERTH_RETURN_IF_ERROR(stream.damage());
    return support::annotate(piece.status(), strCat("layer ", wanted.descriptor.digest));
  }
  return true;
}

absl::StatusOr<bool> LayerKeeper::unpack(const plugins::Operation& op,
                                         plugins::Snapshotter& snapshotter,
                                         const WantedLayer& wanted, const Origin& origin,
                                         Flight& flight) {
  BERTH_ASSIGN_OR_RETURN(const Slots::Slot slot, takeDownload(op, origin, flight));
  LayerStream stream(op, wanted, origin, limits_.maxBytes, unpacks_, flight);
  // A snapshotter writes what it reads, and a source sends no more than is read.
  const auto next = [&]() -> absl::StatusOr<std::string_view> {
    BERTH_ASSIGN_OR_RETURN(const std::string_view piece, stream.next());
    if (flight.isOutrun()) return outrun(wanted);
    if (!piece.empty()) BERTH_RETURN_IF_ERROR(writes_.pass(op, piece.size()));
    return piece;
  };
  auto usage = snapshotter.applyLayer(op, wanted.layer, next);
  if (!usage.ok()) {
    if (flight.isOutrun()) return outrun(wanted);
    if (absl::IsInvalidArgument(usage.status())) BERTH_RETURN_IF_ERROR(stream.damage());
    return support::annotate(usage.status(), strCat("layer ", wanted.descriptor.digest));
  }
  if (stream.begun() && !stream.ended()) {
    stream.abandon();
    // The layer that it has kept may be the other call's.
    if (flight.isRivalled()) {
      flight.beOutrun();
      return outrun(wanted);
    }
    snapshotter.removeLayer(op, wanted.layer).IgnoreError();
    return absl::InternalError(strCat("plugin ", snapshotter.name(), " kept layer ",
                                      wanted.layer.diffId, " without reading it to its end"));
  }
  return stream.ended();
}

absl::StatusOr<Slots::Slot> LayerKeeper::takeDownload(const plugins::Operation& op,
                                                      const Origin& origin, Flight& flight) {
  const Flight::Waiting waiting(flight);
  return downloads_.take(op, registryOf(origin));
}

void LayerKeeper::count(const WantedLayer& wanted, Flight& flight, const Origin& origin,
                        uint64_t before) {
  ++fetched_;
  fetchedBytes_ += flight.fetched();
  if (origin.progress != nullptr)
    origin.progress->unpacked(wanted.descriptor.size - flight.fetched() - before);
}

LayerFigures LayerKeeper::figures() const {
  return {fetched_, fetchedBytes_, downloads_.waiting(), unpacks_.waiting()};
}

void LayerKeeper::wakeCollector() {
  {
    std::lock_guard lock(mutex_);
    ++wakes_;
  }
  wake_.notify_all();
}

void LayerKeeper::collectorLoop(plugins::Snapshotter& snapshotter) {
  uint64_t seen = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stopping_ || seen != wakes_; });
    if (stopping_) return;
    seen = wakes_;
    lock.unlock();
    collect(snapshotter);
    lock.lock();
  }
}

void LayerKeeper::collect(plugins::Snapshotter& snapshotter) {
  std::vector<std::string> unclaimed;
  uint64_t settled = 0;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [key, layer] : present_[snapshotter.name()]) {
      if (!claims_.contains(key)) unclaimed.push_back(key);
    }
    settled = releases_;
  }
  if (unclaimed.empty() || !settle_().ok()) return;
  {
    std::lock_guard lock(mutex_);
    std::erase_if(unsettled_, [&](const auto& one) { return one.second <= settled; });
  }
  for (const std::string& key : unclaimed) {
    if (!freeLayer(snapshotter, key)) return;
  }
}

bool LayerKeeper::freeLayer(plugins::Snapshotter& snapshotter, const std::string& key) {
  plugins::Operation op(strCat("free layer ", key, " of ", snapshotter.name()),
                        Clock::now() + limits_.removal);
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return false;  // the next start goes on
    freeing_.insert(&op);
  }
  const auto mayGo = [&] {
    // Claimed and released again: the next round's.
    return !claims_.contains(key) && !unsettled_.contains(key);
  };
  // In use by a snapshot, or not removable now: looked at again after the next removal.
  const absl::Status freed =
      takeAway(snapshotter.name(), key, mayGo,
               [&](const plugins::Layer& layer) { return snapshotter.removeLayer(op, layer); });
  if (!freed.ok() && absl::IsDeadlineExceeded(op.check())) {
    common::logWarning("a layer that nothing uses was not freed in time; it is tried again",
                       {{"snapshotter", snapshotter.name()},
                        {"layer", key},
                        {"error", support::fromAbsl(freed.message())}});
  }
  std::lock_guard lock(mutex_);
  freeing_.erase(&op);
  return true;
}

absl::Status LayerKeeper::takeAway(const std::string& snapshotter, const std::string& key,
                                   const std::function<bool()>& mayGo, const Removal& remove) {
  plugins::Layer layer;
  const std::string name = strCat(snapshotter, " ", key);
  std::shared_ptr<Flight> flight;
  {
    std::lock_guard lock(mutex_);
    if (underWay_.contains(name))
      return absl::UnavailableError(strCat("layer ", key, " is being fetched or removed just now"));
    auto& layers = present_[snapshotter];
    auto found = layers.find(key);
    if (found == layers.end() || !mayGo()) return absl::OkStatus();
    layer = found->second;
    layers.erase(found);
    flight = underWay_.begin(name, {});
  }
  absl::Status removed = support::returnThrown([&] { return remove(layer); });
  {
    std::lock_guard lock(mutex_);
    if (!removed.ok()) present_[snapshotter][key] = layer;
    underWay_.end(name, flight, false);
  }
  flight->land(removed);
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
