// The options of registries, as they are made from other engines' files.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::config {

// One table below `registries`, of the options of a source that speaks to registries.
struct RegistryTable {
  bool isRegistry = false;           // rather than a mirror alone: it counts also without settings
  std::vector<std::string> mirrors;  // URLs, in the order in which they are asked
  bool fallback = true;              // the registry itself is asked after them
  bool blocked = false;
  bool insecure = false;
  std::string ca;
  std::string clientCert;
  std::string clientKey;
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<std::string> notes;  // what holds there and cannot be expressed

  bool hasConnectionSettings() const {
    return insecure || !ca.empty() || !clientCert.empty() || !headers.empty();
  }
};

class RegistryTables {
 public:
  // By host, "registry.example:5000", or "*" for those without a table of their own.
  RegistryTable& of(const std::string& host) { return tables_[host]; }
  // What cannot be expressed and is about no registry in particular.
  void note(std::string text) { notes_.push_back(std::move(text)); }
  // A key of [images].
  void setting(std::string_view key, const std::vector<std::string>& value);
  // TOML with all of it, notes as comments. `from` is where it is from, for people.
  std::string text(std::string_view from) const;

 private:
  std::map<std::string, RegistryTable> withMirrors() const;

  std::map<std::string, RegistryTable> tables_;
  std::vector<std::string> notes_;
  std::string settings_;  // TOML
};

// "registry.example:5000", "[::1]:5000": what references begin with.
bool isRegistryHost(std::string_view text);

// Of a URL or of what begins with a host, the host: "https://a.example/b" and "a.example/b" have
// a.example.
std::string hostOf(std::string_view location);

}  // namespace berth::config
