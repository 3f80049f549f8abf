// The bytes of a frame: what the two sides of an isolated plugin write and read. Both are of one
// build on one machine, so numbers are in the machine's own form; but each reads what the other has
// written as if it lied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory_resource>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "berth/support/fd.hpp"
#include "isolation/given.hpp"

namespace berth::isolation {

// More than goes in any frame, of which a channel says so.
inline constexpr size_t kMostEncodedText = size_t{1} << 32;
// The most descriptors of one frame.
inline constexpr size_t kMostDescriptors = 8;

template <class T>
concept Number = std::is_arithmetic_v<T>;

class Encoder {
 public:
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void raw(const T& value) { bytes_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  // Throws std::invalid_argument for what cannot be one.
  void text(std::string_view value) {
    demandText(value.size(), kMostEncodedText);
    raw(static_cast<uint64_t>(value.size()));
    bytes_.append(value);
  }
  // What another encoder has written.
  void append(std::string_view bytes) { bytes_.append(bytes); }
  // Borrowed until the frame is sent; -1 goes over as such.
  void descriptor(int fd) {
    raw(static_cast<uint8_t>(fd >= 0));
    if (fd >= 0) descriptors_.push_back(fd);
  }
  // Kept until the frame is sent.
  void descriptor(support::Fd fd) {
    descriptor(fd.get());
    owned_.push_back(std::move(fd));
  }

  std::string_view bytes() const { return bytes_; }
  const std::vector<int>& descriptors() const { return descriptors_; }

 private:
  std::string bytes_;
  std::vector<int> descriptors_;
  std::vector<support::Fd> owned_;
};

// Reads what an Encoder has written. Past the end everything is zero, and ok() false. Texts are
// views of the frame; what is made for pointers lives as long as the decoder. Descriptors stay the
// frame's, unless they are taken.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes, std::span<support::Fd> descriptors = {})
      : rest_(bytes), descriptors_(descriptors), memory_(first_, sizeof first_) {}
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  template <class T>
  requires std::is_trivially_copyable_v<T> T raw() {
    T value;
    std::memset(static_cast<void*>(&value), 0, sizeof value);
    if (const std::string_view part = take(sizeof value); !part.empty())
      std::memcpy(static_cast<void*>(&value), part.data(), sizeof value);
    return value;
  }
  std::string_view text() {
    const auto size = raw<uint64_t>();
    return take(size);
  }
  int descriptor() {
    support::Fd* const next = nextDescriptor();
    return next != nullptr ? next->get() : -1;
  }
  support::Fd takeDescriptor() {
    support::Fd* const next = nextDescriptor();
    return next != nullptr ? std::move(*next) : support::Fd();
  }

  // Memory for `count` of T, zeroed; the count has come with the frame. Each takes at least as much
  // of it as the smallest thing that goes over, so that no small frame asks for much memory.
  template <class T>
  T* array(uint64_t count) {
    if (count > rest_.size() / kLeastBytes) {
      failed_ = true;
      return nullptr;
    }
    return allocate<T>(static_cast<size_t>(count));
  }
  template <class T>
  T* one() {
    return allocate<T>(1);
  }

  void fail() { failed_ = true; }
  bool ok() const { return !failed_; }
  // All of it has been read, and all was there.
  bool finished() const { return ok() && rest_.empty() && descriptors_.empty(); }

 private:
  static constexpr size_t kLeastBytes = 8;  // of the elements of arrays: texts

  template <class T>
  T* allocate(size_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    void* const memory = memory_.allocate(count * sizeof(T), alignof(T));
    std::memset(memory, 0, count * sizeof(T));
    return static_cast<T*>(memory);
  }
  std::string_view take(uint64_t size) {
    if (failed_ || size > rest_.size()) {
      failed_ = true;
      return {};
    }
    const std::string_view part = rest_.substr(0, static_cast<size_t>(size));
    rest_.remove_prefix(part.size());
    return part;
  }
  support::Fd* nextDescriptor() {
    if (raw<uint8_t>() == 0) return nullptr;
    if (descriptors_.empty()) {
      failed_ = true;
      return nullptr;
    }
    support::Fd* const next = &descriptors_.front();
    descriptors_ = descriptors_.subspan(1);
    return next;
  }

  std::string_view rest_;
  std::span<support::Fd> descriptors_;
  bool failed_ = false;
  alignas(std::max_align_t) std::byte first_[1024];
  std::pmr::monotonic_buffer_resource memory_;
};

}  // namespace berth::isolation
