#include "config/reader.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include "berth/support/status.hpp"
#include "berth/support/suggestion.hpp"
#include "config/keys.hpp"
#include "config/rules.hpp"
#include "config/toml_text.hpp"

namespace berth::config {
namespace {

using support::strCat;

// Reads one value as the type of its key's default; a mismatch is told in one way for all types.
class ValueReader {
 public:
  ValueReader(const Key& key, const std::string& path, Problems& problems)
      : key_(key), path_(path), problems_(problems) {}

  std::optional<Value> read(const Node& node) {
    struct Chooser {
      ValueReader& reader;
      const Node& node;
      std::optional<Value> operator()(const std::string&) { return reader.text(node); }
      std::optional<Value> operator()(int64_t) { return reader.integer(node); }
      std::optional<Value> operator()(Mode) { return reader.mode(node); }
      std::optional<Value> operator()(const std::vector<std::string>&) { return reader.list(node); }
      std::optional<Value> operator()(const boost::json::object&) { return reader.options(node); }
    };
    return std::visit(Chooser{*this, node}, key_.standard);
  }

 private:
  std::optional<Value> mismatch(const Node& node, std::string_view expected,
                                const std::string& path) {
    problems_.add(node.where, strCat(path, ": expected ", expected, ", found ", describe(node)));
    return std::nullopt;
  }

  const std::string* acceptedText(const Node& node, const std::string& path) {
    const auto* text = std::get_if<std::string>(&node.value);
    if (text != nullptr && (!key_.rule.accepts || key_.rule.accepts(*text))) return text;
    mismatch(node, key_.rule.expects, path);
    return nullptr;
  }

  std::optional<Value> text(const Node& node) {
    const std::string* text = acceptedText(node, path_);
    if (text == nullptr) return std::nullopt;
    return *text;
  }

  std::optional<Value> integer(const Node& node) {
    const auto* number = std::get_if<int64_t>(&node.value);
    if (number != nullptr && *number >= key_.rule.minimum && *number <= key_.rule.maximum)
      return *number;
    return mismatch(node, key_.rule.expects, path_);
  }

  std::optional<Value> mode(const Node& node) {
    const std::string* text = acceptedText(node, path_);
    if (text == nullptr) return std::nullopt;
    Mode mode;
    std::from_chars(text->data(), text->data() + text->size(), mode.bits, 8);
    return mode;
  }

  std::optional<Value> list(const Node& node) {
    const Array* array = std::get_if<Array>(&node.value);
    if (array == nullptr)
      return mismatch(node, strCat("an array, each element ", key_.rule.expects), path_);
    const auto size = static_cast<int64_t>(array->size());
    if (size < key_.rule.minimum || size > key_.rule.maximum) {
      problems_.add(node.where, strCat(path_, ": expected from ", key_.rule.minimum, " to ",
                                       key_.rule.maximum, " elements, found ", size));
      return std::nullopt;
    }
    std::vector<std::string> result;
    bool complete = true;
    for (size_t i = 0; i < array->size(); ++i) {
      const std::string* text = acceptedText((*array)[i], strCat(path_, "[", i, "]"));
      if (text != nullptr) result.push_back(*text);
      complete = complete && text != nullptr;
    }
    if (!complete) return std::nullopt;
    return result;
  }

  std::optional<Value> options(const Node& node) {
    const Table* table = std::get_if<Table>(&node.value);
    if (table == nullptr) return mismatch(node, key_.rule.expects, path_);
    return toJson(*table, path_, problems_);
  }

