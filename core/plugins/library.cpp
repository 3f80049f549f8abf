#include "plugins/library.hpp"

#include <algorithm>
#include <deque>
#include <dlfcn.h>
#include <map>
#include <mutex>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <absl/strings/str_join.h>
#include <boost/dll/shared_library_load_mode.hpp>

#include "berth/plugin.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "isolation/given.hpp"

namespace berth::plugins {

namespace {

// Never unloaded, not at the process's end either: threads and statics of a plugin may outlive any
// reference to it. Returns the kept one, of which there is one for each file.
boost::dll::shared_library& keep(boost::dll::shared_library library) {
  static std::mutex mutex;
  static auto& kept = *new std::deque<boost::dll::shared_library>;
  const std::lock_guard lock(mutex);
  const auto known = std::find_if(
      kept.begin(), kept.end(), [&](const auto& one) { return one.native() == library.native(); });
  return known != kept.end() ? *known : kept.emplace_back(std::move(library));
}

// The loader takes a name that it knows for the file that it has loaded by it. One that has
// replaced that file gets another name, in the same folder: "/dir/./berth-x.so".
std::string nameForLoader(const std::string& path) {
  using Identity = std::pair<dev_t, ino_t>;
  static std::mutex mutex;
  static auto& files = *new std::map<std::string, std::vector<Identity>>;  // those of each path
  struct stat now {};
  if (::stat(path.c_str(), &now) != 0) return path;
  const Identity wanted{now.st_dev, now.st_ino};
  const std::lock_guard lock(mutex);
  std::vector<Identity>& known = files[path];
  auto found = std::find(known.begin(), known.end(), wanted);
  if (found == known.end()) found = known.insert(known.end(), wanted);
  std::string name = path;
  for (auto before = known.begin(); before != found; ++before)
    name.insert(name.rfind('/') + 1, "./");
  return name;
}

absl::StatusOr<berth_plugin_entry_function> findEntry(const std::string& path) {
  boost::dll::fs::error_code error;
  boost::dll::shared_library library;
  library.load(nameForLoader(path), error,
               boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
  if (error) {
    // dlerror() has the linker's own words: the unresolved symbol, or that it is no ELF file.
    const std::string reason = error.message();
    const char* linker = ::dlerror();
    return absl::FailedPreconditionError(
        support::strCat("cannot be loaded: ", linker != nullptr ? linker : reason));
  }
  if (!library.has("berth_plugin_entry")) {
    return absl::FailedPreconditionError(
        "is no Berth plugin: it does not export berth_plugin_entry");
  }
  return &keep(std::move(library))
              .get<const berth_plugin*(uint32_t, uint32_t)>("berth_plugin_entry");
}

absl::Status checkMajor(const berth_plugin& plugin) {
  if (plugin.abi_major != BERTH_ABI_MAJOR) {
    return absl::FailedPreconditionError(
        support::strCat("was built for ABI ", plugin.abi_major, ".", plugin.abi_minor,
                        ", this host speaks ABI ", BERTH_ABI_MAJOR, ".", BERTH_ABI_MINOR));
  }
  return absl::OkStatus();
}

// Before any is read.
absl::Status checkTexts(const berth_plugin& plugin) {
  for (const berth_str text :
       {plugin.name, plugin.version, plugin.summary, plugin.interface_id, plugin.options}) {
    if (text.size > isolation::kMostTextBytes) {
      return absl::FailedPreconditionError(
          support::strCat("its description has a text of ", text.size, " bytes"));
    }
  }
  return absl::OkStatus();
}

absl::Status checkMinor(const berth_plugin& plugin) {
  if (plugin.required_minor > BERTH_ABI_MINOR) {
    return absl::FailedPreconditionError(
        support::strCat("needs a host of ABI ", BERTH_ABI_MAJOR, ".", plugin.required_minor,
                        " or newer, this host speaks ", BERTH_ABI_MAJOR, ".", BERTH_ABI_MINOR));
  }
  return absl::OkStatus();
}

// `wanted`: none for any kind.
absl::StatusOr<Kind> checkDescription(const berth_plugin& plugin, std::optional<Kind> wanted) {
  if (view(plugin.name).empty() || view(plugin.version).empty()) {
    return absl::FailedPreconditionError("its description has no name or version");
  }
  for (const berth_str text : {plugin.name, plugin.version, plugin.summary}) {
    if (!support::isUtf8(view(text))) {
      return absl::FailedPreconditionError("its name, version or summary is not UTF-8");
    }
  }
  if (plugin.threading < BERTH_THREADING_SERIALIZED ||
      plugin.threading > BERTH_THREADING_PARALLEL) {
    return absl::FailedPreconditionError(
        support::strCat("declares the unknown threading ", plugin.threading));
  }
  const std::optional<Kind> kind = kindOf(view(plugin.interface_id));
  if (wanted.has_value() && kind != wanted) {
    return absl::FailedPreconditionError(
        support::strCat("implements ", view(plugin.interface_id), ", but is configured as a ",
                        kindName(*wanted), " (", interfaceId(*wanted), ")"));
  }
  if (!kind.has_value()) {
    return absl::FailedPreconditionError(
        support::strCat("implements ", support::validUtf8(view(plugin.interface_id)),
                        ", which is no interface of this host"));
  }
  const std::pair<const char*, bool> lifeCycle[] = {{"create", plugin.create != nullptr},
                                                    {"configure", plugin.configure != nullptr},
                                                    {"start", plugin.start != nullptr},
                                                    {"stop", plugin.stop != nullptr},
                                                    {"destroy", plugin.destroy != nullptr}};
  for (const auto& [name, present] : lifeCycle) {
    if (!present) {
      return absl::FailedPreconditionError(
          support::strCat("lacks the mandatory callback `", name, "` of berth_plugin"));
    }
  }
  return *kind;
}

}  // namespace

std::string Library::name() const {
  return copy(description_.name);
}

absl::StatusOr<std::shared_ptr<const Library>> Library::load(const std::string& path, Kind kind) {
  return open(path, kind);
}

absl::StatusOr<std::shared_ptr<const Library>> Library::load(const std::string& path) {
  return open(path, std::nullopt);
}

absl::StatusOr<std::shared_ptr<const Library>> Library::open(const std::string& path,
                                                             std::optional<Kind> wanted) {
  const std::string context = support::strCat("plugin file ", path);
  auto entry = findEntry(path);
  if (!entry.ok()) return support::annotate(entry.status(), context);
  const berth_plugin* given = nullptr;
  try {
    given = (*entry)(BERTH_ABI_MAJOR, BERTH_ABI_MINOR);
  } catch (...) {
    return absl::FailedPreconditionError(
        support::strCat(context, ": its entry threw an exception"));
  }
  if (given == nullptr) {
    return absl::FailedPreconditionError(support::strCat(context, ": refuses a host of ABI ",
                                                         BERTH_ABI_MAJOR, ".", BERTH_ABI_MINOR));
  }
  const berth_plugin description = detail::known(given);
  BERTH_ASSIGN_OR_RETURN(const Kind kind, check(description, path, wanted));
  return std::shared_ptr<const Library>(new Library(path, description, kind));
}

absl::StatusOr<Kind> Library::check(const berth_plugin& description, const std::string& path,
                                    std::optional<Kind> wanted) {
  const std::string context = support::strCat("plugin file ", path);
  // Before anything else: what follows the version may be another thing in another major.
  BERTH_RETURN_IF_ERROR(support::annotate(checkMajor(description), context));
  BERTH_RETURN_IF_ERROR(support::annotate(checkTexts(description), context));
  const std::string named =
      support::strCat(context, " (", support::validUtf8(view(description.name)), ")");
  BERTH_RETURN_IF_ERROR(support::annotate(checkMinor(description), named));
  absl::StatusOr<Kind> kind = checkDescription(description, wanted);
  if (!kind.ok()) return support::annotate(kind.status(), named);
  return kind;
}

absl::StatusOr<std::string> findPlugin(const std::string& name,
                                       const std::vector<std::string>& directories) {
  if (name.find('/') != std::string::npos) return name;
  for (const std::string& directory : directories) {
    std::string path = support::strCat(directory, "/berth-", name, ".so");
    if (::access(path.c_str(), F_OK) == 0) return path;
  }
  return absl::NotFoundError(
      support::strCat("no file berth-", name, ".so for the plugin \"", name,
                      "\" in plugin_dirs: ", absl::StrJoin(directories, ", ")));
}

}  // namespace berth::plugins
