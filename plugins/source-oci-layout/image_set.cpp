#include "image_set.hpp"

#include <sys/stat.h>

#include <boost/json.hpp>

#include "archive.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "folder.hpp"
#include "names.hpp"

namespace berth::layout {

namespace json = boost::json;
using support::strCat;

namespace {

constexpr std::string_view kIndexType = "application/vnd.oci.image.index.v1+json";
constexpr std::string_view kManifestType = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kNameAnnotation = "org.opencontainers.image.ref.name";
constexpr size_t kDigestPrefix = 7;  // "sha256:", "sha512:"

bool has(const Files& files, const std::string& name) {
  const auto found = files.open(name);
  return found.ok() || !absl::IsNotFound(found.status());
}

absl::StatusOr<Parts> read(const std::shared_ptr<const Files>& files, const Check& check,
                           bool isFolder) {
  // With the name that containers-transports(5) has for the form.
  const auto named = [](absl::StatusOr<Parts> parts, std::string_view transport) {
    if (parts.ok()) parts->transport = transport;
    return parts;
  };
  // Newer "docker save" writes both: the layout says more.
  if (has(*files, "oci-layout") || has(*files, "index.json"))
    return named(readOciLayout(files), isFolder ? "oci" : "oci-archive");
  auto manifest = readJson(*files, "manifest.json");
  if (absl::IsNotFound(manifest.status()))
    return absl::InvalidArgumentError(
        "it is neither an OCI layout (index.json is missing) nor what \"docker save\" writes "
        "(manifest.json is missing)");
  BERTH_RETURN_IF_ERROR(manifest.status());
  return manifest->is_array() ? named(readDockerArchive(files, check), "docker-archive")
                              : named(readPlainFolder(files), "dir");
}

// The type a document says it has, or the one its members make it.
absl::StatusOr<std::string> mediaTypeOf(const std::string& text, std::string_view what) {
  BERTH_ASSIGN_OR_RETURN(const json::object document, support::parseJsonObject(text, what));
  const bool isIndex = document.contains("manifests");
  if (isIndex == document.contains("config"))
    return absl::InvalidArgumentError(strCat(what, " is neither a manifest nor an index"));
  return support::stringMember(document, "mediaType", isIndex ? kIndexType : kManifestType);
}

std::string indexOf(const std::vector<const Named*>& images) {
  json::array manifests;
  for (const Named* image : images) {
    json::object descriptor = image->descriptor;
    json::object& annotations = support::objectAt(descriptor, "annotations");
    annotations.erase(kNameAnnotation);
    if (!image->name.empty()) annotations[kNameAnnotation] = image->name;
    manifests.push_back(std::move(descriptor));
  }
  return json::serialize(json::object{
      {"schemaVersion", 2}, {"mediaType", kIndexType}, {"manifests", std::move(manifests)}});
}

Document madeIndex(const std::vector<const Named*>& images) {
  Document document{std::string(kIndexType), {}, indexOf(images)};
  document.digest = digestOf(document.bytes);
  return document;
}

}  // namespace

absl::StatusOr<json::value> readJson(const Files& files, const std::string& name) {
  BERTH_ASSIGN_OR_RETURN(const Content content, files.open(name));
  auto text = readAll(content, kMostDocumentBytes);
  if (!text.ok()) return support::annotate(text.status(), name);
  return support::parseJson(*text, name);
}

absl::StatusOr<std::shared_ptr<const ImageSet>> ImageSet::open(const std::string& path,
                                                               const Check& check) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) return support::errnoStatus(errno, strCat("open ", path));
  const bool isFolder = S_ISDIR(info.st_mode);
  absl::StatusOr<std::unique_ptr<Files>> files =
      isFolder ? openFolder(path) : openArchive(path, check);
  if (!files.ok()) return files.status();
  auto parts = read(std::shared_ptr<const Files>(*std::move(files)), check, isFolder);
  const std::string what = strCat("images in ", path);
  // A file that another one names: the set is there, but not whole.
  if (absl::IsNotFound(parts.status()))
    return support::annotate(absl::InvalidArgumentError(parts.status().message()), what);
  if (!parts.ok()) return support::annotate(parts.status(), what);
  return std::shared_ptr<const ImageSet>(new ImageSet(*std::move(parts)));
}

size_t ImageSet::bytes() const {
  constexpr size_t kNode = 64;
  constexpr size_t kDescriptor = 1024;
  size_t bytes = parts_.files->bytes();
  for (const Named& image : parts_.images) bytes += kDescriptor + image.name.size();
  for (const auto* blobs : {&parts_.written, &parts_.placed})
    for (const auto& [digest, text] : *blobs) bytes += kNode + digest.size() + text.size();
  return bytes;
}

Document ImageSet::everything() const {
  std::vector<const Named*> all;
  for (const Named& image : parts_.images) all.push_back(&image);
  return madeIndex(all);
}

absl::StatusOr<Document> ImageSet::find(std::string_view reference) const {
  if (const std::string_view digest = digestOfReference(reference); !digest.empty())
    return document(std::string(digest));
  std::vector<const Named*> found;
  for (const Named& image : parts_.images)
    if (!isBareTag(image.name) && image.name == reference) found.push_back(&image);
  if (found.empty()) return absl::NotFoundError("no image of that name");
  // The same name for each of several platforms.
  if (found.size() > 1) return madeIndex(found);
  return document(support::stringMember(found.front()->descriptor, "digest"));
}

absl::StatusOr<Content> ImageSet::locate(const std::string& digest) const {
  if (!isDigest(digest)) return absl::NotFoundError(strCat("no blob ", digest));
  const auto placed = parts_.placed.find(digest);
  if (placed != parts_.placed.end()) return parts_.files->open(placed->second);
  // "OCI Image Layout Specification", "Blobs": a folder for each algorithm.
  const std::string algorithm =
      parts_.folders ? strCat("blobs/", digest.substr(0, kDigestPrefix - 1), "/") : std::string();
  return parts_.files->open(strCat(algorithm, digest.substr(kDigestPrefix)));
}

absl::StatusOr<Document> ImageSet::document(const std::string& digest) const {
  Document document{{}, digest, {}};
  if (const auto written = parts_.written.find(digest); written != parts_.written.end()) {
    document.bytes = written->second;
  } else {
    BERTH_ASSIGN_OR_RETURN(const Content content, locate(digest));
    auto text = readAll(content, kMostDocumentBytes);
    if (!text.ok()) return support::annotate(text.status(), strCat("document ", digest));
    document.bytes = *std::move(text);
  }
  if (const std::string own = digestOf(document.bytes, digest); own != digest)
    return absl::DataLossError(strCat("the file of ", digest, " has the digest ", own));
  BERTH_ASSIGN_OR_RETURN(document.mediaType,
                         mediaTypeOf(document.bytes, strCat("document ", digest)));
  return document;
}

absl::Status ImageSet::blob(const std::string& digest, uint64_t from, const Check& check,
                            const std::function<absl::Status(std::string_view)>& take) const {
  if (const auto written = parts_.written.find(digest); written != parts_.written.end()) {
    const std::string_view bytes = written->second;
    return from < bytes.size() ? take(bytes.substr(static_cast<size_t>(from))) : absl::OkStatus();
  }
  BERTH_ASSIGN_OR_RETURN(const Content content, locate(digest));
  return readPieces(content, from, check, take);
}

}  // namespace berth::layout
