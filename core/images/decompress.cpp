#include "images/decompress.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include "berth/support/status.hpp"

namespace berth::images {

using support::strCat;

namespace {

constexpr size_t kOutput = 256u << 10;
constexpr size_t kMagic = 4;

class Plain : public Decompressor {
 public:
  explicit Plain(Pieces input) : input_(std::move(input)) {}
  absl::StatusOr<std::string_view> next() override { return input_(); }

 private:
  Pieces input_;
};

// RFC 1952: one or more members, one after the other.
class Gzip : public Decompressor {
 public:
  explicit Gzip(Pieces input) : input_(std::move(input)), output_(kOutput) { begin(); }

  absl::StatusOr<std::string_view> next() override {
    for (;;) {
      if (state_.avail_in == 0 && !outputPending_) {
        BERTH_ASSIGN_OR_RETURN(const std::string_view piece, input_());
        if (piece.empty()) {
          if (betweenMembers_) return std::string_view();
          return absl::InvalidArgumentError("the gzip stream ends early");
        }
        // ISA-L takes a pointer to mutable bytes and does not write to them.
        state_.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(piece.data()));
        state_.avail_in = static_cast<uint32_t>(piece.size());
      }
      if (betweenMembers_ && skipPadding()) continue;
      betweenMembers_ = false;
      outputPending_ = false;
      state_.next_out = output_.data();
      state_.avail_out = static_cast<uint32_t>(output_.size());
      const int result = isal_inflate(&state_);
      if (result != ISAL_DECOMP_OK && result != ISAL_END_INPUT) {
        return absl::InvalidArgumentError(strCat("the gzip stream is damaged (", result, ")"));
      }
      if (state_.block_state == ISAL_BLOCK_FINISH) {
        nextMember();
      } else {
        outputPending_ = state_.avail_out == 0;
      }
      const size_t produced = output_.size() - state_.avail_out;
      if (produced > 0) return std::string_view(reinterpret_cast<char*>(output_.data()), produced);
    }
  }

 private:
  void begin() {
    isal_inflate_init(&state_);
    state_.crc_flag = ISAL_GZIP;
  }
  void nextMember() {
    uint8_t* in = state_.next_in;
    const uint32_t left = state_.avail_in;
    const uint32_t out = state_.avail_out;
    isal_inflate_reset(&state_);
    state_.crc_flag = ISAL_GZIP;
    state_.next_in = in;
    state_.avail_in = left;
    state_.avail_out = out;
    betweenMembers_ = true;
  }
  // Some tools pad archives with zeros behind the last member.
  bool skipPadding() {
    while (state_.avail_in > 0 && *state_.next_in == 0) {
      ++state_.next_in;
      --state_.avail_in;
    }
    return state_.avail_in == 0;
  }

  Pieces input_;
  inflate_state state_;
  std::vector<uint8_t> output_;
  bool betweenMembers_ = false;
  bool outputPending_ = false;  // the library holds more than the last piece had room for
};

// RFC 8878: frames and skippable frames, one after the other.
class Zstd : public Decompressor {
 public:
  explicit Zstd(Pieces input)
      : input_(std::move(input)), context_(ZSTD_createDCtx()), output_(kOutput) {
    // RFC 8878, 3.1.1.1.2: decoders should bear windows of 8 MiB; layers rarely have larger ones,
    // and a bound keeps memory bounded.
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, 27);
  }

  absl::StatusOr<std::string_view> next() override {
    for (;;) {
      if (in_.pos == in_.size && !outputPending_) {
        BERTH_ASSIGN_OR_RETURN(const std::string_view piece, input_());
        if (piece.empty()) {
          if (betweenFrames_) return std::string_view();
          return absl::InvalidArgumentError("the zstd stream ends early");
        }
        in_ = {piece.data(), piece.size(), 0};
      }
      ZSTD_outBuffer out{output_.data(), output_.size(), 0};
      const size_t result = ZSTD_decompressStream(context_.get(), &out, &in_);
      if (ZSTD_isError(result) != 0) {
        return absl::InvalidArgumentError(
            strCat("the zstd stream is damaged: ", ZSTD_getErrorName(result)));
      }
      betweenFrames_ = result == 0;
      // At the end of a frame everything has come out: a full buffer then hides nothing more.
      outputPending_ = out.pos == out.size && !betweenFrames_;
      if (out.pos > 0) return std::string_view(output_.data(), out.pos);
    }
  }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  Pieces input_;
  std::unique_ptr<ZSTD_DCtx, Free> context_;
  std::vector<char> output_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  bool betweenFrames_ = false;
  bool outputPending_ = false;  // the library holds more than the last piece had room for
};

// Looks at the first bytes, then hands over to what they ask for.
class Detecting : public Decompressor {
 public:
  explicit Detecting(Pieces input) : input_(std::move(input)) {}

  absl::StatusOr<std::string_view> next() override {
    if (chosen_ == nullptr) BERTH_RETURN_IF_ERROR(chooseFormat());
    return chosen_->next();
  }

 private:
  absl::Status chooseFormat() {
    while (head_.size() < kMagic) {
      BERTH_ASSIGN_OR_RETURN(const std::string_view piece, input_());
      if (piece.empty()) break;
      head_ += piece;
    }
    // First the bytes already read, then the rest.
    Pieces all = [this]() -> absl::StatusOr<std::string_view> {
      if (!headGiven_ && !head_.empty()) {
        headGiven_ = true;
        return std::string_view(head_);
      }
      return input_();
    };
    const auto begins = [&](std::string_view magic) {
      return std::string_view(head_).substr(0, magic.size()) == magic;
    };
    const bool skippableFrame = head_.size() >= kMagic &&
                                (static_cast<unsigned char>(head_[0]) & 0xf0) == 0x50 &&
                                std::string_view(head_).substr(1, 3) == "\x2a\x4d\x18";
    if (begins("\x1f\x8b")) {
      chosen_ = std::make_unique<Gzip>(std::move(all));
    } else if (begins("\x28\xb5\x2f\xfd") || skippableFrame) {
      chosen_ = std::make_unique<Zstd>(std::move(all));
    } else {
      chosen_ = std::make_unique<Plain>(std::move(all));
    }
    return absl::OkStatus();
  }

  Pieces input_;
  std::string head_;
  bool headGiven_ = false;
  std::unique_ptr<Decompressor> chosen_;
};

}  // namespace

std::unique_ptr<Decompressor> Decompressor::create(Pieces input) {
  return std::make_unique<Detecting>(std::move(input));
}

}  // namespace berth::images
