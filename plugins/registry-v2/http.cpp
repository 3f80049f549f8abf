#include "http.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "reference.hpp"
#include "text.hpp"

namespace berth::registry {
namespace {

using support::strCat;
using Clock = std::chrono::steady_clock;

constexpr size_t kHeaderLimit = 16u << 10;
constexpr size_t kChallengeLimit = 16;
constexpr size_t kErrorBodyLimit = 16u << 10;
// An error page longer than this is not worth the wait for its end.
constexpr size_t kErrorBodyDrained = 256u << 10;
constexpr long kBufferBytes = 256 << 10;

bool isSuccess(long status) {
  return status >= 200 && status < 300;
}

// Notices a server that sends nothing, or too little. Time in which the reader holds the transfer
// back is not the server's and does not count.
class StallWatch {
 public:
  explicit StallWatch(const Options& options) : options_(options) {}

  void received(size_t bytes) {
    silent_ = Clock::duration::zero();
    windowBytes_ += bytes;
  }
  void waited(Clock::duration time) {
    silent_ += time;
    window_ += time;
  }
  absl::Status check() {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options_.stall).count();
    if (silent_ >= options_.stall)
      return absl::UnavailableError(strCat("the server sent nothing for ", seconds, " s"));
    if (window_ < options_.stall) return absl::OkStatus();
    const uint64_t least = options_.minThroughput * static_cast<uint64_t>(seconds);
    if (windowBytes_ < least)
      return absl::UnavailableError(strCat("the server sent only ", windowBytes_, " bytes in ",
                                           seconds, " s; at least ", options_.minThroughput,
                                           " bytes per second are expected"));
    window_ = Clock::duration::zero();
    windowBytes_ = 0;
    return absl::OkStatus();
  }

 private:
  const Options& options_;
  Clock::duration silent_{};
  Clock::duration window_{};
  uint64_t windowBytes_ = 0;
};

struct FreeList {
  void operator()(curl_slist* list) const { ::curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

// One request on one lane.
class Transfer {
 public:
  Transfer(const HttpRequest& request, const Options& options, BodyReader& reader,
           const Patience& patience, Lane& lane)
      : request_(request),
        options_(options),
        reader_(reader),
        patience_(patience),
        lane_(lane),
        watch_(options) {}

  HttpAnswer run();

 private:
  absl::Status prepare();
  void prepareTls();
  void prepareProxy();
  absl::Status prepareHeaders();
  void drive();
  bool collectResult();
  void finish(CURLcode code);
  void fail(HttpFailure failure, absl::Status status);
  void headerLine(std::string_view line);
  bool bodyPiece(std::string_view piece);
  bool begun();

  static size_t onHeader(char* data, size_t size, size_t count, void* self);
  static size_t onBody(char* data, size_t size, size_t count, void* self);
  template <class T>
  void set(CURLoption option, T value) {
    ::curl_easy_setopt(lane_.easy(), option, value);
  }

  const HttpRequest& request_;
  const Options& options_;
  BodyReader& reader_;
  const Patience& patience_;
  Lane& lane_;
  StallWatch watch_;
  HeaderList headers_;
  std::array<char, CURL_ERROR_SIZE> errorText_{};
  HttpAnswer answer_;
  size_t errorBytes_ = 0;
  bool readerBegun_ = false;
  bool done_ = false;
};

absl::Status Transfer::prepareHeaders() {
  const auto append = [&](const std::string& line) {
    curl_slist* longer = ::curl_slist_append(headers_.get(), line.c_str());
    if (longer == nullptr) return absl::ResourceExhaustedError("prepare a request: out of memory");
    (void)headers_.release();
    headers_.reset(longer);
    return absl::OkStatus();
  };
  // A compressed transfer would not have the bytes that the digest is about.
  BERTH_RETURN_IF_ERROR(append("Accept-Encoding: identity"));
  BERTH_RETURN_IF_ERROR(append("Expect:"));
  for (const std::string& line : request_.headers) BERTH_RETURN_IF_ERROR(append(line));
  for (const auto& [name, value] : request_.connection.headers)
    BERTH_RETURN_IF_ERROR(append(value.empty() ? strCat(name, ";") : strCat(name, ": ", value)));
  set(CURLOPT_HTTPHEADER, headers_.get());
  return absl::OkStatus();
}

void Transfer::prepareTls() {
  const ConnectionOptions& connection = request_.connection;
  if (connection.insecure) {
    set(CURLOPT_SSL_VERIFYPEER, 0L);
    set(CURLOPT_SSL_VERIFYHOST, 0L);
  }
  // Only the bundle file is replaced: the system's directory of certificates stays in use.
  if (!connection.ca.empty()) set(CURLOPT_CAINFO, connection.ca.c_str());
  if (connection.clientCert.empty()) return;
  set(CURLOPT_SSLCERT, connection.clientCert.c_str());
  set(CURLOPT_SSLKEY, connection.clientKey.c_str());
}

void Transfer::prepareProxy() {
  if (isLoopback(request_.url.host)) {
    set(CURLOPT_PROXY, "");
  } else if (!options_.proxy.empty()) {
    set(CURLOPT_PROXY, options_.proxy.c_str());
  }
}

absl::Status Transfer::prepare() {
  ::curl_easy_reset(lane_.easy());
  set(CURLOPT_URL, request_.url.text().c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_NOSIGNAL, 1L);
  // A name lookup that hangs must not hold up the return after a cancellation.
  set(CURLOPT_QUICK_EXIT, 1L);
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_BUFFERSIZE, kBufferBytes);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request_.connectTimeout.count()));
  set(CURLOPT_USERAGENT, options_.userAgent.c_str());
  set(CURLOPT_ERRORBUFFER, errorText_.data());
  set(CURLOPT_HEADERFUNCTION, &Transfer::onHeader);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_WRITEFUNCTION, &Transfer::onBody);
  set(CURLOPT_WRITEDATA, this);
  if (!request_.form.empty()) {
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.form.size()));
    set(CURLOPT_POSTFIELDS, request_.form.c_str());
  }
  prepareTls();
  prepareProxy();
  return prepareHeaders();
}

