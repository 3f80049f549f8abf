// containerd's certs.d: "docs/hosts.md" of it, and Docker's folders of certificates.
#include <algorithm>
#include <unistd.h>

#include <absl/strings/str_join.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "config/import.hpp"
#include "config/members.hpp"
#include "config/registry_tables.hpp"
#include "config/toml_text.hpp"

namespace berth::config {

using support::strCat;

namespace {

constexpr std::string_view kFile = "/hosts.toml";
constexpr std::string_view kDefault = "_default";
constexpr std::string_view kDockerIo = "docker.io";
constexpr std::string_view kDockerServer = "registry-1.docker.io";
// The source sets them by itself, or they change how a message is framed.
constexpr std::string_view kOwnHeaders[] = {
    "accept", "accept-encoding",   "authorization", "connection", "content-length", "host",
    "range",  "transfer-encoding", "user-agent",    "te",         "upgrade"};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

// "registry_5000_" stands for "registry:5000" where file systems have no colons.
std::string hostOfFolder(const std::string& name) {
  if (name == kDefault) return "*";
  if (!name.ends_with('_')) return name;
  const size_t port = name.rfind('_', name.size() - 2);
  return port == std::string::npos
             ? name
             : strCat(name.substr(0, port), ":", name.substr(port + 1, name.size() - port - 2));
}

struct Server {
  std::string url;
  bool overridesPath = false;
  bool pulls = true;
  bool resolves = true;
};

class Folder {
 public:
  Folder(std::string folder, RegistryTables& tables, Problems& problems)
      : folder_(std::move(folder)),
        host_(hostOfFolder(folder_.substr(folder_.rfind('/') + 1))),
        tables_(tables),
        problems_(problems) {}

  bool isHost() const { return host_ == "*" || isRegistryHost(host_); }
  RegistryTable& table() {
    RegistryTable& table = tables_.of(host_);
    table.isRegistry = true;
    return table;
  }

  void read(const Table& document) {
    Members members(document, problems_);
    Server server = readServer(members, members.text("server"));
    for (const Entry* entry : members.entries("host")) {
      const Table* inner = std::get_if<Table>(&entry->value.value);
      if (inner == nullptr) {
        problems_.add(entry->value.where, strCat("host.", quote(entry->key), ": expected a table"));
        continue;
      }
      Members mirror(*inner, problems_);
      const Server one = readServer(mirror, entry->key);
      if (addMirror(one)) readConnection(mirror, tables_.of(hostOf(one.url)));
      keepRest(mirror, strCat("host.", quote(entry->key)));
    }
    readOwn(members, server);
    keepRest(members, {});
  }

  // Docker's form: authorities in *.crt, a client's certificate in *.cert with its key in *.key.
  void readCertificates() {
    const auto names = support::listDirectory(folder_);
    if (!names.ok()) return;
    for (const std::string& name : *names) {
      const std::string path = strCat(folder_, "/", name);
      if (name.ends_with(".crt")) setFile(table(), &RegistryTable::ca, path, "ca");
      if (!name.ends_with(".cert")) continue;
      const std::string key = strCat(path.substr(0, path.size() - 4), "key");
      setClient(table(), path, key);
    }
  }

 private:
  Server readServer(Members& members, const std::string& url) {
    Server server{url, members.flag("override_path"), true, true};
    const std::vector<std::string> can = members.texts("capabilities");
    const auto has = [&](std::string_view what) {
      return std::find(can.begin(), can.end(), what) != can.end();
    };
    server.pulls = can.empty() || has("pull");
    server.resolves = can.empty() || has("resolve");
    return server;
  }

