// The unpacked layers of this node: each fetched and unpacked once, freed when nothing needs it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "images/fetch.hpp"
#include "images/flights.hpp"
#include "images/image_service.hpp"
#include "images/layer_stream.hpp"
#include "images/rate_limit.hpp"
#include "images/slots.hpp"
#include "plugins/registry.hpp"

namespace berth::images {

struct LayerLimits {
  unsigned downloads = 6;
  unsigned unpacks = 2;
  uint64_t maxBytes = 0;             // of one layer, uncompressed
  uint64_t writeBytesPerSecond = 0;  // into snapshotters, uncompressed; 0: no limit
  // With the download of the same layer from another registry.
  std::chrono::milliseconds patience{std::chrono::seconds(10)};
  // Until all snapshotters have listed their layers: before systemd gives up the daemon's start.
  std::chrono::milliseconds listing{std::chrono::seconds(60)};
  // Of one layer that nothing uses.
  std::chrono::milliseconds removal{std::chrono::minutes(5)};
};

// Thread-safe.
class LayerKeeper {
 public:
  // `settle` returns once what the releases before it stand for survives a power cut: a removed
  // image must not come back without its layers. It is called before layers are removed, without a
  // lock, and when it fails they stay. `knows` tells, also without a lock, of a layer that is there
  // whether an image says already that it comes from these bytes.
  LayerKeeper(plugins::Registry& registry, LayerLimits limits, std::function<absl::Status()> settle,
              std::function<bool(const WantedLayer&)> knows);
  ~LayerKeeper() { finish(); }

  // Ends the collectors, cancelling what they are at; afterwards they call no plugin. Idempotent.
  void finish();

  // Asks every snapshotter what it has, and begins to collect from all at once. Once, at start.
  // Fails when one does not answer in time; RESOURCE_EXHAUSTED when there is no thread to be had.
  absl::Status load();
  bool hasAll(const std::string& snapshotter, const std::vector<plugins::Layer>& layers) const;
  // Whether some snapshotter has all of them.
  bool isWhole(const std::vector<plugins::Layer>& layers) const;

  // Makes sure that all layers are there and whole, and what their descriptors say; blocks. Those
  // that are missing are fetched in parallel, each once however many callers want it, unless the
  // registry that it comes from is slow and a caller has another one; and so, to be read alone, are
  // those that are there but of which nobody knows that they come from these bytes: a manifest may
  // be made up. They are kept from the collector until release() with the same layers.
  absl::Status obtain(const plugins::Operation& op, const std::string& snapshotter,
                      const std::vector<WantedLayer>& layers, const Origin& origin);
  // The turns at downloads, for what else fetches layers.
  Slots& downloads() { return downloads_; }
  // From now on, also for what is under way.
  void limitWrites(uint64_t bytesPerSecond) { writes_.setRate(bytesPerSecond); }
  LayerFigures figures() const;
  // Images' claims on layers. A layer without a claim goes as soon as no snapshot uses it.
  void claim(const std::vector<plugins::Layer>& layers);
  void release(const std::vector<plugins::Layer>& layers);
  // Takes away a damaged layer, claimed or not: it is not there any more, so that the next obtain()
  // fetches it. One that is not there is success. UNAVAILABLE while it is being fetched or removed.
  absl::Status drop(const plugins::Operation& op, const std::string& snapshotter,
                    const std::string& key);
  // Lets the collectors look again, after snapshots have gone. Does not block.
  void wakeCollector();

 private:
  std::string keyOf(const plugins::Snapshotter& snapshotter, const plugins::Layer& layer) const;
  absl::Status obtainOne(const plugins::Operation& op, plugins::Snapshotter& snapshotter,
                         const WantedLayer& wanted, const Origin& origin);
  // Both: whether the layer was fetched, and so proven to be what its descriptor says. ABORTED when
  // the flight is outrun.
  absl::StatusOr<bool> unpack(const plugins::Operation& op, plugins::Snapshotter& snapshotter,
                              const WantedLayer& wanted, const Origin& origin, Flight& flight);
  absl::StatusOr<bool> readOnly(const plugins::Operation& op, const WantedLayer& wanted,
                                const Origin& origin, Flight& flight);
  absl::StatusOr<Slots::Slot> takeDownload(const plugins::Operation& op, const Origin& origin,
                                           Flight& flight);
  // Counts a layer that was fetched. `before`: bytes of it that the same pull has got in vain.
  void count(const WantedLayer& wanted, Flight& flight, const Origin& origin, uint64_t before);
  bool isProven(const WantedLayer& wanted) const;
  using Removal = std::function<absl::Status(const plugins::Layer&)>;
  // Takes a layer out under the lock, if it is there and `mayGo`, which is asked with that held;
  // pulls that want it wait then until `remove` has ended, and fetch it anew. A failure brings it
  // back.
  absl::Status takeAway(const std::string& snapshotter, const std::string& key,
                        const std::function<bool()>& mayGo, const Removal& remove);
  void collectorLoop(plugins::Snapshotter& snapshotter);
  void collect(plugins::Snapshotter& snapshotter);
  // False: it is to end.
  bool freeLayer(plugins::Snapshotter& snapshotter, const std::string& key);

  plugins::Registry& registry_;
  const LayerLimits limits_;
  const std::function<absl::Status()> settle_;
  const std::function<bool(const WantedLayer&)> knows_;
  Slots downloads_;
  Slots unpacks_;
  RateLimit writes_;
  std::atomic<uint64_t> fetched_{0};
  std::atomic<uint64_t> fetchedBytes_{0};

  mutable std::mutex mutex_;
  // By snapshotter: the keys of layers that are there.
  std::map<std::string, std::map<std::string, plugins::Layer>> present_;
  Flights underWay_;                        // "snapshotter key"
  std::map<std::string, unsigned> claims_;  // chain ID and diff ID
  // The blobs that a layer, by diff ID, has been seen to come from since it has claims.
  std::map<std::string, std::set<std::string>> proven_;
  // Names that have lost their last claim, by when, and of which settle_() has not heard since.
  std::map<std::string, uint64_t> unsettled_;
  uint64_t releases_ = 0;
  std::condition_variable wake_;
  uint64_t wakes_ = 0;
  bool stopping_ = false;
  std::set<plugins::Operation*> freeing_;  // the collectors'
  std::vector<std::thread> collectors_;    // one for each snapshotter
};

}  // namespace berth::images
