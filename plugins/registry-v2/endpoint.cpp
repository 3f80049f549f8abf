#include "endpoint.hpp"

#include "text.hpp"

namespace berth::registry {
namespace {

constexpr std::string_view kDockerHub = "docker.io";
constexpr std::string_view kDockerHubServer = "registry-1.docker.io";

const ConnectionOptions& noSettings() {
  static const ConnectionOptions none;
  return none;
}

bool speaksPlainHttp(std::string_view host, const RegistryOptions* table) {
  if (table != nullptr && table->plainHttp) return *table->plainHttp;
  if (!isLoopback(host)) return false;
  // As Docker and containerd do: nobody can listen in on the loopback device, and registries there
  // rarely have a certificate. Settings for TLS say that this one does.
  const ConnectionOptions& connection = table != nullptr ? table->connection : noSettings();
  return !connection.insecure && connection.ca.empty() && connection.clientCert.empty();
}

Endpoint mirrorEndpoint(const Options& options, const Reference& reference,
                        const RegistryOptions& table, const Url& mirror) {
  const RegistryOptions* own = options.own(mirror.host);
  return {.role = EndpointRole::kMirror,
          .base = mirror,
          .registry = reference.host,
          .credential = mirror.host,
          .connection = own != nullptr ? &own->connection : &table.connection,
          .connectTimeout = options.mirrorConnectTimeout};
}

Endpoint registryEndpoint(const Options& options, const Reference& reference,
                          const RegistryOptions* table) {
  Url base;
  base.scheme = speaksPlainHttp(reference.host, table) ? "http" : "https";
  base.host = reference.host == kDockerHub ? std::string(kDockerHubServer) : reference.host;
  return {.role = EndpointRole::kRegistry,
          .base = base,
          .registry = reference.host,
          .credential = reference.host,
          .connection = table != nullptr ? &table->connection : &noSettings(),
          .connectTimeout = options.connectTimeout};
}

}  // namespace

std::string Endpoint::repository(std::string_view path) const {
  if (base.path.size() <= 1) return std::string(path);
  return base.path.substr(1) + "/" + std::string(path);
}

Url Endpoint::url(std::string_view path, std::string_view kind, std::string_view what) const {
  Url url = base;
  url.path = "/v2/" + repository(path) + "/" + std::string(kind) + "/" + std::string(what);
  if (role == EndpointRole::kMirror) url.query = formEncoded({{"ns", registry}});
  return url;
}

std::vector<Endpoint> endpointsOf(const Options& options, const Reference& reference) {
  std::vector<Endpoint> result;
  const RegistryOptions* table = options.find(reference.host);
  if (table != nullptr)
    for (const Url& mirror : table->mirrors)
      result.push_back(mirrorEndpoint(options, reference, *table, mirror));
  if (table == nullptr || table->fallback == Fallback::kRegistry)
    result.push_back(registryEndpoint(options, reference, table));
  return result;
}

ConnectionOptions connectionFor(const Options& options, const Endpoint& from, const Url& target) {
  if (target.host == from.base.host) return *from.connection;
  if (const RegistryOptions* own = options.own(target.host)) return own->connection;
  if (hostWithoutPort(target.host) == hostWithoutPort(from.base.host)) {
    ConnectionOptions same = *from.connection;
    same.headers.clear();
    return same;
  }
  ConnectionOptions other;
  other.ca = from.connection->ca;
  return other;
}

ConnectionOptions tokenConnectionFor(const Options& options, const Endpoint& from,
                                     const Url& target) {
  ConnectionOptions connection = connectionFor(options, from, target);
  const bool isSameHost = hostWithoutPort(target.host) == hostWithoutPort(from.base.host);
  const bool isKnown = from.role == EndpointRole::kMirror || options.own(from.registry) != nullptr;
  return isSameHost || isKnown ? connection : withoutProof(std::move(connection));
}

ConnectionOptions withoutProof(ConnectionOptions connection) {
  connection.headers.clear();
  connection.clientCert.clear();
  connection.clientKey.clear();
  return connection;
}

}  // namespace berth::registry
