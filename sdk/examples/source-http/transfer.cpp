#include "transfer.hpp"

#include <algorithm>
#include <memory>
#include <time.h>

#include <curl/curl.h>

namespace source_http {
namespace {

using berth::Status;

constexpr int kLookMilliseconds = 200;
constexpr long kConnectSeconds = 15;
constexpr long kStalledSeconds = 30;

Status whyNot(const berth::Op& op) {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  if (int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec >= op.deadline())
    return {BERTH_DEADLINE_EXCEEDED, "the deadline has passed"};
  return {BERTH_CANCELLED, "cancelled"};
}

Status judge(long answer, const std::string& url) {
  const std::string message = url + ": the server answers " + std::to_string(answer);
  if (answer == 200 || answer == 206) return {};
  if (answer == 404 || answer == 410) return {BERTH_NOT_FOUND, message};
  if (answer == 401) return {BERTH_UNAUTHENTICATED, message};
  if (answer == 403) return {BERTH_PERMISSION_DENIED, message};
  return {BERTH_UNAVAILABLE, message};
}

class Transfer {
 public:
  Transfer(const std::string& url, uint64_t offset, const Receive& receive)
      : url_(url),
        skip_(offset),
        receive_(receive),
        easy_(::curl_easy_init()),
        multi_(::curl_multi_init()) {
    CURL* easy = easy_.get();
    ::curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
    ::curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    ::curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    ::curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 5L);
    ::curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    ::curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    ::curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    ::curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, kStalledSeconds);
    ::curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Transfer::write);
    ::curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
    if (offset != 0)
      ::curl_easy_setopt(easy, CURLOPT_RANGE, (std::to_string(offset) + "-").c_str());
    ::curl_multi_add_handle(multi_.get(), easy);
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() { ::curl_multi_remove_handle(multi_.get(), easy_.get()); }

  Status run(const berth::Op& op) {
    for (int running = 1; running != 0;) {
      if (op.cancelled()) return whyNot(op);
      ::curl_multi_perform(multi_.get(), &running);
      // The deadline makes no descriptor readable, so that the wait is short.
      curl_waitfd cancel = {op.cancelFd(), CURL_WAIT_POLLIN, 0};
      if (running != 0) ::curl_multi_poll(multi_.get(), &cancel, 1, kLookMilliseconds, nullptr);
    }
    return result();
  }

 private:
  long answer() const {
    long code = 0;
    ::curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &code);
    return code;
  }

  Status result() const {
    int left = 0;
    const CURLMsg* message = ::curl_multi_info_read(multi_.get(), &left);
    if (!refused_.ok()) return refused_;
    if (message != nullptr && message->data.result != CURLE_OK)
      return {BERTH_UNAVAILABLE, url_ + ": " + ::curl_easy_strerror(message->data.result)};
    return judge(answer(), url_);
  }

  static size_t write(char* data, size_t size, size_t count, void* user) {
    return static_cast<Transfer*>(user)->take({data, size * count}) ? size * count : 0;
  }

  bool take(std::string_view piece) {
    const long code = answer();
    if (code != 200 && code != 206) return true;  // the text of an error page
    // A server that knows no ranges begins at the beginning.
    if (code == 200 && skip_ != 0) {
      const uint64_t past = std::min<uint64_t>(skip_, piece.size());
      skip_ -= past;
      piece.remove_prefix(past);
    }
    refused_ = piece.empty() ? Status() : receive_(piece);
    return refused_.ok();
  }

  struct Cleanup {
    void operator()(CURL* easy) const { ::curl_easy_cleanup(easy); }
  };
  struct MultiCleanup {
    void operator()(CURLM* multi) const { ::curl_multi_cleanup(multi); }
  };

  const std::string& url_;
  uint64_t skip_;
  const Receive& receive_;
  const std::unique_ptr<CURL, Cleanup> easy_;
  const std::unique_ptr<CURLM, MultiCleanup> multi_;
  Status refused_;
};

}  // namespace

Status get(const berth::Op& op, const std::string& url, uint64_t offset, const Receive& receive) {
  return Transfer(url, offset, receive).run(op);
}

}  // namespace source_http
