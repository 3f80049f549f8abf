#include "retry.hpp"

#include <algorithm>
#include <charconv>
#include <random>
#include <string>

#include <curl/curl.h>

#include "text.hpp"

namespace berth::registry {
namespace {

constexpr int64_t kDaySeconds = 86'400;
constexpr int kFirstPause = 250;
constexpr int kLongestPause = 5'000;

Milliseconds boundedSeconds(int64_t seconds) {
  return std::chrono::seconds(std::clamp<int64_t>(seconds, 0, kDaySeconds));
}

}  // namespace

std::optional<Milliseconds> parseRetryAfter(std::string_view value, std::time_t now) {
  value = trimmed(value);
  if (value.empty()) return std::nullopt;
  if (std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    int64_t seconds = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    return boundedSeconds(error == std::errc() ? seconds : kDaySeconds);
  }
  const bool looksLikeDate = value.size() <= 64 && value.find(':') != std::string_view::npos;
  const std::time_t when = looksLikeDate ? ::curl_getdate(std::string(value).c_str(), nullptr) : -1;
  if (when < 0) return std::nullopt;
  return boundedSeconds(when - now);
}

Milliseconds backOff(unsigned repeat) {
  thread_local std::minstd_rand generator{std::random_device{}()};
  const int full = std::min(kFirstPause << std::min(repeat, 8u), kLongestPause);
  return Milliseconds(std::uniform_int_distribution<int>(full / 2, full)(generator));
}

bool isTransient(long httpStatus) {
  return httpStatus == 408 || httpStatus == 429 || httpStatus == 500 || httpStatus == 502 ||
         httpStatus == 503 || httpStatus == 504;
}

absl::StatusCode codeOfHttpStatus(long httpStatus) {
  switch (httpStatus) {
    case 401:
    case 407:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
    case 410:
      return absl::StatusCode::kNotFound;
    case 501:
    case 505:
      return absl::StatusCode::kUnimplemented;
    default:
      break;
  }
  if (httpStatus == 408 || httpStatus == 429 || httpStatus >= 500)
    return absl::StatusCode::kUnavailable;
  return httpStatus >= 400 ? absl::StatusCode::kFailedPrecondition : absl::StatusCode::kDataLoss;
}

std::string_view nameOfHttpStatus(long httpStatus) {
  switch (httpStatus) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 407:
      return "Proxy Authentication Required";
    case 408:
      return "Request Timeout";
    case 410:
      return "Gone";
    case 416:
      return "Range Not Satisfiable";
    case 429:
      return "Too Many Requests";
    case 451:
      return "Unavailable For Legal Reasons";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return {};
  }
}

}  // namespace berth::registry
