// Asks the servers of a registry in turn until one delivers.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "attempts.hpp"
#include "authorizer.hpp"
#include "endpoint.hpp"
#include "http.hpp"
#include "patience.hpp"
#include "redirect.hpp"

namespace berth::registry {

// What a call wants, from whichever server: takes the body and judges it.
class Content : public BodyReader {
 public:
  // Header lines of the next request: what is accepted, from which byte on.
  virtual std::vector<std::string> headers() const = 0;
  // A whole 2xx answer has arrived. UNAVAILABLE when a repetition may help, any other error when
  // this server does not have what is wanted.
  virtual absl::Status finish() = 0;
  // Not OK once the host wants no more: the reason.
  virtual absl::Status stopped() const { return absl::OkStatus(); }
  // Bytes that need not be asked for again.
  virtual uint64_t delivered() const { return 0; }
};

// Mirrors that could not be reached lately. Any thread.
class DeadMirrors {
 public:
  void mark(const std::string& origin);
  void clear(const std::string& origin);
  bool contains(const std::string& origin) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::chrono::steady_clock::time_point> until_;
};

struct Query {
  const Reference& reference;
  std::string_view kind;  // "manifests" or "blobs"
  std::string_view what;  // tag or digest
  std::string doing;      // "resolve registry.example/app:1": starts messages and names the stage
};

// For one call of the host; one thread.
class Client {
 public:
  Client(const Services& services, DeadMirrors& dead, Authorizer& authorizer,
         const Patience& patience)
      : services_(services), dead_(dead), authorizer_(authorizer), patience_(patience) {}

  // Mirrors first, those that were dead lately last; then `urls`, other places of the same bytes,
  // without credentials. Blocks. The error lists every attempt.
  absl::Status get(const Query& query, Content& content,
                   const std::vector<std::string_view>& urls = {});
  // A file of another server that serves the registry `registry`: with that server's own settings
  // and no credentials. NOT_FOUND when it says so.
  absl::Status getFile(const std::string& doing, const Url& url, const Endpoint& registry,
                       Content& content);

 private:
  enum class Place { kMoreFollow, kLast };

  std::vector<Endpoint> ordered(const Reference& reference) const;
  Failure repeated(EndpointRole role, Place place, Content& content,
                   const std::function<Failure()>& attempt);
  Failure fromUrl(std::string_view text, Content& content);
  Failure request(const Endpoint& endpoint, const Query& query, Content& content);
  FollowedAnswer send(const Endpoint& endpoint, const Query& query,
                      const std::string& authorization, Content& content);
  void remember(const Endpoint& endpoint, const Failure& failure);

  const Services& services_;
  DeadMirrors& dead_;
  Authorizer& authorizer_;
  const Patience& patience_;
  Attempts attempts_;
};

}  // namespace berth::registry
