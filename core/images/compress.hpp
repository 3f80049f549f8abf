// Layers' bytes on their way out: gzip (ISA-L), at its fastest.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include <absl/status/status.h>

namespace berth::images {

// RFC 1952, one member; the same bytes for the same input, whatever pieces it comes in. Not
// thread-safe.
class GzipWriter {
 public:
  // Takes the next bytes of the stream, which are lent for the call; a failure is handed on.
  using Taker = std::function<absl::Status(std::string_view bytes)>;
  explicit GzipWriter(Taker out);
  ~GzipWriter();
  GzipWriter(const GzipWriter&) = delete;
  GzipWriter& operator=(const GzipWriter&) = delete;

  absl::Status write(std::string_view bytes);
  // The end; once.
  absl::Status finish();

 private:
  struct State;
  enum class Block { kInner, kLast };
  absl::Status compress(Block which);
  absl::Status flush();

  const Taker out_;
  std::unique_ptr<State> state_;
};

}  // namespace berth::images