HttpAnswer Transfer::run() {
  absl::Status status = prepare();
  if (status.ok() && ::curl_multi_add_handle(lane_.multi(), lane_.easy()) != CURLM_OK)
    status = absl::InternalError("libcurl does not take the request");
  if (!status.ok()) {
    fail(HttpFailure::kLocal, std::move(status));
    return std::move(answer_);
  }
  drive();
  ::curl_multi_remove_handle(lane_.multi(), lane_.easy());
  return std::move(answer_);
}

void Transfer::drive() {
  curl_waitfd cancel{};
  cancel.fd = patience_.op().cancelFd();
  cancel.events = CURL_WAIT_POLLIN;
  const unsigned extra = cancel.fd >= 0 ? 1 : 0;
  while (true) {
    absl::Status wanted = patience_.check();
    if (!wanted.ok()) return fail(HttpFailure::kEnded, std::move(wanted));
    int running = 0;
    if (::curl_multi_perform(lane_.multi(), &running) != CURLM_OK)
      return fail(HttpFailure::kInterrupted, absl::UnavailableError("libcurl lost the transfer"));
    if (collectResult() || done_) return;
    absl::Status lively = watch_.check();
    if (!lively.ok()) return fail(HttpFailure::kInterrupted, std::move(lively));
    const Clock::time_point before = Clock::now();
    ::curl_multi_poll(lane_.multi(), &cancel, extra, static_cast<int>(patience_.tick().count()),
                      nullptr);
    watch_.waited(Clock::now() - before);
  }
}

