#include "config/registry_tables.hpp"

#include <algorithm>

#include "berth/support/status.hpp"
#include "config/document.hpp"
#include "config/toml_text.hpp"

namespace berth::config {

using support::strCat;

namespace {

constexpr std::string_view kSection = "sources.registry.options.registries";
constexpr size_t kWidth = 98;

// Wrapped into lines that begin with "#".
std::string comment(std::string_view text) {
  std::string lines;
  std::string line = "#";
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(" \n"), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.size() > 1 && line.size() + 1 + word.size() > kWidth) {
      lines += strCat(line, "\n");
      line = "#";
    }
    line += strCat(" ", word);
  }
  return strCat(lines, line, "\n");
}

std::string tableText(const std::string& host, const RegistryTable& table) {
  std::string text = strCat("\n[", joinKey(kSection, host), "]\n");
  for (const std::string& note : table.notes) text += comment(note);
  if (table.blocked) text += "blocked = true\n";
  if (!table.mirrors.empty()) text += strCat("mirrors = ", arrayText(table.mirrors), "\n");
  if (!table.fallback) text += "fallback = false\n";
  if (table.insecure) text += "insecure = true\n";
  if (!table.ca.empty()) text += strCat("ca = ", quote(table.ca), "\n");
  if (!table.clientCert.empty())
    text += strCat("client_cert = ", quote(table.clientCert),
                   "\nclient_key = ", quote(table.clientKey), "\n");
  if (!table.headers.empty()) {
    boost::json::object headers;
    for (const auto& [name, value] : table.headers) headers[name] = value;
    text += strCat("headers = ", valueText(headers), "\n");
  }
  return text;
}

bool isPort(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

// A mirror without a table of its own is spoken to as the registry that names it, certificates and
// all; the files that are read here have settings for each server apart.
std::map<std::string, RegistryTable> RegistryTables::withMirrors() const {
  std::map<std::string, RegistryTable> all;
  for (const auto& [host, table] : tables_)
    if (table.isRegistry || table.hasConnectionSettings()) all[host] = table;
  for (const auto& [host, table] : tables_) {
    if (!table.hasConnectionSettings()) continue;
    for (const std::string& mirror : table.mirrors) all.try_emplace(hostOf(mirror));
  }
  return all;
}

void RegistryTables::setting(std::string_view key, const std::vector<std::string>& value) {
  settings_ += strCat(key, " = ", arrayText(value), "\n");
}

std::string RegistryTables::text(std::string_view from) const {
  std::string text = comment(strCat("From ", from, "."));
  for (const std::string& note : notes_) text += comment(note);
  if (!settings_.empty()) text += strCat("\n[images]\n", settings_);
  text += "\n[sources.registry]\nplugin = \"registry-v2\"\n";
  for (const auto& [host, table] : withMirrors()) text += tableText(host, table);
  return text;
}

bool isRegistryHost(std::string_view text) {
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos || end == 1) return false;
    const std::string_view rest = text.substr(end + 1);
    return text.substr(1, end - 1).find_first_not_of("0123456789abcdefABCDEF:.") ==
               std::string_view::npos &&
           (rest.empty() || (rest.front() == ':' && isPort(rest.substr(1))));
  }
  const size_t colon = text.find(':');
  if (colon != std::string_view::npos && !isPort(text.substr(colon + 1))) return false;
  const std::string_view name = text.substr(0, colon);
  return !name.empty() && name.front() != '.' && name.front() != '-' && name.back() != '.' &&
         name.find("..") == std::string_view::npos &&
         name.find_first_not_of(
             "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-") ==
             std::string_view::npos;
}

std::string hostOf(std::string_view location) {
  constexpr std::string_view kScheme = "://";
  if (const size_t scheme = location.find(kScheme); scheme != std::string_view::npos)
    location.remove_prefix(scheme + kScheme.size());
  std::string host(location.substr(0, location.find('/')));
  std::transform(host.begin(), host.end(), host.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return host;
}

}  // namespace berth::config
