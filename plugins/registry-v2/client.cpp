#include "client.hpp"

#include <algorithm>

#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"

namespace berth::registry {
namespace {

using support::strCat;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kDeadTime{30};
constexpr size_t kDeadLimit = 256;
constexpr size_t kUrlLimit = 8;
// A transfer that got this far has earned a fresh set of repetitions.
constexpr uint64_t kWorthwhile = 1u << 20;
// How long one server may ask to be waited for while another one could be asked.
constexpr Milliseconds kWaitBeforeNext{5'000};
// A failure that took longer than this will take as long again.
constexpr std::chrono::seconds kQuick{2};

Failure stop(const absl::Status& status) {
  return {.status = status, .remedy = Remedy::kStop};
}

// What an answer means for the content.
Failure judge(const FollowedAnswer& followed, Content& content) {
  const absl::Status wanted = content.stopped();
  if (!wanted.ok()) return stop(wanted);
  Failure failure = failureOf(followed.answer, followed.url);
  if (followed.answer.failure == HttpFailure::kNone && failure.ok())
    failure.status = content.finish();
  else if (followed.answer.failure != HttpFailure::kReader)
    return failure;
  failure.where = support::oneLine(followed.url.shown(), 512);
  failure.remedy = absl::IsUnavailable(failure.status) ? Remedy::kRepeat : Remedy::kNextServer;
  return failure;
}

bool isWorthRepeating(const Failure& failure, EndpointRole role, Clock::duration took,
                      uint64_t gained) {
  if (failure.remedy != Remedy::kRepeat) return false;
  if (failure.unreachable && role == EndpointRole::kMirror) return false;
  return gained > 0 || took < kQuick || failure.retryAfter.has_value();
}

}  // namespace

void DeadMirrors::mark(const std::string& origin) {
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  if (until_.size() >= kDeadLimit)
    std::erase_if(until_, [&](const auto& entry) { return entry.second <= now; });
  until_[origin] = now + kDeadTime;
}

void DeadMirrors::clear(const std::string& origin) {
  const std::lock_guard lock(mutex_);
  until_.erase(origin);
}

bool DeadMirrors::contains(const std::string& origin) const {
  const std::lock_guard lock(mutex_);
  const auto found = until_.find(origin);
  return found != until_.end() && found->second > Clock::now();
}

std::vector<Endpoint> Client::ordered(const Reference& reference) const {
  std::vector<Endpoint> result = endpointsOf(services_.options, reference);
  std::stable_partition(result.begin(), result.end(), [&](const Endpoint& endpoint) {
    return !dead_.contains(endpoint.base.origin());
  });
  return result;
}

void Client::remember(const Endpoint& endpoint, const Failure& failure) {
  if (endpoint.role != EndpointRole::kMirror) return;
  const std::string origin = endpoint.base.origin();
  // A storage host behind the mirror that cannot be reached says nothing of the mirror.
  const bool itself = failure.where.compare(0, origin.size() + 1, origin + "/") == 0;
  if (!failure.unreachable) {
    dead_.clear(origin);
  } else if (itself && !dead_.contains(origin)) {
    dead_.mark(origin);
    services_.host.warn("a mirror cannot be reached and is asked last for a while",
                        {{"mirror", origin},
                         {"registry", endpoint.registry},
                         {"reason", support::fromAbsl(failure.status.message())}});
  }
}

FollowedAnswer Client::send(const Endpoint& endpoint, const Query& query,
                            const std::string& authorization, Content& content) {
  HttpRequest request;
  request.url = endpoint.url(query.reference.path, query.kind, query.what);
  request.headers = content.headers();
  if (!authorization.empty()) request.headers.push_back(authorization);
  request.connectTimeout = endpoint.connectTimeout;
  const Connections connections = [&](const Url& url) {
    return connectionFor(services_.options, endpoint, url);
  };
  return performFollowing(services_.http, connections, std::move(request), content, patience_);
}

Failure Client::request(const Endpoint& endpoint, const Query& query, Content& content) {
  const std::string& path = query.reference.path;
  std::string authorization;
  Failure failure = authorizer_.header(endpoint, path, authorization);
  if (!failure.ok()) return failure;
  FollowedAnswer followed = send(endpoint, query, authorization, content);

  const auto isChallenge = [&] {
    // Another host's challenge is none of the registry's, and gets no credentials.
    return followed.answer.failure == HttpFailure::kNone && followed.answer.head.status == 401 &&
           followed.url.origin() == endpoint.base.origin();
  };
  if (isChallenge()) {
    // Also when a token was sent: it may have expired on the way or have been too narrow.
    failure = authorizer_.answer(endpoint, path, followed.answer.head);
    if (failure.ok()) failure = authorizer_.header(endpoint, path, authorization);
    if (!failure.ok()) return failure;
    followed = send(endpoint, query, authorization, content);
    if (isChallenge()) authorizer_.refused(endpoint, path);
  }
  return judge(followed, content);
}

Failure Client::repeated(EndpointRole role, Place place, Content& content,
                         const std::function<Failure()>& attempt) {
  const Milliseconds longest = place == Place::kLast ? kLongestWait : kWaitBeforeNext;
  unsigned repeat = 0;
  while (true) {
    const absl::Status wanted = patience_.check();
    if (!wanted.ok()) return stop(wanted);
    const uint64_t before = content.delivered();
    const Clock::time_point start = Clock::now();
    Failure failure = attempt();
    const uint64_t gained = content.delivered() - before;
    if (failure.ok() || !isWorthRepeating(failure, role, Clock::now() - start, gained))
      return failure;
    if (gained >= kWorthwhile) repeat = 0;
    if (repeat == services_.options.retries) return failure;
    const Milliseconds pause =
        std::max(backOff(repeat), failure.retryAfter.value_or(Milliseconds(0)));
    if (pause > longest || patience_.wouldExpire(pause)) {
      failure.status = absl::Status(
          failure.status.code(),
          strCat(support::fromAbsl(failure.status.message()), "; the next attempt is due in ",
                 (pause.count() + 999) / 1000, " s, which is too late for this call"));
      return failure;
    }
    attempts_.add(role, failure);
    const absl::Status waited = patience_.wait(pause);
    if (!waited.ok()) return stop(waited);
    ++repeat;
  }
}

// The image names this place itself: nothing that proves who this node is goes there.
Failure Client::fromUrl(std::string_view text, Content& content) {
  const auto url = parseUrl(text);
  if (!url.ok())
    return {.status = url.status(), .where = support::oneLine(text.substr(0, text.find('?')), 256)};
  static const ConnectionOptions none;
  const Endpoint endpoint{.role = EndpointRole::kMirror,
                          .base = *url,
                          .connection = &none,
                          .connectTimeout = services_.options.connectTimeout};
  HttpRequest request;
  request.url = *url;
  request.headers = content.headers();
  request.connectTimeout = endpoint.connectTimeout;
  const Connections connections = [&](const Url& to) {
    return withoutProof(connectionFor(services_.options, endpoint, to));
  };
  return judge(
      performFollowing(services_.http, connections, std::move(request), content, patience_),
      content);
}

absl::Status Client::getFile(const std::string& doing, const Url& url, const Endpoint& registry,
                             Content& content) {
  const ConnectionOptions connection = connectionFor(services_.options, registry, url);
  Url base = url;
  base.path.clear();
  const Endpoint server{.role = EndpointRole::kRegistry,
                        .base = base,
                        .registry = registry.registry,
                        .connection = &connection,
                        .connectTimeout = services_.options.connectTimeout};
  patience_.op().stage(strCat(doing, " from ", url.origin()));
  const Connections connections = [&](const Url& to) {
    return connectionFor(services_.options, server, to);
  };
  const Failure failure = repeated(server.role, Place::kLast, content, [&] {
    HttpRequest request;
    request.url = url;
    request.headers = content.headers();
    request.connectTimeout = server.connectTimeout;
    return judge(
        performFollowing(services_.http, connections, std::move(request), content, patience_),
        content);
  });
  if (failure.ok()) return absl::OkStatus();
  if (failure.remedy == Remedy::kStop) return attempts_.ended(doing, failure.status);
  attempts_.add(server.role, failure);
  return attempts_.summary(doing);
}

absl::Status Client::get(const Query& query, Content& content,
                         const std::vector<std::string_view>& urls) {
  const std::vector<Endpoint> endpoints = ordered(query.reference);
  const size_t extra = std::min(urls.size(), kUrlLimit);
  for (const Endpoint& endpoint : endpoints) {
    const std::string origin = endpoint.base.origin();
    patience_.op().stage(strCat(query.doing, " from ", origin));
    const bool last = &endpoint == &endpoints.back() && extra == 0;
    const Failure failure = repeated(endpoint.role, last ? Place::kLast : Place::kMoreFollow,
                                     content, [&] { return request(endpoint, query, content); });
    if (failure.remedy == Remedy::kStop) return attempts_.ended(query.doing, failure.status);
    remember(endpoint, failure);
    if (failure.ok()) return absl::OkStatus();
    attempts_.add(endpoint.role, failure);
  }
  for (size_t i = 0; i < extra; ++i) {
    patience_.op().stage(strCat(query.doing, " from a URL of its descriptor"));
    const Failure failure = fromUrl(urls[i], content);
    if (failure.remedy == Remedy::kStop) return attempts_.ended(query.doing, failure.status);
    if (failure.ok()) return absl::OkStatus();
    attempts_.add(EndpointRole::kMirror, failure);
  }
  return attempts_.summary(query.doing);
}

}  // namespace berth::registry
