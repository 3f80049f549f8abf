// containers-registries.conf(5), as CRI-O, podman, buildah and skopeo read it.
#include <algorithm>

#include <absl/strings/str_join.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "config/import.hpp"
#include "config/members.hpp"
#include "config/registry_tables.hpp"
#include "config/toml_text.hpp"
#include "images/short_names.hpp"

namespace berth::config {

using support::strCat;

namespace {

struct Mirror {
  std::string location;
  bool insecure = false;
  std::string pulls;  // "pull-from-mirror"; empty: all
};

struct Registry {
  std::string prefix;
  std::string location;
  bool insecure = false;
  bool blocked = false;
  bool mirrorByDigestOnly = false;
  std::vector<Mirror> mirrors;
};

// All files together: what a later one says replaces what an earlier one said of the same.
struct Read {
  std::vector<Registry> registries;
  bool hasSearch = false;
  std::vector<std::string> search;
  std::vector<std::pair<std::string, std::string>> aliases;
  std::vector<std::string> unknown;
};

class Reader {
 public:
  explicit Reader(Problems& problems) : problems_(problems) {}

  void file(const Table& table) {
    Members members(table, problems_);
    if (const Node* old = members.node("registries"); old != nullptr) {
      problems_.add(old->where,
                    "[registries] is of the first version of this form, which the other engines "
                    "do not read any more either; write [[registry]] tables");
      return;
    }
    if (members.node("unqualified-search-registries") != nullptr) {
      read_.search = members.texts("unqualified-search-registries");
      read_.hasSearch = true;
    }
    for (const Table* one : members.tables("registry")) registry(*one);
    for (const Entry* one : members.entries("aliases")) alias(*one);
    keepRest(members, {});
  }
  Read take() { return std::move(read_); }

 private:
  void registry(const Table& table) {
    Members members(table, problems_);
    Registry one;
    one.prefix = members.text("prefix");
    one.location = members.text("location");
    if (one.prefix.empty()) one.prefix = one.location;
    if (one.location.empty()) one.location = one.prefix;
    one.insecure = members.flag("insecure");
    one.blocked = members.flag("blocked");
    one.mirrorByDigestOnly = members.flag("mirror-by-digest-only");
    for (const Table* mirror : members.tables("mirror")) {
      Members inner(*mirror, problems_);
      one.mirrors.push_back(
          {inner.text("location"), inner.flag("insecure"), inner.text("pull-from-mirror")});
      keepRest(inner, "[[registry.mirror]] ");
    }
    keepRest(members, "[[registry]] ");
    if (one.prefix.empty()) {
      problems_.add(table.empty() ? Location() : table.front().where,
                    "[[registry]]: expected a prefix or a location");
      return;
    }
    const auto same =
        std::find_if(read_.registries.begin(), read_.registries.end(),
                     [&](const Registry& known) { return known.prefix == one.prefix; });
    if (same == read_.registries.end())
      read_.registries.push_back(std::move(one));
    else
      *same = std::move(one);
  }

  void alias(const Entry& entry) {
    const auto* target = std::get_if<std::string>(&entry.value.value);
    if (target == nullptr) {
      problems_.add(entry.value.where, strCat("aliases.", entry.key, ": expected a string, found ",
                                              describe(entry.value)));
      return;
    }
    std::erase_if(read_.aliases, [&](const auto& known) { return known.first == entry.key; });
    if (!target->empty()) read_.aliases.emplace_back(entry.key, *target);
  }

  void keepRest(const Members& members, std::string_view where) {
    for (const std::string& key : members.rest()) {
      const std::string name = strCat(where, key);
      if (std::find(read_.unknown.begin(), read_.unknown.end(), name) == read_.unknown.end())
        read_.unknown.push_back(name);
    }
  }

