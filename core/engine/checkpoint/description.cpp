#include "engine/checkpoint/description.hpp"

#include <absl/time/time.h>
#include <boost/json/serialize.hpp>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "engine/checkpoint/names.hpp"

namespace berth::checkpoint {

namespace json = boost::json;
using support::strCat;

namespace {

constexpr size_t kDocumentBytes = 16u << 20;

std::string timeText(int64_t nanoseconds) {
  return absl::FormatTime(absl::RFC3339_full, absl::FromUnixNanos(nanoseconds),
                          absl::UTCTimeZone());
}

// A time that cannot be read is not known.
int64_t timeMember(const json::object& document, std::string_view key) {
  absl::Time time;
  const std::string text = support::stringMember(document, key);
  return absl::ParseTime(absl::RFC3339_full, text, &time, nullptr) ? absl::ToUnixNanos(time) : 0;
}

absl::StatusOr<std::string> readDocument(const std::string& directory, std::string_view name) {
  auto text = support::readFile(strCat(directory, "/", name), kDocumentBytes);
  if (absl::IsNotFound(text.status())) {
    return absl::InvalidArgumentError(strCat("this is no checkpoint: it has no ", name));
  }
  return text;
}

}  // namespace

std::string configDump(const Description& description) {
  return json::serialize(json::object{{"id", description.id},
                                      {"name", description.name},
                                      {"rootfsImage", description.image},
                                      {"rootfsImageRef", description.imageRef},
                                      {"rootfsImageName", description.imageName},
                                      {"runtime", description.runtime},
                                      {"checkpointFormat", description.format},
                                      {"createdTime", timeText(description.createdAt)},
                                      {"checkpointedTime", timeText(description.checkpointedAt)},
                                      {"restoredTime", "0001-01-01T00:00:00Z"},
                                      {"restored", description.restored}});
}

absl::StatusOr<Description> parseConfigDump(std::string_view text) {
  BERTH_ASSIGN_OR_RETURN(const json::object document, support::parseJsonObject(text, kConfigDump));
  Description result{.id = support::stringMember(document, "id"),
                     .name = support::stringMember(document, "name"),
                     .image = support::stringMember(document, "rootfsImage"),
                     .imageRef = support::stringMember(document, "rootfsImageRef"),
                     .imageName = support::stringMember(document, "rootfsImageName"),
                     .runtime = support::stringMember(document, "runtime"),
                     .format = support::stringMember(document, "checkpointFormat", "criu"),
                     .createdAt = timeMember(document, "createdTime"),
                     .checkpointedAt = timeMember(document, "checkpointedTime"),
                     .restored = support::boolMember(document, "restored")};
  if (result.imageRef.empty() && result.imageName.empty()) {
    return absl::InvalidArgumentError(
        strCat(kConfigDump, " names no image: it has neither rootfsImageRef nor rootfsImageName"));
  }
  return result;
}

absl::StatusOr<Tree> readTree(const std::string& directory) {
  Tree tree{.directory = directory};
  BERTH_ASSIGN_OR_RETURN(const std::string config, readDocument(directory, kConfigDump));
  BERTH_ASSIGN_OR_RETURN(tree.description, parseConfigDump(config));
  BERTH_ASSIGN_OR_RETURN(const std::string spec, readDocument(directory, kSpecDump));
  BERTH_ASSIGN_OR_RETURN(tree.spec, support::parseJsonObject(spec, kSpecDump));
  const auto images = support::listDirectory(strCat(directory, "/", kImageFolder));
  if (!images.ok() || images->empty()) {
    return absl::InvalidArgumentError(
        strCat("this is no checkpoint: it has no files in ", kImageFolder, "/"));
  }
  return tree;
}

}  // namespace berth::checkpoint
