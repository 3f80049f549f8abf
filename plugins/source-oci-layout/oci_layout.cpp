// OCI image layouts, and folders with one manifest and its blobs.
#include <boost/json.hpp>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "image_set.hpp"
#include "names.hpp"

namespace berth::layout {

namespace json = boost::json;
using support::strCat;

namespace {

constexpr size_t kMostImages = 10'000;
// In this order: the first has no room for anything but a whole name.
constexpr std::string_view kNames[] = {"io.containerd.image.name",
                                       "org.opencontainers.image.ref.name"};

absl::Status checkVersion(const Files& files) {
  auto document = readJson(files, "oci-layout");
  // Without the mark it is read all the same: some tools leave it out.
  if (absl::IsNotFound(document.status())) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(document.status());
  const std::string version =
      document->is_object() ? support::stringMember(document->get_object(), "imageLayoutVersion")
                            : std::string();
  if (version.starts_with("1.")) return absl::OkStatus();
  return absl::InvalidArgumentError(strCat("its layout has the version \"",
                                           support::oneLine(version, 64),
                                           "\"; versions 1.x can be read"));
}

std::string nameOf(const json::object& descriptor) {
  const json::object* annotations = support::objectMember(descriptor, "annotations");
  if (annotations == nullptr) return {};
  std::string bare;
  for (const std::string_view key : kNames) {
    std::string name = completeName(support::stringMember(*annotations, key));
    if (!name.empty() && !isBareTag(name)) return name;
    if (bare.empty()) bare = name;
  }
  return bare;
}

}  // namespace

absl::StatusOr<Parts> readOciLayout(std::shared_ptr<const Files> files) {
  BERTH_RETURN_IF_ERROR(checkVersion(*files));
  BERTH_ASSIGN_OR_RETURN(const json::value index, readJson(*files, "index.json"));
  const json::array* manifests =
      index.is_object() ? support::arrayMember(index.get_object(), "manifests") : nullptr;
  if (manifests == nullptr)
    return absl::InvalidArgumentError("index.json has no array \"manifests\"");
  if (manifests->size() > kMostImages)
    return absl::ResourceExhaustedError(strCat("index.json names ", manifests->size(),
                                               " images, more than the limit of ", kMostImages));
  Parts parts;
  for (const json::value& value : *manifests) {
    const json::object* descriptor = value.if_object();
    const std::string where = strCat("index.json, manifests[", parts.images.size(), "]");
    if (descriptor == nullptr) return absl::InvalidArgumentError(strCat(where, " is no object"));
    const std::string digest = support::stringMember(*descriptor, "digest");
    if (!isDigest(digest))
      return absl::InvalidArgumentError(
          strCat(where, ".digest \"", support::oneLine(digest, 160),
                 "\" is neither sha256: and 64 nor sha512: and 128 hexadecimal digits"));
    parts.images.push_back({nameOf(*descriptor), *descriptor});
  }
  parts.files = std::move(files);
  parts.folders = true;
  return parts;
}

absl::StatusOr<Parts> readPlainFolder(std::shared_ptr<const Files> files) {
  BERTH_ASSIGN_OR_RETURN(const Content content, files->open("manifest.json"));
  BERTH_ASSIGN_OR_RETURN(std::string text, readAll(content, kMostDocumentBytes));
  BERTH_ASSIGN_OR_RETURN(const json::object document,
                         support::parseJsonObject(text, "manifest.json"));
  const std::string digest = digestOf(text);
  Parts parts;
  parts.images.push_back(
      {{},
       json::object{
           {"mediaType", support::stringMember(document, "mediaType",
                                               "application/vnd.oci.image.manifest.v1+json")},
           {"digest", digest},
           {"size", text.size()}}});
  parts.written[digest] = std::move(text);
  parts.files = std::move(files);
  return parts;
}

}  // namespace berth::layout
