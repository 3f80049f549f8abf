// A plugin's shared object, loaded and checked.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/dll/shared_library.hpp>

#include "berth/plugin.h"
#include "common/outage.hpp"
#include "isolation/turns.hpp"
#include "plugins/interfaces.hpp"

namespace berth::plugins {

// A loaded file; stays loaded until the process ends, as the ABI promises.
class Library {
 public:
  // Loads with RTLD_NOW | RTLD_LOCAL and checks the entry, the ABI version, the description and
  // the kind. FAILED_PRECONDITION or NOT_FOUND with file, plugin and reason.
  static absl::StatusOr<std::shared_ptr<const Library>> load(const std::string& path, Kind kind);
  // The same of any kind this host knows.
  static absl::StatusOr<std::shared_ptr<const Library>> load(const std::string& path);

  virtual ~Library() = default;
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  const std::string& path() const { return path_; }
  const berth_plugin& description() const { return description_; }
  std::string name() const;
  Kind kind() const { return kind_; }

  // Makes an instance, as berth_plugin.create; `turns` serves it for as long as it is there.
  virtual berth_code create(const berth_host* host, const isolation::Turns& /*turns*/,
                            void** instance, berth_error* error) const {
    return description_.create(host, instance, error);
  }
  // What `turns` serves ends; before the instance is stopped.
  virtual void endOwnCalls(void* /*instance*/) const {}
  // Of an instance whose calls go to another process; none for others. Any thread.
  struct ProcessState {
    pid_t pid = 0;  // 0: there is none at this moment
    uint32_t restarts = 0;
    std::optional<common::Outage> outage;  // it keeps ending, or cannot be started
  };
  virtual std::optional<ProcessState> process(void* /*instance*/) const { return std::nullopt; }

 protected:
  Library(std::string path, berth_plugin description, Kind kind)
      : path_(std::move(path)), description_(description), kind_(kind) {}
  // What is wrong with a description of the file `path`; its kind. `wanted`: none for any.
  static absl::StatusOr<Kind> check(const berth_plugin& description, const std::string& path,
                                    std::optional<Kind> wanted);

 private:
  static absl::StatusOr<std::shared_ptr<const Library>> open(const std::string& path,
                                                             std::optional<Kind> wanted);

  std::string path_;
  berth_plugin description_;
  Kind kind_;
};

// The file of a plugin: a name with a slash is a path; "runtime-runc" is searched as
// berth-runtime-runc.so in the folders. NOT_FOUND lists them.
absl::StatusOr<std::string> findPlugin(const std::string& name,
                                       const std::vector<std::string>& directories);

}  // namespace berth::plugins
