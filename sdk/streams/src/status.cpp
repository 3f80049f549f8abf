#include "berth/streams/status.hpp"

#include <cerrno>
#include <cstring>

namespace berth::streams {

namespace {

Code codeOf(int error) {
  switch (error) {
    case ENOENT:
    case ESRCH:
      return Code::kNotFound;
    case EEXIST:
      return Code::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::kPermissionDenied;
    case ENOMEM:
    case ENOSPC:
    case EMFILE:
    case ENFILE:
    case EAGAIN:
      return Code::kResourceExhausted;
    case EINVAL:
    case ENAMETOOLONG:
    case ENOTDIR:
      return Code::kInvalidArgument;
    default:
      return Code::kInternal;
  }
}

}  // namespace

std::string concat(std::initializer_list<std::string_view> parts) {
  size_t length = 0;
  for (std::string_view part : parts) length += part.size();
  std::string text;
  text.reserve(length);
  for (std::string_view part : parts) text.append(part);
  return text;
}

bool parseNumber(std::string_view text, uint64_t& value) {
  if (text.empty()) return false;
  uint64_t result = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    if (__builtin_mul_overflow(result, uint64_t{10}, &result)) return false;
    if (__builtin_add_overflow(result, static_cast<uint64_t>(c - '0'), &result)) return false;
  }
  value = result;
  return true;
}

Status failure(Code code, std::initializer_list<std::string_view> message) {
  return {code, concat(message)};
}

Status errnoFailure(int error, std::initializer_list<std::string_view> doing) {
  std::string message = concat(doing);
  message += ": ";
  // strerror() would pull in translation catalogues.
  const char* meaning = strerrordesc_np(error);
  message += meaning != nullptr ? std::string_view(meaning) : std::string_view("unknown error");
  return {codeOf(error), message};
}

}  // namespace berth::streams
