#include "images/credentials.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>

#include "berth/plugin.hpp"
#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"

namespace berth::images {

namespace json = boost::json;
using support::fromAbsl;
using support::strCat;

namespace {

constexpr size_t kMaxFileBytes = 1u << 20;
constexpr size_t kMaxHelperBytes = 64u << 10;
constexpr auto kHelperTime = std::chrono::seconds(60);
constexpr size_t kShownBytes = 256;
// Docker Hub's entry has kept the name of its first API.
constexpr std::string_view kDockerHubKey = "https://index.docker.io/v1/";
// What a helper gives in place of a user's name when the secret is an identity token.
constexpr std::string_view kTokenUser = "<token>";

struct Secrets {
  std::string username;
  std::string password;
  std::string auth;
  std::string identityToken;
  std::string registryToken;

  bool empty() const {
    return username.empty() && auth.empty() && identityToken.empty() && registryToken.empty();
  }
};

std::string canonicalHost(std::string_view host) {
  if (host == "index.docker.io" || host == "registry-1.docker.io") return "docker.io";
  return std::string(host);
}

// "https://host/v1/" and "host/v2" are the host; "host/team/app" stays what it is.
std::string canonicalKey(std::string_view key) {
  const size_t scheme = key.find("://");
  if (scheme != std::string_view::npos) {
    key.remove_prefix(scheme + 3);
    key = key.substr(0, key.find('/'));
  }
  while (key.ends_with('/')) key.remove_suffix(1);
  const size_t slash = key.find('/');
  std::string host = canonicalHost(key.substr(0, slash));
  if (slash == std::string_view::npos) return host;
  const std::string_view path = key.substr(slash);
  return path == "/v1" || path == "/v2" ? host : strCat(host, path);
}

// "host/team/app", "host/team", "host".
std::vector<std::string> namesOf(std::string_view registry) {
  std::vector<std::string> names;
  for (std::string name = canonicalKey(registry);;) {
    names.push_back(name);
    const size_t slash = name.rfind('/');
    if (slash == std::string::npos) return names;
    name.resize(slash);
  }
}

// The member of `table` that names the most of the registry; null when none names it.
const json::key_value_pair* bestMatch(const json::object* table, std::string_view registry) {
  if (table == nullptr) return nullptr;
  for (const std::string& name : namesOf(registry))
    for (const json::key_value_pair& member : *table)
      if (canonicalKey(std::string_view(member.key())) == name) return &member;
  return nullptr;
}

Secrets readEntry(const json::object& entry) {
  return {.username = support::stringMember(entry, "username"),
          .password = support::stringMember(entry, "password"),
          .auth = support::stringMember(entry, "auth"),
          .identityToken = support::stringMember(entry, "identitytoken"),
          .registryToken = support::stringMember(entry, "registrytoken")};
}

bool isHelperName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

// Nothing when the helper knows no such server.
absl::StatusOr<std::optional<Secrets>> askHelper(const std::string& name, std::string_view server,
                                                 const support::RunLimits& limits) {
  if (!isHelperName(name)) {
    return absl::InvalidArgumentError(
        strCat("\"", support::oneLine(name, kShownBytes), "\" is no name of a credential helper"));
  }
  const std::string program = strCat("docker-credential-", name);
  support::RunLimits own = limits;
  own.deadline = std::min(own.deadline, std::chrono::steady_clock::now() + kHelperTime);
  own.outputBytes = kMaxHelperBytes;
  auto ran = support::run({.argv = {program, "get"}, .newSession = true}, server, own);
  if (!ran.ok()) return support::annotate(ran.status(), strCat("ask ", program));
  if (ran->exitCode != 0) {
    // Helpers say so on standard output, in these words.
    if (ran->standardOutput.find("credentials not found") != std::string::npos) return std::nullopt;
    const std::string& said = ran->standardError.empty() ? ran->standardOutput : ran->standardError;
    return absl::FailedPreconditionError(strCat(program, " ended with exit code ", ran->exitCode,
                                                ": ", support::oneLine(said, kShownBytes)));
  }
  // Not parseJson's words: they might quote the secret.
  const auto answer = support::parseJsonObject(ran->standardOutput, program);
  if (!answer.ok())
    return absl::FailedPreconditionError(strCat(program, " did not answer with a JSON object"));
  Secrets secrets;
  secrets.username = support::stringMember(*answer, "Username");
  secrets.password = support::stringMember(*answer, "Secret");
  if (secrets.username == kTokenUser) {
    secrets.identityToken = secrets.password;
    secrets.username.clear();
    secrets.password.clear();
  }
  return secrets;
}

// One file's answer; nothing when it does not know the registry.
absl::StatusOr<std::optional<Secrets>> askFile(const std::string& file, std::string_view registry,
                                               const support::RunLimits& limits) {
  auto text = support::readFile(file, kMaxFileBytes);
  if (absl::IsNotFound(text.status())) return std::nullopt;
  if (!text.ok()) return text.status();
  BERTH_ASSIGN_OR_RETURN(const json::object document, support::parseJsonObject(*text, file));
  const auto* helper = bestMatch(support::objectMember(document, "credHelpers"), registry);
  if (helper != nullptr && helper->value().is_string()) {
    auto secrets = askHelper(std::string(helper->value().get_string()),
                             std::string_view(helper->key()), limits);
    if (!secrets.ok()) return support::annotate(secrets.status(), file);
    if (*secrets) return secrets;
  }
  const auto* entry = bestMatch(support::objectMember(document, "auths"), registry);
  if (entry != nullptr && entry->value().is_object()) {
    Secrets secrets = readEntry(entry->value().get_object());
    // Where a helper keeps them, docker leaves an empty entry.
    if (!secrets.empty()) return secrets;
  }
  const std::string store = support::stringMember(document, "credsStore");
  if (store.empty()) return std::nullopt;
  const std::string host = namesOf(registry).back();
  const std::string server = entry != nullptr      ? std::string(entry->key())
                             : host == "docker.io" ? std::string(kDockerHubKey)
                                                   : host;
  auto secrets = askHelper(store, server, limits);
  return secrets.ok() ? secrets : support::annotate(secrets.status(), file);
}

}  // namespace

std::vector<std::string> credentialFiles() {
  std::vector<std::string> files{"/etc/berth/auth.json"};
  if (const char* home = std::getenv("HOME")) {
    files.push_back(strCat(home, "/.config/containers/auth.json"));
    files.push_back(strCat(home, "/.docker/config.json"));
  }
  return files;
}

absl::Status findCredentials(const CredentialSearch& search, std::string_view registry,
                             const std::function<void(const berth_credentials&)>& found) {
  std::string useless;
  for (const std::string& file : search.files) {
    const auto secrets = askFile(file, registry, search.limits);
    if (absl::IsCancelled(secrets.status())) return secrets.status();
    const bool late = search.limits.deadline <= std::chrono::steady_clock::now();
    if (absl::IsDeadlineExceeded(secrets.status()) && late) return secrets.status();
    if (!secrets.ok()) {
      const std::string_view reason = fromAbsl(secrets.status().message());
      if (search.warn) search.warn(reason);
      useless += strCat("; ", reason);
      continue;
    }
    if (!*secrets || (*secrets)->empty()) continue;
    const Secrets& known = **secrets;
    berth_credentials credentials{};
    credentials.size = sizeof credentials;
    credentials.username = str(known.username);
    credentials.password = str(known.password);
    credentials.auth = str(known.auth);
    credentials.identity_token = str(known.identityToken);
    credentials.registry_token = str(known.registryToken);
    found(credentials);
    return absl::OkStatus();
  }
  return absl::NotFoundError(strCat("no credentials for ", registry, useless));
}

}  // namespace berth::images