  const Key& key_;
  const std::string& path_;
  Problems& problems_;
};

template <typename Instances>
std::vector<std::string> namesOf(const Instances& instances) {
  std::vector<std::string> names;
  names.reserve(instances.size());
  for (const auto& [name, instance] : instances) names.push_back(name);
  return names;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += strCat(text.empty() ? "" : ", ", name);
  return text;
}

// What may stand in the table of `section`, as full paths; at the top also the sections.
std::vector<std::string> knownHere(std::string_view section, std::string_view instance) {
  const std::string parent = instance.empty() ? std::string(section) : joinKey(section, instance);
  std::vector<std::string> known;
  for (const Key* key : keysOf(section)) known.push_back(joinKey(parent, key->name));
  if (!section.empty()) return known;
  for (const std::string_view name : plainSections()) known.emplace_back(name);
  for (const InstanceSection& candidate : instanceSections()) known.emplace_back(candidate.name);
  return known;
}

// A right name in a wrong place: keys of that name in the plain sections and at the top.
std::string namesake(std::string_view name) {
  for (const Key& key : keys())
    if (key.name == name && findInstanceSection(key.section) == nullptr)
      return joinKey(key.section, key.name);
  return {};
}

// Of all that is in a plugin's options, by its path in them: of its key, or in an array of itself.
void addPlaces(const Node& node, const std::string& path,
               std::map<std::string, std::string, std::less<>>& places) {
  if (const Table* table = std::get_if<Table>(&node.value)) {
    for (const Entry& entry : *table) {
      const std::string inner = joinKey(path, entry.key);
      places[inner] = entry.where.text();
      addPlaces(entry.value, inner, places);
    }
  } else if (const Array* array = std::get_if<Array>(&node.value)) {
    for (size_t i = 0; i < array->size(); ++i) {
      const std::string inner = strCat(path, "[", i, "]");
      places[inner] = (*array)[i].where.text();
      addPlaces((*array)[i], inner, places);
    }
  }
}

const Entry* find(const Table& table, std::string_view key) {
  for (const Entry& entry : table)
    if (entry.key == key) return &entry;
  return nullptr;
}

}  // namespace

Reader::Reader(Problems& problems) : problems_(problems), config_(standardConfig()) {}

Config Reader::read(const Table& document) {
  readSection("", document);
  // The names that are referred to only exist once all tables have been read; after a failure
  // they may be missing for that reason alone.
  if (problems_.empty()) checkReferences();
  for (auto& [name, runtime] : config_.runtimes)
    if (runtime.snapshotter.empty()) runtime.snapshotter = config_.images.snapshotter;
  return std::move(config_);
}

void Reader::readSection(std::string_view section, const Table& table) {
  const std::vector<const Key*> known = keysOf(section);
  const std::vector<std::string_view> plain = plainSections();
  for (const Entry& entry : table) {
    const std::string path = joinKey(section, entry.key);
    const auto found = std::find_if(known.begin(), known.end(),
                                    [&entry](const Key* key) { return key->name == entry.key; });
    if (found != known.end()) {
      readKey(**found, path, entry, &config_);
      continue;
    }
    const bool isPlain =
        section.empty() && std::find(plain.begin(), plain.end(), entry.key) != plain.end();
    const bool isInstances = section.empty() && findInstanceSection(entry.key) != nullptr;
    if (!isPlain && !isInstances) {
      unknownKey(path, section, {}, entry);
      continue;
    }
    const Table* inner = std::get_if<Table>(&entry.value.value);
    if (inner == nullptr) {
      problems_.add(entry.value.where,
                    strCat(path, ": expected a table, found ", describe(entry.value)));
    } else if (isPlain) {
      readSection(entry.key, *inner);
    } else {
      readInstances(entry.key, *inner);
    }
  }
}

void Reader::readInstances(std::string_view section, const Table& table) {
  for (const Entry& entry : table) readInstance(section, entry);
}

void Reader::readInstance(std::string_view section, const Entry& entry) {
  const InstanceSection& kind = *findInstanceSection(section);
  const std::string path = joinKey(section, entry.key);
  const Rule nameRule = instanceName();
  if (!nameRule.accepts(entry.key)) {
    problems_.add(entry.where,
                  strCat(path, ": the ", kind.one, "'s name must be ", nameRule.expects));
    return;
  }
  const Table* table = std::get_if<Table>(&entry.value.value);
  if (table == nullptr) {
    problems_.add(entry.value.where,
                  strCat(path, ": expected a table, found ", describe(entry.value)));
    return;
  }
  void* instance = kind.make(config_, entry.key);
  kind.place(instance).text = entry.where.text();
  const std::vector<const Key*> known = keysOf(section);
  if (!kind.isBuiltIn(entry.key))
    for (const Key* key : known) key->set(instance, key->standard);
  for (const Entry& member : *table) {
    const std::string memberPath = joinKey(path, member.key);
    const auto found = std::find_if(known.begin(), known.end(),
                                    [&member](const Key* key) { return key->name == member.key; });
    if (found != known.end()) {
      readKey(**found, memberPath, member, instance);
      if (std::holds_alternative<boost::json::object>((*found)->standard))
        addPlaces(member.value, {}, kind.place(instance).options);
    } else {
      unknownKey(memberPath, section, entry.key, member);
    }
  }
  for (const Key* key : known)
    if (key->required && !kind.isBuiltIn(entry.key) && find(*table, key->name) == nullptr)
      problems_.add(entry.where, strCat(path, ": the key ", joinKey(path, key->name),
                                        " is missing: ", key->rule.expects));
}

void Reader::readKey(const Key& key, const std::string& path, const Entry& entry, void* object) {
  std::optional<Value> value = ValueReader(key, path, problems_).read(entry.value);
  if (!value) return;
  addPlace(path, entry.value.where);
  if (const Array* array = std::get_if<Array>(&entry.value.value))
    for (size_t i = 0; i < array->size(); ++i)
      addPlace(strCat(path, "[", i, "]"), (*array)[i].where);
  key.set(object, *std::move(value));
}

void Reader::addPlace(const std::string& path, const Location& where) {
  places_[path] = where;
  config_.keys.options[path] = where.text();
}

void Reader::unknownKey(const std::string& path, std::string_view section,
                        std::string_view instance, const Entry& entry) {
  const std::vector<std::string> known = knownHere(section, instance);
  const std::string parent = instance.empty() ? std::string(section) : joinKey(section, instance);
  // Compared without what they share, or a long section would make all its keys look alike.
  const size_t shared = parent.empty() ? 0 : parent.size() + 1;
  std::vector<std::string> names;
  names.reserve(known.size());
  for (const std::string& candidate : known) names.push_back(candidate.substr(shared));
  std::string message = strCat("unknown key ", path);
  if (const std::string near = support::nearest(entry.key, names); !near.empty()) {
    message += strCat("; did you mean ", joinKey(parent, near), "?");
  } else if (const std::string elsewhere = namesake(entry.key); !elsewhere.empty()) {
    message += strCat("; did you mean ", elsewhere, "?");
  } else {
    message += strCat("; known here: ", listed(names));
  }
  problems_.add(entry.where, std::move(message));
}

const Location& Reader::placeOf(const std::string& path) const {
  static const Location kBuiltIn;
  const auto found = places_.find(path);
  return found != places_.end() ? found->second : kBuiltIn;
}

template <typename Instances>
void Reader::checkReference(const std::string& path, const std::string& name,
                            const Instances& instances, std::string_view section) {
  if (instances.contains(name)) return;
  const std::vector<std::string> names = namesOf(instances);
  const std::string near = support::nearest(name, names);
  problems_.add(placeOf(path), strCat(path, ": there is no [", joinKey(section, name), "]; ",
                                      near.empty() ? strCat("known are: ", listed(names))
                                                   : strCat("did you mean ", quote(near), "?")));
}

void Reader::checkReferences() {
  checkReference("default_runtime", config_.defaultRuntime, config_.runtimes, "runtimes");
  checkReference("network", config_.network, config_.networks, "networks");
  checkReference("images.snapshotter", config_.images.snapshotter, config_.snapshotters,
                 "snapshotters");
  std::set<std::string> seen;
  for (size_t i = 0; i < config_.images.sources.size(); ++i) {
    const std::string& source = config_.images.sources[i];
    const std::string path = strCat("images.sources[", i, "]");
    checkReference(path, source, config_.sources, "sources");
    if (!seen.insert(source).second)
      problems_.add(placeOf(path), strCat(path, ": ", quote(source), " is named twice"));
  }
  for (const auto& [name, runtime] : config_.runtimes)
    if (!runtime.snapshotter.empty())
      checkReference(strCat("runtimes.", name, ".snapshotter"), runtime.snapshotter,
                     config_.snapshotters, "snapshotters");
  checkStreaming();
  if (config_.root == config_.state)
    problems_.add(placeOf(places_.contains("state") ? "state" : "root"),
                  strCat("root and state are both ", quote(config_.root),
                         ": what survives a reboot must lie apart from what does not"));
}

void Reader::checkStreaming() {
  const Streaming& streaming = config_.streaming;
  const auto complain = [&](const std::string& path, std::string_view what) {
    problems_.add(placeOf(path), strCat(path, ": ", what));
  };
  if (streaming.tlsCert.empty() && !streaming.tlsKey.empty())
    complain("streaming.tls_key", "there is no streaming.tls_cert that it is the key of");
  if (!streaming.tlsCert.empty() && streaming.tlsKey.empty())
    complain("streaming.tls_cert", "its key, streaming.tls_key, is missing");
  if (!streaming.tlsCert.empty() || !streaming.tlsKey.empty()) return;
  if (!streaming.tlsClientCa.empty())
    complain("streaming.tls_client_ca",
             "clients can only be asked for certificates over TLS: set streaming.tls_cert and "
             "streaming.tls_key");
  // Whoever sees the URL of a session on its way can run commands in a container.
  if (!isLoopback(streaming.address))
    complain("streaming.address",
             strCat(quote(streaming.address),
                    " is reached from other hosts: set streaming.tls_cert and streaming.tls_key, "
                    "or give a loopback address"));
}

}  // namespace berth::config
