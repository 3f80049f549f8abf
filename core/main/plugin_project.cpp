#include "main/plugin_project.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <linux/fs.h>
#include <map>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>
#include <climits>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::program {

using support::errnoStatus;
using support::strCat;

namespace {

constexpr size_t kLongestName = 63;

// Relative path → content.
using Files = std::map<std::string, std::string>;

// An example of the SDK, and what its file `template` says of it.
struct Example {
  std::string name;
  std::string folder;
  std::map<std::string, std::string> facts;
};

// As the name of a Debian package, of a file, and of a plugin in the configuration.
absl::Status checkName(std::string_view name) {
  const bool fit =
      !name.empty() && name.size() <= kLongestName && name[0] >= 'a' && name[0] <= 'z' &&
      name.back() != '-' &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
  if (fit) return absl::OkStatus();
  return absl::InvalidArgumentError(
      strCat("\"", name, "\" is no name for a plugin: at most ", kLongestName,
             " small letters, digits and \"-\", a letter first and no \"-\" last"));
}

// In C, where one word alone might be a keyword or a function of the library.
std::string identifierOf(const std::string& name) {
  std::string identifier = name;
  std::replace(identifier.begin(), identifier.end(), '-', '_');
  return identifier == name ? identifier + "_plugin" : identifier;
}

std::string installedSdk() {
  char path[PATH_MAX] = "";
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
  const std::string_view program(path, length > 0 ? static_cast<size_t>(length) : 0);
  const std::string_view bin = program.substr(0, program.rfind('/'));
  return strCat(bin.substr(0, bin.rfind('/')), "/share/berth");
}

bool isPartOfName(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// Words that are `from` or begin with `from_`.
std::string renamed(const std::string& text, const std::string& from, const std::string& to) {
  std::string result;
  size_t done = 0;
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + 1)) {
    const char after = at + from.size() < text.size() ? text[at + from.size()] : ' ';
    if (at < done || (at > 0 && isPartOfName(text[at - 1])) ||
        (isPartOfName(after) && after != '_'))
      continue;
    result += strCat(std::string_view(text).substr(done, at - done), to);
    done = at + from.size();
  }
  return result + text.substr(done);
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

absl::StatusOr<Example> readExample(const std::string& examples, const std::string& name) {
  Example example{name, strCat(examples, "/", name), {}};
  BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile(example.folder + "/template"));
  for (const auto line : absl::StrSplit(text, '\n')) {
    const std::pair<std::string, std::string> fact = absl::StrSplit(line, absl::MaxSplits(' ', 1));
    example.facts.insert(fact);
  }
  return example;
}

absl::StatusOr<Example> findExample(const PluginProject& wanted, const std::string& sdk) {
  const std::string folder = sdk + "/examples";
  const auto names = support::listDirectory(folder);
  if (!names.ok())
    return absl::FailedPreconditionError(strCat(
        "there is no SDK in ", sdk,
        ": install libberth-plugin-dev, which packaging/build in Berth's sources makes, and whose "
        "SDK is in /usr/share/berth, or name the folder of another one that has examples and "
        "templates: --sdk FOLDER"));
  for (const std::string& name : *names) {
    if (!support::pathExists(strCat(folder, "/", name, "/template"))) continue;
    BERTH_ASSIGN_OR_RETURN(Example example, readExample(folder, name));
    if (example.facts["kind"] == wanted.kind && example.facts["language"] == wanted.language)
      return example;
  }
  return absl::NotFoundError(strCat("the SDK in ", sdk, " has no example of the kind ", wanted.kind,
                                    " in ", wanted.language == "c" ? "C" : "C++"));
}

// Everything below a folder, subfolders included.
absl::Status readTree(const std::string& folder, const std::string& below, Files& files) {
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                         support::listDirectory(strCat(folder, "/", below)));
  for (const std::string& name : names) {
    const std::string path = strCat(below, name);
    struct stat info = {};
    if (::stat(strCat(folder, "/", path).c_str(), &info) != 0)
      return errnoStatus(errno, strCat("look at ", folder, "/", path));
    if (S_ISDIR(info.st_mode)) {
      BERTH_RETURN_IF_ERROR(readTree(folder, path + "/", files));
    } else {
      BERTH_ASSIGN_OR_RETURN(files[path], support::readFile(strCat(folder, "/", path)));
    }
  }
  return absl::OkStatus();
}

// As Debian's own tools find it.
std::string maintainer() {
  const char* name = std::getenv("DEBFULLNAME");
  const char* address = std::getenv("DEBEMAIL");
  return strCat(name != nullptr ? name : "Unknown Maintainer", " <",
                address != nullptr ? address : "maintainer@example.com", ">");
}

tm today() {
  const time_t now = ::time(nullptr);
  tm parts = {};
  ::gmtime_r(&now, &parts);
  return parts;
}

std::string dateOfChangelog() {
  const tm now = today();
  char text[64] = "";
  const size_t size = ::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", &now);
  return {text, size};
}

// "a, b" as lines of debian/control.
std::string packageLines(const std::string& packages) {
  std::string lines;
  for (const auto one : absl::StrSplit(packages, ", ", absl::SkipEmpty()))
    lines += strCat(" ", support::fromAbsl(one), ",\n");
  return lines;
}

