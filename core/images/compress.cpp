#include "images/compress.hpp"

#include <string>
#include <vector>

#include <isa-l/igzip_lib.h>

#include "berth/support/status.hpp"

namespace berth::images {

namespace {

constexpr size_t kOutput = 256u << 10;
constexpr size_t kInput = 256u << 10;

}  // namespace

struct GzipWriter::State {
  isal_zstream stream;
  std::vector<uint8_t> level = std::vector<uint8_t>(ISAL_DEF_LVL1_DEFAULT);
  std::vector<uint8_t> output = std::vector<uint8_t>(kOutput);
  std::string block;  // of the input, not yet compressed
};

GzipWriter::GzipWriter(Taker out) : out_(std::move(out)), state_(std::make_unique<State>()) {
  isal_zstream& stream = state_->stream;
  isal_deflate_init(&stream);
  stream.level = 1;
  stream.level_buf = state_->level.data();
  stream.level_buf_size = static_cast<uint32_t>(state_->level.size());
  stream.gzip_flag = IGZIP_GZIP;
  stream.next_out = state_->output.data();
  stream.avail_out = kOutput;
}

GzipWriter::~GzipWriter() = default;

absl::Status GzipWriter::write(std::string_view bytes) {
  // What ISA-L makes of its input depends on the pieces that come in.
  std::string& block = state_->block;
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kInput - block.size());
    bytes.remove_prefix(piece.size());
    block.append(piece);
    if (block.size() == kInput) BERTH_RETURN_IF_ERROR(compress(Block::kInner));
  }
  return absl::OkStatus();
}

absl::Status GzipWriter::finish() {
  return compress(Block::kLast);
}

absl::Status GzipWriter::compress(Block which) {
  const bool isLast = which == Block::kLast;
  isal_zstream& stream = state_->stream;
  std::string& block = state_->block;
  stream.next_in = reinterpret_cast<uint8_t*>(block.data());
  stream.avail_in = static_cast<uint32_t>(block.size());
  stream.end_of_stream = isLast ? 1 : 0;
  while (isLast ? stream.internal_state.state != ZSTATE_END : stream.avail_in > 0) {
    if (const int result = isal_deflate(&stream); result != COMP_OK)
      return absl::InternalError(support::strCat("compress: ISA-L says ", result));
    if (isLast || stream.avail_out == 0) BERTH_RETURN_IF_ERROR(flush());
  }
  block.clear();
  return absl::OkStatus();
}

absl::Status GzipWriter::flush() {
  isal_zstream& stream = state_->stream;
  const size_t size = kOutput - stream.avail_out;
  stream.next_out = state_->output.data();
  stream.avail_out = kOutput;
  if (size == 0) return absl::OkStatus();
  return out_({reinterpret_cast<const char*>(state_->output.data()), size});
}

}  // namespace berth::images
