#include "images/short_names.hpp"

#include <algorithm>

#include "berth/support/status.hpp"

namespace berth::images {

using support::strCat;

namespace {

std::string_view withoutTagAndDigest(std::string_view shortName) {
  return shortName.substr(0, shortName.find_first_of(":@"));
}

bool isBareName(std::string_view text) {
  const auto reference = parseNamed(text);
  return reference.ok() && reference->tag.empty() && reference->digest.empty();
}

}  // namespace

ShortNames::ShortNames(const std::vector<std::string>& registries,
                       const std::vector<std::string>& aliases) {
  registries_.clear();
  for (const std::string& registry : registries)
    if (std::find(registries_.begin(), registries_.end(), registry) == registries_.end())
      registries_.push_back(registry);
  for (const std::string& alias : aliases) {
    const size_t equals = alias.find('=');
    aliases_[alias.substr(0, equals)] = alias.substr(equals + 1);
  }
}

absl::StatusOr<std::vector<Reference>> ShortNames::meant(std::string_view text) const {
  // What is wrong with it is told of by the name that was given.
  BERTH_ASSIGN_OR_RETURN(Reference whole, parseReference(text));
  if (namesRegistry(text)) return std::vector{std::move(whole)};
  const std::string_view name = withoutTagAndDigest(text);
  if (const auto alias = aliases_.find(name); alias != aliases_.end()) {
    BERTH_ASSIGN_OR_RETURN(Reference target,
                           parseReference(strCat(alias->second, text.substr(name.size()))));
    return std::vector{std::move(target)};
  }
  if (registries_.empty())
    return absl::InvalidArgumentError(
        strCat("image ", text,
               " is named without a registry, and there is none to look for it in "
               "(images.unqualified_search_registries): name it whole"));
  std::vector<Reference> all;
  for (const std::string& registry : registries_) {
    BERTH_ASSIGN_OR_RETURN(Reference one, parseReference(strCat(registry, "/", text)));
    all.push_back(std::move(one));
  }
  return all;
}

bool isSearchRegistry(std::string_view text) {
  const std::string name = strCat(text, "/a");
  return text.find('/') == std::string_view::npos && namesRegistry(name) && parseNamed(name).ok();
}

bool isShortNameAlias(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view name = text.substr(0, equals);
  const std::string_view target = text.substr(equals + 1);
  return isBareName(name) && !namesRegistry(name) && isBareName(target) && namesRegistry(target);
}

}  // namespace berth::images
