#include "images/known_names.hpp"

#include <algorithm>

#include "berth/support/status.hpp"

namespace berth::images {

absl::StatusOr<std::string> knownBy(const Catalog& catalog, const ShortNames& shortNames,
                                    std::string_view text, const Catalog::AnyPlatform& platform) {
  if (catalog.hasId(text)) return std::string(text);
  if (const auto meant = shortNames.meant(text); meant.ok())
    for (const Reference& one : *meant)
      if (catalog.hasName(one, platform)) return one.full();
  return notHere(text);
}

absl::StatusOr<std::shared_ptr<const Image>> findKnown(const Catalog& catalog,
                                                       const ShortNames& shortNames,
                                                       std::string_view text,
                                                       const Catalog::AnyPlatform& platform) {
  BERTH_ASSIGN_OR_RETURN(const std::string name, knownBy(catalog, shortNames, text, platform));
  return catalog.find(name, platform);
}

std::string meantOf(const Catalog& catalog, const ShortNames& shortNames, const Image& image,
                    const std::string& name) {
  if (catalog.hasId(name)) return name;
  const auto meant = shortNames.meant(name);
  if (!meant.ok()) return name;
  const auto isIts = [&](const Reference& one) {
    const auto& names = one.digest.empty() ? image.repoTags : image.repoDigests;
    return std::find(names.begin(), names.end(), nameOf(one)) != names.end();
  };
  const auto own = std::find_if(meant->begin(), meant->end(), isIts);
  return (own == meant->end() ? meant->front() : *own).full();
}

}  // namespace berth::images
