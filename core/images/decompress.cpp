#include "images/decompress.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
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

constexpr std::string_view kZstdFrame = "\x28\xb5\x2f\xfd";

// RFC 8878, 3.1.2: passed over.
bool isSkippable(std::string_view head) {
  return head.size() >= kMagic && (static_cast<unsigned char>(head[0]) & 0xf0) == 0x50 &&
         head.substr(1, 3) == "\x2a\x4d\x18";
}

// What the decoder of a zstd frame must remember, in bytes (RFC 8878, 3.1.1.1); nothing while the
// frame's beginning is not all there, 0 for what is no such frame.
std::optional<uint64_t> windowOf(std::string_view head) {
  constexpr size_t kDictionaryBytes[] = {0, 1, 2, 4};
  constexpr size_t kContentBytes[] = {1, 2, 4, 8};
  if (head.size() < kMagic) return std::nullopt;
  if (!head.starts_with(kZstdFrame)) return 0;
  const auto byte = [head](size_t at) {
    return static_cast<uint64_t>(static_cast<uint8_t>(head[at]));
  };
  size_t at = kMagic;
  if (head.size() <= at + 1) return std::nullopt;
  const uint64_t descriptor = byte(at++);
  const bool isSingleSegment = (descriptor & 0x20) != 0;
  if (!isSingleSegment) {
    const uint64_t base = uint64_t{1} << (10 + (byte(at) >> 3));
    return base + base / 8 * (byte(at) & 7);
  }
  at += kDictionaryBytes[descriptor & 3];
  const size_t size = kContentBytes[descriptor >> 6];
  if (head.size() < at + size) return std::nullopt;
  uint64_t content = size == 2 ? 256 : 0;
  for (size_t i = 0; i < size; ++i) content += byte(at + i) << (8 * i);
  return content;
}

// Of the process: for frames with large windows, one for each registry.
Slots& largeWindows() {
  static Slots slots(1);
  return slots;
}

// RFC 8878: frames and skippable frames, one after the other.
class Zstd : public Decompressor {
 public:
  Zstd(Pieces input, SlotTaker wait)
      : input_(std::move(input)),
        wait_(std::move(wait)),
        context_(ZSTD_createDCtx()),
        output_(kOutput) {
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kLargestWindowLog);
  }

  absl::StatusOr<std::string_view> next() override {
    for (;;) {
      if (!headKnown_) {
        BERTH_ASSIGN_OR_RETURN(const bool more, readHead());
        if (!more) return std::string_view();
      }
      const bool fromHead = head_.size() > headGiven_;
      if (!fromHead && in_.pos == in_.size && !outputPending_ && !refill()) {
        BERTH_RETURN_IF_ERROR(failure_);
        return absl::InvalidArgumentError("the zstd stream ends early");
      }
      ZSTD_inBuffer head{head_.data(), head_.size(), headGiven_};
      ZSTD_outBuffer out{output_.data(), output_.size(), 0};
      const size_t result = ZSTD_decompressStream(context_.get(), &out, fromHead ? &head : &in_);
      if (fromHead) headGiven_ = head.pos;
      if (ZSTD_isError(result) != 0) {
        return absl::InvalidArgumentError(
            strCat("the zstd stream is damaged: ", ZSTD_getErrorName(result)));
      }
      // At the end of a frame everything has come out: a full buffer then hides nothing more.
      outputPending_ = out.pos == out.size && result != 0;
      if (result == 0) endFrame();
      if (out.pos > 0) return std::string_view(output_.data(), out.pos);
    }
  }

 private:
  static constexpr uint64_t kSmallWindow = 8u << 20;
  static constexpr int kLargestWindowLog = 27;
  static constexpr size_t kLongestHead = 18;

  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };

  // False at the end, or with failure_ set.
  bool refill() {
    auto piece = input_();
    if (!piece.ok()) {
      failure_ = piece.status();
      return false;
    }
    in_ = {piece->data(), piece->size(), 0};
    return !piece->empty();
  }

  // Of a frame as much as tells what memory it needs. False when there is no further frame.
  absl::StatusOr<bool> readHead() {
    std::optional<uint64_t> window = windowOf(head_);
    while (!window && head_.size() < kLongestHead) {
      if (in_.pos == in_.size && !refill()) {
        BERTH_RETURN_IF_ERROR(failure_);
        break;
      }
      const char* from = static_cast<const char*>(in_.src) + in_.pos;
      const size_t count = std::min(kLongestHead - head_.size(), in_.size - in_.pos);
      head_.append(from, count);
      in_.pos += count;
      window = windowOf(head_);
    }
    if (head_.empty()) return false;
    headKnown_ = true;
    // The library may know formats older than the standard, whose memory nothing here bounds.
    if (head_.size() >= kMagic && !head_.starts_with(kZstdFrame) && !isSkippable(head_))
      return absl::InvalidArgumentError("the zstd stream is damaged: what follows is no frame");
    if (window.value_or(0) > uint64_t{1} << kLargestWindowLog)
      return absl::InvalidArgumentError(strCat("the zstd stream needs a window of ", *window,
                                               " bytes; at most ", uint64_t{1} << kLargestWindowLog,
                                               " are given"));
    if (window.value_or(0) > kSmallWindow && !large_) {
      BERTH_ASSIGN_OR_RETURN(Slots::Slot slot, wait_(largeWindows()));
      large_.emplace(std::move(slot));
    }
    return true;
  }

  void endFrame() {
    head_.erase(0, headGiven_);
    headGiven_ = 0;
    headKnown_ = false;
  }

  Pieces input_;
  const SlotTaker wait_;
  std::optional<Slots::Slot> large_;  // given back after the memory
  std::unique_ptr<ZSTD_DCtx, Free> context_;
  std::vector<char> output_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  std::string head_;  // of the frame, and maybe more, not yet given to the library in all
  size_t headGiven_ = 0;
  bool headKnown_ = false;
  bool outputPending_ = false;  // the library holds more than the last piece had room for
  absl::Status failure_;        // of the input
};

// Looks at the first bytes, then hands over to what they ask for.
class Detecting : public Decompressor {
 public:
  Detecting(Pieces input, SlotTaker wait) : input_(std::move(input)), wait_(std::move(wait)) {}

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
    if (begins("\x1f\x8b")) {
      chosen_ = std::make_unique<Gzip>(std::move(all));
    } else if (begins(kZstdFrame) || isSkippable(head_)) {
      chosen_ = std::make_unique<Zstd>(std::move(all), std::move(wait_));
    } else {
      chosen_ = std::make_unique<Plain>(std::move(all));
    }
    return absl::OkStatus();
  }

  Pieces input_;
  SlotTaker wait_;
  std::string head_;
  bool headGiven_ = false;
  std::unique_ptr<Decompressor> chosen_;
};

}  // namespace

std::unique_ptr<Decompressor> Decompressor::create(Pieces input, SlotTaker wait) {
  if (!wait) {
    wait = [](Slots& slots) {
      return slots.take(plugins::Operation("unpack what has a large window"));
    };
  }
  return std::make_unique<Detecting>(std::move(input), std::move(wait));
}

}  // namespace berth::images
