// What went wrong, where, and what the host is told in the end.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "endpoint.hpp"
#include "http.hpp"

namespace berth::registry {

enum class Remedy {
  kRepeat,      // the same server may do better in a moment
  kNextServer,  // no repetition helps here
  kStop,        // the host ended the call, or takes no more
};

struct Failure {
  absl::Status status;  // OK: no failure
  Remedy remedy = Remedy::kNextServer;
  std::optional<Milliseconds> retryAfter;  // as the server asks
  std::string where;                       // a URL without its query; may be empty
  bool unreachable = false;                // the server saw no request

  bool ok() const { return status.ok(); }
};

// The failure that an answer means; OK when it is a complete 2xx one.
Failure failureOf(const HttpAnswer& answer, const Url& asked);

// All attempts of one call.
class Attempts {
 public:
  void add(EndpointRole role, const Failure& failure);
  // "<what>: <reason> (tried <url>: <reason>; …)". The registry's own answer decides the code.
  // Where it gave none: a mirror's objection, then what may succeed later (UNAVAILABLE), for the
  // registry may have what its mirrors do not find.
  absl::Status summary(std::string_view what) const;
  // The status with which the host's end of the call is reported.
  absl::Status ended(std::string_view what, const absl::Status& status) const;

 private:
  struct Entry {
    EndpointRole role;
    absl::Status status;
    std::string where;
    bool unreachable;
  };
  const Entry* decisive() const;
  std::string listed() const;

  std::vector<Entry> entries_;
  size_t omitted_ = 0;
};

}  // namespace berth::registry
