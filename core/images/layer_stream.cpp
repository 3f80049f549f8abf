#include "images/layer_stream.hpp"

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"

namespace berth::images {

using support::strCat;

void LayerStream::abandon() {
  queue_.abandon();
  decompressor_.reset();
  turn_.reset();
}

LayerStream::~LayerStream() {
  // The source may take its time to notice.
  abandon();
  if (fetcher_.joinable()) fetcher_.join();
}

absl::StatusOr<std::string_view> LayerStream::next() {
  if (!begun_) begin();
  BERTH_ASSIGN_OR_RETURN(const std::string_view piece, decompressor_->next());
  if (piece.empty()) {
    BERTH_RETURN_IF_ERROR(checkEnd());
    ended_ = true;
    return piece;
  }
  plain_ += piece.size();
  if (maxBytes_ != 0 && plain_ > maxBytes_) {
    return absl::ResourceExhaustedError(
        strCat("layer ", wanted_.descriptor.digest, " unpacks to more than ", maxBytes_, " bytes"));
  }
  hash_.update(piece);
  return piece;
}

absl::Status LayerStream::damage() {
  if (!begun_ || ended_) return absl::OkStatus();
  // Waiting for the rest takes no turn.
  decompressor_.reset();
  turn_.reset();
  const Flight::Waiting waiting(flight_);
  for (;;) {
    auto rest = queue_.next();
    if (!rest.ok()) return absl::IsDataLoss(rest.status()) ? rest.status() : absl::OkStatus();
    if (rest->empty()) return absl::OkStatus();
  }
}

void LayerStream::begin() {
  begun_ = true;
  decompressor_ = Decompressor::create(
      [this] { return received(); },
      [this](Slots& slots) -> absl::StatusOr<Slots::Slot> {
        turn_.reset();
        BERTH_ASSIGN_OR_RETURN(Slots::Slot slot, slots.take(op_, registryOf(origin_)));
        BERTH_RETURN_IF_ERROR(takeTurn());
        return slot;
      });
  auto fetcher = support::startThread(
      [this] { queue_.close(support::returnThrown([&] { return fetch(); })); });
  if (fetcher.ok()) {
    fetcher_ = *std::move(fetcher);
  } else {
    queue_.close(fetcher.status());
  }
}

absl::Status LayerStream::fetch() {
  return fetchBlob(op_, origin_, wanted_.descriptor, [this](std::string_view bytes) {
    flight_.fetched() += bytes.size();
    if (origin_.progress != nullptr) origin_.progress->received(bytes.size());
    if (flight_.isOutrun()) return absl::AbortedError("another call has brought the layer");
    return queue_.write(bytes);
  });
}

absl::StatusOr<std::string_view> LayerStream::received() {
  std::optional<Flight::Waiting> waiting;
  if (!queue_.ready()) {
    turn_.reset();
    waiting.emplace(flight_);
  }
  BERTH_ASSIGN_OR_RETURN(const std::string_view piece, queue_.next());
  waiting.reset();
  BERTH_RETURN_IF_ERROR(takeTurn());
  return piece;
}

absl::Status LayerStream::takeTurn() {
  if (turn_) return absl::OkStatus();
  BERTH_ASSIGN_OR_RETURN(Slots::Slot turn, unpacks_.take(op_));
  turn_.emplace(std::move(turn));
  return absl::OkStatus();
}

absl::Status LayerStream::checkEnd() {
  // What stands behind the compressed stream belongs to the blob and is hashed with it.
  for (;;) {
    BERTH_ASSIGN_OR_RETURN(const std::string_view rest, received());
    if (rest.empty()) break;
  }
  const std::string digest = hash_.finish();
  if (digest == wanted_.layer.diffId) return absl::OkStatus();
  return absl::DataLossError(strCat("layer ", wanted_.descriptor.digest, " unpacks to the diff ID ",
                                    digest, " instead of the configuration's ",
                                    wanted_.layer.diffId));
}

}  // namespace berth::images
