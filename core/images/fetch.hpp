// Content from image sources, checked.
#pragma once

#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "images/pull_progress.hpp"
#include "plugins/image_source.hpp"
#include "plugins/operation.hpp"

namespace berth::images {

// Where an image comes from and how to prove the right to it, and who wants to know how far its
// layers are. Borrowed for the pull.
struct Origin {
  std::shared_ptr<plugins::ImageSource> source = nullptr;
  plugins::ImageRequest request;
  PullProgress* progress = nullptr;  // may be null
};

// The registry that the image is named after: what bounds downloads, so that one that is slow holds
// up its own images only.
std::string registryOf(const Origin& origin);

// Fetches a blob into `out`, resuming where a connection broke off. DATA_LOSS when what came does
// not have the descriptor's digest or size; bytes that were handed out are then not to be used.
absl::Status fetchBlob(const plugins::Operation& op, const Origin& origin,
                       const plugins::Descriptor& descriptor, const plugins::ByteSink& out);

// A small document; RESOURCE_EXHAUSTED above `limit` bytes.
absl::StatusOr<std::string> fetchDocument(const plugins::Operation& op, const Origin& origin,
                                          const plugins::Descriptor& descriptor, uint64_t limit);

}  // namespace berth::images