  Problems& problems_;
  Read read_;
};

// What an unencrypted or unverified connection to a server means there: TLS without a look at the
// certificate is tried first, then none at all.
void addServer(RegistryTables& tables, RegistryTable& table, const std::string& location,
               bool insecure) {
  table.mirrors.push_back(strCat("https://", location));
  if (!insecure) return;
  table.mirrors.push_back(strCat("http://", location));
  tables.of(hostOf(location)).insecure = true;
}

std::string mirrorRule(const Registry& registry, const Mirror& mirror) {
  if (!mirror.pulls.empty() && mirror.pulls != "all") return mirror.pulls;
  return registry.mirrorByDigestOnly ? "digest-only" : "";
}

void convert(const Registry& registry, RegistryTables& tables) {
  const std::string what = strCat("[[registry]] prefix = ", quote(registry.prefix));
  const bool isWhole = registry.prefix.find('/') == std::string::npos;
  if (!isWhole || !isRegistryHost(registry.prefix)) {
    tables.note(strCat(what, ": cannot be expressed, since only whole registries can be configured",
                       isWhole ? ", and no patterns for them" : "", "; it has ",
                       registry.blocked ? "blocked = true, " : "", "location = ",
                       quote(registry.location), " and ", registry.mirrors.size(), " mirrors"));
    return;
  }
  RegistryTable& table = tables.of(hostOf(registry.prefix));
  table.isRegistry = true;
  table.blocked = registry.blocked;
  for (const Mirror& mirror : registry.mirrors) {
    if (!isRegistryHost(hostOf(mirror.location))) {
      table.notes.push_back(
          strCat("Left out: the mirror ", quote(mirror.location), " names no host."));
      continue;
    }
    if (const std::string rule = mirrorRule(registry, mirror); !rule.empty())
      table.notes.push_back(strCat("Cannot be expressed: the mirror ", quote(mirror.location),
                                   " was for ", rule, " pulls; it is asked for all."));
    addServer(tables, table, mirror.location, mirror.insecure);
  }
  if (registry.location == registry.prefix && !registry.insecure) return;
  if (!isRegistryHost(hostOf(registry.location))) {
    table.notes.push_back(
        strCat("Left out: the location ", quote(registry.location), " names no host."));
    return;
  }
  addServer(tables, table, registry.location, registry.insecure);
  table.fallback = false;
}

// Of names without a registry: what they stand for, and where they are looked for.
void convertNames(const Read& read, RegistryTables& tables) {
  std::vector<std::string> search;
  for (const std::string& registry : read.search) {
    if (images::isSearchRegistry(registry))
      search.push_back(registry);
    else
      tables.note(strCat("Left out: unqualified-search-registries has ", quote(registry),
                         ", which names no host."));
  }
  if (read.hasSearch) tables.setting("unqualified_search_registries", search);
  std::vector<std::string> aliases;
  for (const auto& [name, target] : read.aliases) {
    const std::string alias = strCat(name, "=", target);
    if (images::isShortNameAlias(alias))
      aliases.push_back(alias);
    else
      tables.note(strCat("Cannot be expressed: the alias ", quote(name), " = ", quote(target),
                         "; it is no name without a registry that stands for one with it."));
  }
  if (!aliases.empty()) tables.setting("short_names", aliases);
  if (!read.unknown.empty())
    tables.note(strCat("Not taken over: ", absl::StrJoin(read.unknown, ", "), "."));
}

// One that is twice the same is refused; the first place counts.
void dropRepeated(RegistryTable& table) {
  std::vector<std::string> mirrors;
  for (const std::string& mirror : table.mirrors)
    if (std::find(mirrors.begin(), mirrors.end(), mirror) == mirrors.end())
      mirrors.push_back(mirror);
  table.mirrors = std::move(mirrors);
}

}  // namespace

absl::StatusOr<std::string> importRegistriesConf(const std::string& path) {
  std::vector<std::string> files{path};
  if (const auto more = support::listDirectory(strCat(path, ".d")); more.ok())
    for (const std::string& name : *more)
      if (name.ends_with(".conf")) files.push_back(strCat(path, ".d/", name));
  Problems problems;
  Reader reader(problems);
  for (const std::string& file : files) {
    BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile(file));
    if (const auto table = parseDocument(text, file, problems)) reader.file(*table);
  }
  BERTH_RETURN_IF_ERROR(problems.status());
  const Read read = reader.take();
  RegistryTables tables;
  convertNames(read, tables);
  for (const Registry& registry : read.registries) convert(registry, tables);
  for (const Registry& registry : read.registries)
    if (isRegistryHost(registry.prefix)) dropRepeated(tables.of(hostOf(registry.prefix)));
  return tables.text(absl::StrJoin(files, " and "));
}

}  // namespace berth::config
