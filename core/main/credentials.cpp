#include "main/credentials.hpp"

#include <cstdlib>
#include <string>
#include <vector>

#include "berth/plugin.hpp"
#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"

namespace berth::program {

using support::strCat;

namespace {

std::vector<std::string> credentialFiles() {
  std::vector<std::string> files{"/etc/berth/auth.json"};
  if (const char* home = std::getenv("HOME")) {
    files.push_back(strCat(home, "/.config/containers/auth.json"));
    files.push_back(strCat(home, "/.docker/config.json"));
  }
  return files;
}

// Docker Hub's entry has kept the name of its first API.
std::vector<std::string> keysFor(std::string_view registry) {
  std::vector<std::string> keys{std::string(registry), strCat("https://", registry),
                                strCat("https://", registry, "/v2/"),
                                strCat("https://", registry, "/v1/")};
  if (registry == "docker.io") keys.emplace_back("https://index.docker.io/v1/");
  return keys;
}

}  // namespace

absl::Status findCredentials(std::string_view registry,
                             const std::function<void(const berth_credentials&)>& found) {
  for (const std::string& file : credentialFiles()) {
    auto text = support::readFile(file, 1u << 20);
    if (absl::IsNotFound(text.status())) continue;
    if (!text.ok()) return text.status();
    BERTH_ASSIGN_OR_RETURN(const boost::json::object document,
                           support::parseJsonObject(*text, file));
    const boost::json::object* auths = support::objectMember(document, "auths");
    if (auths == nullptr) continue;
    for (const std::string& key : keysFor(registry)) {
      const boost::json::object* entry = support::objectMember(*auths, key);
      if (entry == nullptr) continue;
      const std::string auth = support::stringMember(*entry, "auth");
      const std::string token = support::stringMember(*entry, "identitytoken");
      berth_credentials credentials{};
      credentials.size = sizeof credentials;
      credentials.auth = str(auth);
      credentials.identity_token = str(token);
      found(credentials);
      return absl::OkStatus();
    }
  }
  return absl::NotFoundError(strCat("no credentials for ", registry));
}

}  // namespace berth::program
