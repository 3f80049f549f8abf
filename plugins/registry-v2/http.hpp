// One HTTP request and its answer, by libcurl. Redirects and authentication are the callers'.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "lane.hpp"
#include "options.hpp"
#include "patience.hpp"
#include "url.hpp"

namespace berth::registry {

struct HttpRequest {
  Url url;
  std::vector<std::string> headers;  // "Name: value"
  std::string form;                  // not empty: POST of application/x-www-form-urlencoded
  ConnectionOptions connection;
  Milliseconds connectTimeout{10'000};
};

// The header fields of an answer that matter here; of a repeated one the first counts.
struct HttpHead {
  long status = 0;
  std::string contentType;
  std::string contentLength;
  std::string contentRange;
  std::string dockerContentDigest;
  std::string location;
  std::string retryAfter;
  std::vector<std::string> challenges;  // each WWW-Authenticate
};

// Takes the body of a successful answer as it arrives. Called on the thread of the request; may
// block, which holds the server back.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  // The answer's head, before any of its body. An error ends the transfer.
  virtual absl::Status begin(const HttpHead& head) = 0;
  virtual absl::Status data(std::string_view piece) = 0;
};

// Why there is no complete answer.
enum class HttpFailure {
  kNone,
  kUnreachable,  // no name, no connection, no TLS handshake: the server saw no request
  kRefused,      // TLS: the certificate is not trusted; no repetition helps
  kInterrupted,  // reset, ended early, stalled, broken framing
  kReader,       // the body reader ended it
  kRedirect,     // redirected to nowhere, in circles, or to where it would not be safe
  kEnded,        // the call was cancelled or its deadline passed
  kLocal,        // the request could not even be made: out of memory, unreadable certificate
};

struct HttpAnswer {
  HttpFailure failure = HttpFailure::kNone;
  absl::Status status;  // OK when failure is kNone
  HttpHead head;        // as far as it arrived
  std::string body;     // of an answer that is no success: at most 16 KiB
};

// Shared by all calls; any thread.
class HttpClient {
 public:
  explicit HttpClient(const Options& options) : options_(options) {}

  // Blocks until the answer is complete, the reader ends it, or the call ends. The reader gets the
  // body of 2xx answers, all other bodies go into the answer.
  HttpAnswer perform(const HttpRequest& request, BodyReader& reader, const Patience& patience);

  void closeIdle() { lanes_.clear(); }

 private:
  const Options& options_;
  LanePool lanes_;
};

}  // namespace berth::registry
