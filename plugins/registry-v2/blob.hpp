// Blobs, streamed to the host as they arrive.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "berth/image_source.hpp"
#include "client.hpp"

namespace berth::registry {

// Passes a blob's bytes from a given offset on to the host, whichever servers they come from and
// however often the transfer breaks off.
class BlobContent final : public Content {
 public:
  BlobContent(const Op& op, const Descriptor& descriptor, uint64_t offset, Sink& sink)
      : op_(op), descriptor_(descriptor), position_(offset), sink_(sink) {}

  std::vector<std::string> headers() const override;
  absl::Status begin(const HttpHead& head) override;
  absl::Status data(std::string_view piece) override;
  absl::Status finish() override;
  absl::Status stopped() const override { return stopped_; }
  uint64_t delivered() const override { return position_; }

 private:
  absl::Status beginWhole(const HttpHead& head);
  absl::Status beginPart(const HttpHead& head);

  const Op& op_;
  const Descriptor& descriptor_;
  uint64_t position_;  // the next byte the host gets
  uint64_t skip_ = 0;  // bytes before it that this answer still repeats
  Sink& sink_;
  absl::Status stopped_;
};

// "bytes 5-9/10" (RFC 9110, section 14.4). Total 0 when it is "*".
struct ContentRange {
  uint64_t first = 0;
  uint64_t last = 0;
  uint64_t total = 0;
};
absl::StatusOr<ContentRange> parseContentRange(std::string_view value);

}  // namespace berth::registry