PluginPackages packagesFor(const PluginProject& wanted, Example& example) {
  PluginPackages packages = {.own = {"libberth-plugin-dev"},
                             .debian = {"cmake", wanted.language == "c" ? "gcc" : "g++"}};
  for (const auto one : absl::StrSplit(example.facts["needs"], ", ", absl::SkipEmpty()))
    (one == "berth" ? packages.own : packages.debian).emplace_back(one);
  return packages;
}

std::string filledIn(const std::string& text, const PluginProject& wanted, Example& example) {
  std::string kind = wanted.kind;
  std::replace(kind.begin(), kind.end(), '-', ' ');
  const PluginPackages packages = packagesFor(wanted, example);
  return absl::StrReplaceAll(text, {{"@NAME@", wanted.name},
                                    {"@KIND@", kind},
                                    {"@TEST@", example.facts["test"]},
                                    {"@CHECK@", example.facts["check"]},
                                    {"@NEEDS@", packageLines(example.facts["needs"])},
                                    {"@OWN@", absl::StrJoin(packages.own, ", ")},
                                    {"@PACKAGES@", absl::StrJoin(packages.debian, " ")},
                                    {"@MAINTAINER@", maintainer()},
                                    {"@DATE@", dateOfChangelog()},
                                    {"@YEAR@", strCat(today().tm_year + 1900)}});
}

bool isSource(const std::string& path) {
  for (const std::string_view ending : {".c", ".h", ".cpp", ".hpp"})
    if (path.ends_with(ending)) return true;
  return false;
}

// Of the example the code, with its names changed; of the templates what all projects have. What
// both have is the example's, with the template's after it.
absl::StatusOr<Files> compose(const PluginProject& wanted, const std::string& sdk,
                              Example& example) {
  const std::string identifier = identifierOf(wanted.name);
  Files sources;
  Files files;
  BERTH_RETURN_IF_ERROR(readTree(example.folder, "", sources));
  sources.erase("template");
  for (const auto& [path, text] : sources) {
    // The name first: it may have the identifier in it.
    constexpr const char* kName = "\x01";
    std::string& file = files[path];
    file = absl::StrReplaceAll(text, {{example.name, kName}});
    if (isSource(path)) {
      file = renamed(file, example.facts["identifier"], identifier);
      file = renamed(file, upper(example.facts["identifier"]), upper(identifier));
    }
    file = absl::StrReplaceAll(file, {{kName, wanted.name}});
  }
  Files templates;
  BERTH_RETURN_IF_ERROR(readTree(sdk + "/templates", "", templates));
  for (const auto& [path, text] : templates)
    files[path == "gitignore" ? ".gitignore" : path] += filledIn(text, wanted, example);
  return files;
}

absl::Status write(const Files& files, const std::string& folder) {
  for (const auto& [path, text] : files) {
    const std::string file = strCat(folder, "/", path);
    BERTH_RETURN_IF_ERROR(support::makeDirectories(file.substr(0, file.rfind('/'))));
    BERTH_RETURN_IF_ERROR(support::replaceFile(file, text, path == "debian/rules" ? 0755 : 0644,
                                               support::Durability::kVisible));
  }
  return absl::OkStatus();
}

absl::Status makeVisible(const std::string& from, const std::string& folder) {
  if (::chmod(from.c_str(), 0755) != 0) return errnoStatus(errno, strCat("open up ", from));
  if (::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, folder.c_str(),
                RENAME_NOREPLACE) == 0)
    return absl::OkStatus();
  if (errno == EEXIST) return absl::AlreadyExistsError(strCat(folder, " exists"));
  return errnoStatus(errno, strCat("make ", folder));
}

}  // namespace

std::vector<std::string> pluginKinds() {
  return {"runtime", "snapshotter", "image-source", "network"};
}

std::vector<std::string> pluginLanguages() {
  return {"c", "c++"};
}

absl::StatusOr<PluginPackages> writePluginProject(const PluginProject& wanted) {
  BERTH_RETURN_IF_ERROR(checkName(wanted.name));
  const std::string folder = wanted.folder.empty() ? wanted.name : wanted.folder;
  struct stat info = {};
  if (::lstat(folder.c_str(), &info) == 0)
    return absl::AlreadyExistsError(strCat(folder, " exists"));
  const std::string sdk = wanted.sdk.empty() ? installedSdk() : wanted.sdk;
  BERTH_ASSIGN_OR_RETURN(Example example, findExample(wanted, sdk));
  BERTH_ASSIGN_OR_RETURN(const Files files, compose(wanted, sdk, example));
  std::string staging = folder;
  while (staging.size() > 1 && staging.back() == '/') staging.pop_back();
  staging += ".XXXXXX";
  if (::mkdtemp(staging.data()) == nullptr) return errnoStatus(errno, strCat("make ", staging));
  absl::Status status = write(files, staging);
  if (status.ok()) status = makeVisible(staging, folder);
  if (status.ok()) return packagesFor(wanted, example);
  support::removeTree(staging).IgnoreError();
  return status;
}

}  // namespace berth::program