  // The mirror's URL for Berth; empty, and noted, when there is none.
  std::string mirrorOf(const Server& server) {
    std::string url =
        server.url.find("://") == std::string::npos ? strCat("https://", server.url) : server.url;
    while (url.ends_with('/')) url.pop_back();
    const size_t authority = url.find("://") + 3;
    const size_t slash = url.find('/', authority);
    std::string path = slash == std::string::npos ? "" : url.substr(slash);
    const std::string root = url.substr(0, slash);
    if (!isRegistryHost(hostOf(root))) {
      note(strCat("Left out: ", quote(server.url), " names no host."));
      return {};
    }
    // Where the API is: "/v2" behind the path, or the path as it is.
    if (!server.overridesPath && !path.ends_with("/v2")) path += "/v2";
    if (path == "/v2" || path.empty()) path = path.empty() ? "?" : "/v2";
    if (!path.starts_with("/v2") || (path.size() > 3 && path[3] != '/')) {
      note(strCat("Cannot be expressed: ", quote(server.url), " has its API at ",
                  path == "?" ? std::string("/") : path,
                  ", and only prefixes of repositories below /v2 can be configured."));
      return {};
    }
    return strCat(root, path.substr(3));
  }

  bool addMirror(const Server& server) {
    if (!server.pulls) {
      note(strCat("Left out: ", quote(server.url), " is not for pulls."));
      return false;
    }
    const std::string url = mirrorOf(server);
    if (url.empty()) return false;
    if (!server.resolves)
      note(strCat("Cannot be expressed: ", quote(server.url),
                  " was not to be asked for tags; it is asked for all."));
    auto& mirrors = table().mirrors;
    if (std::find(mirrors.begin(), mirrors.end(), url) == mirrors.end()) mirrors.push_back(url);
    return true;
  }

  // `server`, which is asked last: by default the registry that the folder is called after.
  void readOwn(Members& members, const Server& server) {
    const std::string host = server.url.empty() ? host_ : hostOf(server.url);
    const bool isItself = host == host_ || (host_ == kDockerIo && host == kDockerServer);
    const bool isPlain = server.url.starts_with("http://");
    if (isItself && !isPlain && !server.overridesPath) {
      readConnection(members, table());
      if (!server.pulls) table().fallback = table().mirrors.empty();
      return;
    }
    // Of a server of another name the settings are its own.
    if (addMirror(server)) {
      readConnection(members, tables_.of(host));
      table().fallback = false;
    } else {
      table().fallback = table().mirrors.empty();
    }
  }

  void readConnection(Members& members, RegistryTable& into) {
    if (members.flag("skip_verify")) into.insecure = true;
    for (const std::string& ca : members.texts("ca"))
      setFile(into, &RegistryTable::ca, absolute(ca), "ca");
    for (const auto& [cert, key] : clientsOf(members.node("client")))
      setClient(into, absolute(cert), absolute(key));
    for (const Entry* entry : members.entries("header")) setHeader(into, *entry);
    if (const Node* timeout = members.node("dial_timeout"); timeout != nullptr)
      note(strCat("Cannot be expressed: dial_timeout = ", describe(*timeout),
                  "; for all mirrors together there is mirror_connect_timeout_seconds."));
  }

  // "both.pem", ["both.pem", …], [["cert.pem", "key.pem"], …].
  static std::vector<std::pair<std::string, std::string>> clientsOf(const Node* node) {
    std::vector<std::pair<std::string, std::string>> pairs;
    if (node == nullptr) return pairs;
    const auto textOf = [](const Node& value) {
      const auto* text = std::get_if<std::string>(&value.value);
      return text != nullptr ? *text : std::string();
    };
    if (const std::string both = textOf(*node); !both.empty()) return {{both, both}};
    const Array* array = std::get_if<Array>(&node->value);
    for (size_t i = 0; array != nullptr && i < array->size(); ++i) {
      const Array* pair = std::get_if<Array>(&(*array)[i].value);
      const std::string both = textOf((*array)[i]);
      if (!both.empty()) pairs.emplace_back(both, both);
      if (pair == nullptr || pair->empty()) continue;
      const std::string key = pair->size() > 1 ? textOf((*pair)[1]) : std::string();
      pairs.emplace_back(textOf(pair->front()), key.empty() ? textOf(pair->front()) : key);
    }
    return pairs;
  }