bool Transfer::collectResult() {
  int left = 0;
  while (const CURLMsg* message = ::curl_multi_info_read(lane_.multi(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    finish(message->data.result);
    return true;
  }
  return false;
}

void Transfer::fail(HttpFailure failure, absl::Status status) {
  done_ = true;
  if (answer_.failure != HttpFailure::kNone) return;
  answer_.failure = failure;
  answer_.status = std::move(status);
}

// The callbacks end a transfer by taking less than they were given; their reason is the first.
void Transfer::finish(CURLcode code) {
  if (answer_.failure != HttpFailure::kNone) return;
  if (code == CURLE_OK) {
    if (isSuccess(answer_.head.status)) begun();
    return;
  }
  // An error page is known well enough although its end is missing.
  if (answer_.head.status >= 300) return;
  const std::string reason = support::oneLine(
      errorText_[0] != '\0' ? errorText_.data() : ::curl_easy_strerror(code), CURL_ERROR_SIZE);
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:  // only the connection has a time limit in libcurl's hands
    case CURLE_PROXY:
      return fail(HttpFailure::kUnreachable, absl::UnavailableError(reason));
    case CURLE_SSL_CONNECT_ERROR:
      return fail(HttpFailure::kUnreachable,
                  absl::UnavailableError(strCat(
                      reason, "; if the server speaks plain HTTP, set plain_http = true for it")));
    case CURLE_PEER_FAILED_VERIFICATION:
      return fail(HttpFailure::kRefused,
                  absl::UnavailableError(strCat(reason, "; name its authority with ca")));
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_OUT_OF_MEMORY:
      return fail(HttpFailure::kLocal, absl::UnavailableError(reason));
    default:
      return fail(HttpFailure::kInterrupted, absl::UnavailableError(reason));
  }
}

void Transfer::headerLine(std::string_view line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
  if (line.substr(0, 5) == "HTTP/") {
    // A new head begins: after 100 Continue or another interim answer.
    answer_.head = HttpHead{};
    ::curl_easy_getinfo(lane_.easy(), CURLINFO_RESPONSE_CODE, &answer_.head.status);
    return;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || line.size() > kHeaderLimit) return;
  const std::string name = lowerAscii(line.substr(0, colon));
  const std::string_view value = trimmed(line.substr(colon + 1));
  HttpHead& head = answer_.head;
  if (name == "www-authenticate") {
    if (head.challenges.size() < kChallengeLimit) head.challenges.emplace_back(value);
    return;
  }
  const std::pair<std::string_view, std::string*> kept[] = {
      {"content-type", &head.contentType},   {"content-length", &head.contentLength},
      {"content-range", &head.contentRange}, {"docker-content-digest", &head.dockerContentDigest},
      {"location", &head.location},          {"retry-after", &head.retryAfter}};
  for (const auto& [known, target] : kept)
    if (name == known && target->empty()) *target = value;
}

// Tells the reader of the head once. False ends the transfer.
bool Transfer::begun() {
  if (readerBegun_) return true;
  readerBegun_ = true;
  absl::Status status = reader_.begin(answer_.head);
  if (status.ok()) return true;
  fail(HttpFailure::kReader, std::move(status));
  return false;
}

bool Transfer::bodyPiece(std::string_view piece) {
  watch_.received(piece.size());
  if (isSuccess(answer_.head.status)) {
    if (!begun()) return false;
    absl::Status status = reader_.data(piece);
    if (status.ok()) return true;
    fail(HttpFailure::kReader, std::move(status));
    return false;
  }
  errorBytes_ += piece.size();
  answer_.body.append(
      piece.substr(0, kErrorBodyLimit - std::min(kErrorBodyLimit, answer_.body.size())));
  return errorBytes_ <= kErrorBodyDrained;
}

// No exception may cross libcurl, which is C.
size_t Transfer::onHeader(char* data, size_t size, size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  try {
    transfer.watch_.received(size * count);
    transfer.headerLine(std::string_view(data, size * count));
    return size * count;
  } catch (const std::exception& exception) {
    transfer.fail(HttpFailure::kLocal, absl::InternalError(exception.what()));
    return 0;
  }
}

size_t Transfer::onBody(char* data, size_t size, size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  try {
    return transfer.bodyPiece(std::string_view(data, size * count)) ? size * count : 0;
  } catch (const std::exception& exception) {
    transfer.fail(HttpFailure::kLocal, absl::InternalError(exception.what()));
    return 0;
  }
}

}  // namespace

HttpAnswer HttpClient::perform(const HttpRequest& request, BodyReader& reader,
                               const Patience& patience) {
  const std::string origin = request.url.origin();
  auto lane = lanes_.take(origin);
  if (!lane.ok()) {
    HttpAnswer answer;
    answer.failure = HttpFailure::kLocal;
    answer.status = lane.status();
    return answer;
  }
  HttpAnswer answer = Transfer(request, options_, reader, patience, **lane).run();
  // After a failure the connection is of no use, and the lane may wait for a name server.
  if (answer.failure == HttpFailure::kNone) lanes_.give(origin, *std::move(lane));
  return answer;
}

}  // namespace berth::registry
