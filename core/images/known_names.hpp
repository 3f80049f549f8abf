// What people's names for images mean among those that are here.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "images/catalog.hpp"
#include "images/image.hpp"
#include "images/short_names.hpp"

namespace berth::images {

// The id, or the name by which the catalog has what `text` means: of several names, for which a
// short one stands, the first that is there, for one platform or for any. Also of hidden images.
// NOT_FOUND.
absl::StatusOr<std::string> knownBy(const Catalog& catalog, const ShortNames& shortNames,
                                    std::string_view text,
                                    const Catalog::AnyPlatform& platform = {});
// That image. NOT_FOUND, also for hidden ones.
absl::StatusOr<std::shared_ptr<const Image>> findKnown(const Catalog& catalog,
                                                       const ShortNames& shortNames,
                                                       std::string_view text,
                                                       const Catalog::AnyPlatform& platform = {});

// What `name` means where it is known to be `image`: of several names the one that the image has,
// or the first. An id stays as it is.
std::string meantOf(const Catalog& catalog, const ShortNames& shortNames, const Image& image,
                    const std::string& name);

}  // namespace berth::images