  void setHeader(RegistryTable& into, const Entry& entry) {
    const Table one{entry};
    Members members(one, problems_);
    const std::vector<std::string> values = members.texts(entry.key);
    const std::string name = lower(entry.key);
    if (std::find(std::begin(kOwnHeaders), std::end(kOwnHeaders), name) != std::end(kOwnHeaders)) {
      note(strCat(
          "Cannot be expressed: the header ", quote(entry.key),
          name == "authorization" ? "; give the credentials in config.json or auth.json." : "."));
      return;
    }
    if (values.size() > 1)
      note(strCat("Cannot be expressed: the header ", quote(entry.key), " had ", values.size(),
                  " values; the first is there."));
    if (!values.empty()) into.headers.emplace_back(entry.key, values.front());
  }

  void setFile(RegistryTable& into, std::string RegistryTable::*member, const std::string& path,
               std::string_view what) {
    if (!isThere(path, what)) return;
    if (into.*member == path) return;
    if ((into.*member).empty())
      into.*member = path;
    else
      note(strCat("Cannot be expressed: more than one ", what, "; put ", quote(path),
                  " into the same file as ", quote(into.*member), "."));
  }

  void setClient(RegistryTable& into, const std::string& cert, const std::string& key) {
    if (!isThere(cert, "client") || !isThere(key, "client") || into.clientCert == cert) return;
    if (!into.clientCert.empty()) {
      note(strCat("Cannot be expressed: more than one client certificate; ", quote(cert),
                  " is left out."));
      return;
    }
    into.clientCert = cert;
    into.clientKey = key;
  }

  // The engine does not start with files that are not there.
  bool isThere(const std::string& path, std::string_view what) {
    if (::access(path.c_str(), R_OK) == 0) return true;
    note(strCat("Left out: the file ", quote(path), " of ", what, " is not there."));
    return false;
  }

  std::string absolute(const std::string& path) const {
    return path.starts_with('/') ? path : strCat(folder_, "/", path);
  }

  void keepRest(const Members& members, const std::string& where) {
    const std::vector<std::string> rest = members.rest();
    if (!rest.empty())
      note(strCat("Not taken over: ", where, where.empty() ? "" : ", ", absl::StrJoin(rest, ", "),
                  "."));
  }

  void note(std::string text) { table().notes.push_back(std::move(text)); }

  const std::string folder_;
  const std::string host_;
  RegistryTables& tables_;
  Problems& problems_;
};

absl::Status readFolder(const std::string& path, RegistryTables& tables, Problems& problems) {
  Folder folder(path, tables, problems);
  if (!folder.isHost()) {
    tables.note(strCat("Left out: the folder ", quote(path), " is called after no host."));
    return absl::OkStatus();
  }
  const std::string file = strCat(path, kFile);
  const auto text = support::readFile(file);
  if (absl::IsNotFound(text.status())) {
    folder.readCertificates();
    return absl::OkStatus();
  }
  BERTH_RETURN_IF_ERROR(text.status());
  if (const auto document = parseDocument(*text, file, problems)) folder.read(*document);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> importHostsToml(const std::string& given) {
  std::string path = given;
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  RegistryTables tables;
  Problems problems;
  if (path.ends_with(kFile)) {
    BERTH_RETURN_IF_ERROR(support::readFile(path).status());
    BERTH_RETURN_IF_ERROR(readFolder(path.substr(0, path.size() - kFile.size()), tables, problems));
  } else {
    BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> names, support::listDirectory(path));
    for (const std::string& name : names) {
      const std::string folder = strCat(path, "/", name);
      if (support::listDirectory(folder).ok())
        BERTH_RETURN_IF_ERROR(readFolder(folder, tables, problems));
    }
  }
  BERTH_RETURN_IF_ERROR(problems.status());
  return tables.text(path);
}

}  // namespace berth::config
