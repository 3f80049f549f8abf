#include "images/manifest.hpp"

#include <algorithm>
#include <sys/utsname.h>

#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "common/host_facts.hpp"
#include "images/digest.hpp"

namespace berth::images {

namespace json = boost::json;
using support::strCat;

namespace {

constexpr size_t kMaxLayers = 1000;
constexpr size_t kMaxEntries = 10000;

// More than any layer has, and a thousand of them are a number still.
constexpr int64_t kMostBytes = int64_t{1} << 40;

std::map<std::string, std::string> annotationsOf(const json::object& object) {
  std::map<std::string, std::string> annotations;
  const json::object* members = support::objectMember(object, "annotations");
  if (members == nullptr) return annotations;
  for (const auto& [key, text] : *members)
    if (text.is_string()) annotations[std::string(key)] = std::string(text.get_string());
  return annotations;
}

absl::StatusOr<plugins::Descriptor> parseDescriptor(const json::value& value,
                                                    std::string_view where) {
  const json::object* object = value.if_object();
  if (object == nullptr) return absl::InvalidArgumentError(strCat(where, " is no object"));
  plugins::Descriptor descriptor;
  descriptor.mediaType = support::stringMember(*object, "mediaType");
  descriptor.digest = support::stringMember(*object, "digest");
  if (!isDigest(descriptor.digest)) {
    return absl::InvalidArgumentError(strCat(where, ".digest \"",
                                             support::oneLine(descriptor.digest, 100),
                                             "\" is no sha256 or sha512 digest"));
  }
  const int64_t size = support::intMember(*object, "size", -1);
  if (size < 0) return absl::InvalidArgumentError(strCat(where, ".size is missing or negative"));
  if (size > kMostBytes)
    return absl::InvalidArgumentError(strCat(where, ".size is more than ", kMostBytes, " bytes"));
  descriptor.size = static_cast<uint64_t>(size);
  descriptor.urls = support::stringsMember(*object, "urls");
  descriptor.annotations = annotationsOf(*object);
  return descriptor;
}

absl::StatusOr<Manifest> parseManifest(const json::object& document) {
  Manifest manifest;
  BERTH_ASSIGN_OR_RETURN(manifest.config, parseDescriptor(document.at("config"), "config"));
  const json::array* layers = support::arrayMember(document, "layers");
  if (layers == nullptr) return absl::InvalidArgumentError("layers is missing or no array");
  if (layers->size() > kMaxLayers) {
    return absl::InvalidArgumentError(
        strCat("it has ", layers->size(), " layers; at most ", kMaxLayers, " are taken"));
  }
  for (const json::value& layer : *layers) {
    BERTH_ASSIGN_OR_RETURN(plugins::Descriptor descriptor,
                           parseDescriptor(layer, strCat("layers[", manifest.layers.size(), "]")));
    manifest.layers.push_back(std::move(descriptor));
  }
  manifest.annotations = annotationsOf(document);
  return manifest;
}

absl::StatusOr<Index> parseIndex(const json::array& entries) {
  if (entries.size() > kMaxEntries) {
    return absl::InvalidArgumentError(strCat("it has ", entries.size(), " manifests"));
  }
  Index index;
  for (const json::value& value : entries) {
    IndexEntry entry;
    BERTH_ASSIGN_OR_RETURN(entry.descriptor,
                           parseDescriptor(value, strCat("manifests[", index.entries.size(), "]")));
    if (const json::object* platform = support::objectMember(value.get_object(), "platform")) {
      entry.platform = {support::stringMember(*platform, "os"),
                        support::stringMember(*platform, "architecture"),
                        support::stringMember(*platform, "variant")};
    }
    index.entries.push_back(std::move(entry));
  }
  return index;
}

// "v8" → 8; what says nothing counts as the architecture's base line.
int variantRank(const Platform& platform) {
  if (platform.variant.size() > 1 && platform.variant[0] == 'v') {
    return std::atoi(platform.variant.c_str() + 1);
  }
  if (platform.architecture == "arm64") return 8;
  if (platform.architecture == "arm") return 7;
  return 1;
}

// One spelling of one platform: linux/arm64/v8 is linux/arm64.
Platform withoutBaseLine(const Platform& platform) {
  const Platform plain{platform.os, platform.architecture, ""};
  return variantRank(platform) == variantRank(plain) ? plain : platform;
}

}  // namespace

std::string Platform::text() const {
  return variant.empty() ? strCat(os, "/", architecture)
                         : strCat(os, "/", architecture, "/", variant);
}

absl::StatusOr<Platform> parsePlatform(std::string_view text) {
  if (text.empty()) {
    utsname host{};
    if (::uname(&host) != 0) return support::errnoStatus(errno, "ask for the host's architecture");
    return Platform{"linux", common::architectureName(host.machine), ""};
  }
  const std::vector<std::string> parts = absl::StrSplit(support::toAbsl(text), '/');
  if (parts.size() < 2 || parts.size() > 3 || parts[0].empty() || parts[1].empty()) {
    return absl::InvalidArgumentError(
        strCat("\"", text, "\" is no platform such as linux/amd64 or linux/arm64/v8"));
  }
  return Platform{parts[0], parts[1], parts.size() == 3 ? parts[2] : ""};
}

absl::StatusOr<std::string> platformBeside(const Platform& standard, std::string_view text) {
  if (text.empty()) return std::string();
  BERTH_ASSIGN_OR_RETURN(const Platform platform, parsePlatform(text));
  const Platform plain = withoutBaseLine(platform);
  return plain == withoutBaseLine(standard) ? std::string() : plain.text();
}

bool isCheckpoint(const std::map<std::string, std::string>& annotations) {
  return std::any_of(kCheckpointAnnotations.begin(), kCheckpointAnnotations.end(),
                     [&](std::string_view key) { return annotations.contains(std::string(key)); });
}

absl::StatusOr<std::variant<Manifest, Index>> parseDocument(std::string_view text,
                                                            std::string_view mediaType) {
  BERTH_ASSIGN_OR_RETURN(const json::object document, support::parseJsonObject(text, "manifest"));
  const int64_t version = support::intMember(document, "schemaVersion");
  if (version == 1) {
    return absl::InvalidArgumentError(
        "it is a Docker manifest of schema 1, which was withdrawn in 2017 for lack of safety; "
        "push the image again with a current tool");
  }
  if (version != 2) {
    return absl::InvalidArgumentError(strCat("its schemaVersion is ", version, " instead of 2"));
  }
  if (document.contains("config")) {
    BERTH_ASSIGN_OR_RETURN(Manifest manifest, parseManifest(document));
    return std::variant<Manifest, Index>(std::move(manifest));
  }
  if (const json::array* manifests = support::arrayMember(document, "manifests")) {
    BERTH_ASSIGN_OR_RETURN(Index index, parseIndex(*manifests));
    return std::variant<Manifest, Index>(std::move(index));
  }
  return absl::InvalidArgumentError(strCat("a document of the type ",
                                           support::oneLine(mediaType, 256),
                                           " is neither a manifest nor an index"));
}

absl::StatusOr<plugins::Descriptor> choose(const Index& index, const Platform& wanted) {
  const IndexEntry* best = nullptr;
  std::vector<std::string> offered;
  for (const IndexEntry& entry : index.entries) {
    const Platform& platform = entry.platform;
    offered.push_back(support::oneLine(platform.text(), 64));
    // An entry that says nothing is taken when nothing better is there.
    const bool unsaid = platform.os.empty() && platform.architecture.empty();
    if (unsaid) {
      if (best == nullptr) best = &entry;
      continue;
    }
    if (platform.os != wanted.os || platform.architecture != wanted.architecture) continue;
    // A wanted platform without a variant is the base line: code for more might not run.
    const int rank = variantRank(platform);
    if (rank > variantRank(wanted)) continue;
    const bool better =
        best == nullptr || best->platform.os.empty() || rank > variantRank(best->platform);
    if (better) best = &entry;
  }
  if (best == nullptr) {
    return absl::NotFoundError(strCat("the image has nothing for ", wanted.text(),
                                      "; it offers: ", absl::StrJoin(offered, ", ")));
  }
  return best->descriptor;
}

}  // namespace berth::images
