// Errors and text without absl, iostream or locale: for programs that must stay small.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace berth::streams {

// The gRPC canonical codes (same numbers as absl::StatusCode).
enum class Code : uint32_t {
  kOk = 0,
  kCancelled = 1,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
};

// How something went; it goes to clients as it is.
struct Status {
  Code code = Code::kOk;
  std::string message;
};

inline bool isOk(const Status& status) {
  return status.code == Code::kOk;
}

// An integer as text, for concat(); lives as long as the full expression.
class Number {
 public:
  template <typename T>
  explicit Number(T value) {
    if (value < T{}) {
      format(uint64_t{0} - static_cast<uint64_t>(value));
      *--begin_ = '-';
    } else {
      format(static_cast<uint64_t>(value));
    }
  }
  operator std::string_view() const {  // NOLINT(google-explicit-constructor)
    return {begin_, static_cast<size_t>(digits_ + sizeof digits_ - begin_)};
  }

 private:
  void format(uint64_t value) {
    do {
      *--begin_ = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
  }

  char digits_[24];
  char* begin_ = digits_ + sizeof digits_;
};

std::string concat(std::initializer_list<std::string_view> parts);

// False unless all of `text` is a decimal number that fits.
bool parseNumber(std::string_view text, uint64_t& value);

Status failure(Code code, std::initializer_list<std::string_view> message);
// "<doing>: <what errno means>", with the code that fits the errno.
Status errnoFailure(int error, std::initializer_list<std::string_view> doing);

}  // namespace berth::streams
