#include "signatures/scopes.hpp"

#include <algorithm>
#include <filesystem>

#include "berth/support/status.hpp"

namespace berth::signatures {

using support::strCat;

namespace {

constexpr std::string_view kWildcard = "*.";
constexpr std::string_view kDefaultPort = ":443";

bool hasPaths(std::string_view transport) {
  return transport == "dir" || transport == "oci" || transport == "oci-archive";
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return result;
}

absl::Status wrong(std::string_view why) {
  return absl::InvalidArgumentError(strCat("no image is ever in this scope: ", why));
}

absl::Status checkDockerScope(std::string_view scope) {
  const bool wildcard = scope.starts_with(kWildcard);
  const std::string_view rest = wildcard ? scope.substr(kWildcard.size()) : scope;
  if (rest.find('*') != rest.npos)
    return wrong("a wildcard stands for the first parts of a domain alone, as \"*.example.com\"");
  if (wildcard && rest.find_first_of(":/@") != rest.npos)
    return wrong("behind a wildcard stands a domain alone, without port or repository");
  if (rest.empty() || rest.back() == '/' || rest.front() == '/' ||
      rest.find_first_of(" \t\r\n") != rest.npos)
    return wrong("it is no registry, namespace, repository or image");
  return absl::OkStatus();
}

absl::Status checkPathScope(std::string_view scope) {
  if (!scope.starts_with('/')) return wrong("its path is not absolute");
  if (scope == "/") return wrong("\"\" stands for all paths");
  const std::filesystem::path path(scope);
  if (path.lexically_normal() != path || scope.ends_with('/') || scope.find("//") != scope.npos)
    return wrong("its path is not in its shortest form");
  return absl::OkStatus();
}

std::vector<std::string> foldersAbove(std::string path) {
  std::vector<std::string> scopes;
  while (!path.empty() && path != "/") {
    scopes.push_back(path);
    const size_t slash = path.rfind('/');
    path.resize(slash == path.npos ? 0 : slash);
  }
  return scopes;
}

std::vector<std::string> dockerScopes(const images::Reference& name) {
  const std::string registry = lower(name.registry);
  const std::string repository = strCat(registry, "/", name.repository);
  std::vector<std::string> scopes{name.digest.empty() ? strCat(repository, ":", name.tag)
                                                      : strCat(repository, "@", name.digest)};
  for (std::string& scope : foldersAbove(repository)) scopes.push_back(std::move(scope));
  // Who names the default port means the same registry, and must not come by another scope.
  if (registry.ends_with(kDefaultPort)) {
    images::Reference same = name;
    same.registry.resize(registry.size() - kDefaultPort.size());
    for (std::string& scope : dockerScopes(same)) scopes.push_back(std::move(scope));
    return scopes;
  }
  const std::string host = registry.substr(0, registry.find(':'));
  for (size_t dot = host.find('.'); dot != host.npos; dot = host.find('.', dot + 1))
    scopes.push_back(strCat(kWildcard, host.substr(dot + 1)));
  return scopes;
}

}  // namespace

absl::Status checkScope(std::string_view transport, std::string_view scope) {
  if (scope.empty()) return absl::OkStatus();
  if (transport == "docker") return checkDockerScope(scope);
  if (hasPaths(transport)) return checkPathScope(scope);
  if (transport == "docker-archive" || transport == "tarball")
    return wrong(strCat(transport, " has the scope \"\" alone"));
  return absl::OkStatus();
}

std::string comparableScope(std::string_view transport, std::string_view scope) {
  if (transport != "docker") return std::string(scope);
  const size_t slash = std::min(scope.find('/'), scope.size());
  return strCat(lower(scope.substr(0, slash)), scope.substr(slash));
}

std::vector<std::string> scopesOf(std::string_view transport, std::string_view location,
                                  const images::Reference& name) {
  if (transport == "docker") return dockerScopes(name);
  if (hasPaths(transport)) return foldersAbove(std::string(location));
  return {};
}

}  // namespace berth::signatures
