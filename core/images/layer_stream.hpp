// A layer's bytes on their way from its source, checked.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "images/decompress.hpp"
#include "images/digest.hpp"
#include "images/fetch.hpp"
#include "images/flights.hpp"
#include "images/piece_queue.hpp"
#include "images/slots.hpp"
#include "plugins/snapshotter.hpp"

namespace berth::images {

// A layer and where its bytes come from.
struct WantedLayer {
  plugins::Layer layer;
  plugins::Descriptor descriptor;
};

// The stream a layer is unpacked from: fetched on a thread of its own from the first read on,
// decompressed and hashed on the reader's. Its end is only given once both digests are right, so a
// snapshotter never keeps a layer that is not what its manifest says. Not thread-safe.
class LayerStream {
 public:
  // All are borrowed. next() waits for a turn at `unpacks`, which the stream then has until it has
  // to wait for anything else: a source that is slow keeps no turn from others. RESOURCE_EXHAUSTED
  // past `maxBytes` (0: none) of plain bytes. `flight` gets what comes in.
  LayerStream(const plugins::Operation& op, const WantedLayer& wanted, const Origin& origin,
              uint64_t maxBytes, Slots& unpacks, Flight& flight)
      : op_(op),
        wanted_(wanted),
        origin_(origin),
        maxBytes_(maxBytes),
        unpacks_(unpacks),
        flight_(flight) {}
  ~LayerStream();
  LayerStream(const LayerStream&) = delete;
  LayerStream& operator=(const LayerStream&) = delete;

  // The next plain piece, empty at the end, lent until the next call.
  absl::StatusOr<std::string_view> next();
  // After a failure to unpack: DATA_LOSS when the bytes were not those of the descriptor, which
  // explains the failure better than what the damage looked like.
  absl::Status damage();
  // Nothing more is read: turns and memory go to others.
  void abandon();
  bool begun() const { return begun_; }
  bool ended() const { return ended_; }

 private:
  void begin();
  absl::Status fetch();
  absl::StatusOr<std::string_view> received();
  absl::Status takeTurn();
  absl::Status checkEnd();

  const plugins::Operation& op_;
  const WantedLayer& wanted_;
  const Origin& origin_;
  const uint64_t maxBytes_;
  Slots& unpacks_;
  Flight& flight_;
  std::optional<Slots::Slot> turn_;
  PieceQueue queue_;
  std::unique_ptr<Decompressor> decompressor_;
  Hash hash_{wanted_.layer.diffId};
  uint64_t plain_ = 0;
  bool begun_ = false;
  bool ended_ = false;
  std::thread fetcher_;
};

}  // namespace berth::images
