// What names without a registry stand for: "busybox", "team/app:1".
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "images/reference.hpp"

namespace berth::images {

class ShortNames {
 public:
  // All are completed to docker.io.
  ShortNames() = default;
  // `registries` are tried in this order, none of them twice; `aliases` go before them. Both as the
  // two functions below accept them; of several for one name the last counts.
  ShortNames(const std::vector<std::string>& registries, const std::vector<std::string>& aliases);

  // What `text` may mean, in the order in which it is looked for: itself alone when it names a
  // registry, never empty. INVALID_ARGUMENT when it is no reference, or nothing completes it.
  absl::StatusOr<std::vector<Reference>> meant(std::string_view text) const;

 private:
  std::vector<std::string> registries_{std::string(kDefaultRegistry)};
  std::map<std::string, std::string, std::less<>> aliases_;
};

// "registry.example:5000": what references can begin with.
bool isSearchRegistry(std::string_view text);
// "app=registry.example/team/app": a name that has no registry, and one that has; neither has a tag
// or a digest, which are those of the reference that is completed.
bool isShortNameAlias(std::string_view text);

}  // namespace berth::images
