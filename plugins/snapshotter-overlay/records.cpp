#include "records.hpp"

#include <filesystem>
#include <system_error>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"

namespace berth::overlay {

using support::strCat;

namespace json = boost::json;

namespace {

// A higher version is left alone by an older plugin: it would not know what it overlooks.
constexpr int64_t kVersion = 1;

// No layer's implied directories take more, whatever their names need in JSON.
constexpr size_t kMostBytes = 64u << 20;

// Paths are bytes; JSON is text. Latin-1 keeps each byte.
std::string toText(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text.push_back(c);
    } else {
      text.push_back(static_cast<char>(0xc0 | (byte >> 6)));
      text.push_back(static_cast<char>(0x80 | (byte & 0x3f)));
    }
  }
  return text;
}

std::string fromText(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0xc2 && byte <= 0xc3 && i + 1 < text.size()) {
      bytes.push_back(static_cast<char>((byte << 6) | (text[++i] & 0x3f)));
    } else {
      bytes.push_back(text[i]);
    }
  }
  return bytes;
}

json::array encodeMappings(const IdRanges& mappings) {
  json::array list;
  for (const support::IdRange& range : mappings)
    list.push_back(json::array{range.inside, range.outside, range.length});
  return list;
}

absl::Status damaged(const std::string& path, std::string_view what) {
  return absl::DataLossError(strCat("read ", path, ": ", what));
}

absl::StatusOr<IdRanges> decodeMappings(const json::object& record, std::string_view key,
                                        const std::string& path) {
  IdRanges mappings;
  const json::array* list = support::arrayMember(record, key);
  if (list == nullptr) return damaged(path, strCat(key, " is missing"));
  for (const json::value& item : *list) {
    const json::array* numbers = item.if_array();
    uint32_t values[3] = {};
    if (numbers == nullptr || numbers->size() != 3)
      return damaged(path, strCat(key, " has an element that is no range of ids"));
    for (size_t i = 0; i < 3; ++i) {
      json::error_code error;
      values[i] = numbers->at(i).to_number<uint32_t>(error);
      if (error) return damaged(path, strCat(key, " has an element that is no range of ids"));
    }
    mappings.push_back({values[0], values[1], values[2]});
  }
  return mappings;
}

bool isTooLarge(const std::string& path) {
  std::error_code unknown;
  const uintmax_t size = std::filesystem::file_size(path, unknown);
  return !unknown && size > kMostBytes;
}

absl::StatusOr<json::object> readRecord(const std::string& path) {
  const absl::StatusOr<std::string> text = support::readFile(path, kMostBytes);
  // ENOTDIR and EISDIR: what stands there is something else.
  if (absl::IsFailedPrecondition(text.status()))
    return damaged(path, support::fromAbsl(text.status().message()));
  // It looks like a shortage, but would keep the plugin from starting for good.
  if (absl::IsResourceExhausted(text.status()) && isTooLarge(path))
    return damaged(path, strCat("it is larger than the limit of ", kMostBytes, " bytes"));
  BERTH_RETURN_IF_ERROR(text.status());
  absl::StatusOr<json::object> record = support::parseJsonObject(*text, path);
  if (!record.ok()) return damaged(path, support::fromAbsl(record.status().message()));
  const int64_t version = support::intMember(*record, "version");
  if (version > kVersion)
    return absl::FailedPreconditionError(
        strCat(path, " has the format ", version, " of a newer plugin; this one knows those up to ",
               kVersion, ": use the newer one, or remove it by hand"));
  if (version < 1) return damaged(path, "it has no format version");
  return record;
}

}  // namespace

bool sameSnapshot(const SnapshotRecord& one, const SnapshotRecord& other) {
  return one.key == other.key && one.layers == other.layers && one.readOnly == other.readOnly &&
         one.selinuxLabel == other.selinuxLabel && one.uidMappings == other.uidMappings &&
         one.gidMappings == other.gidMappings;
}

bool isDamage(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsNotFound(status);
}

std::string layerRecordPath(const std::string& directory) {
  return directory + "/layer.json";
}
std::string snapshotRecordPath(const std::string& directory) {
  return directory + "/snapshot.json";
}

std::string encode(const LayerRecord& record) {
  json::array implied;
  for (const std::string& path : record.impliedDirectories) implied.emplace_back(toText(path));
  json::object object{{"version", kVersion},
                      {"diffId", record.diffId},
                      {"bytes", record.usage.bytes},
                      {"inodes", record.usage.inodes},
                      {"impliedDirectories", std::move(implied)}};
  if (record.content)
    object["content"] =
        json::object{{"entries", record.content->entries}, {"checksum", record.content->checksum}};
  return json::serialize(object) + "\n";
}

std::string encode(const SnapshotRecord& record) {
  json::array layers;
  for (const std::string& layer : record.layers) layers.emplace_back(layer);
  return json::serialize(json::object{{"version", kVersion},
                                      {"key", record.key},
                                      {"layers", std::move(layers)},
                                      {"readOnly", record.readOnly},
                                      {"uidMappings", encodeMappings(record.uidMappings)},
                                      {"gidMappings", encodeMappings(record.gidMappings)},
                                      {"selinuxLabel", record.selinuxLabel}}) +
         "\n";
}

absl::StatusOr<LayerRecord> readLayerRecord(const std::string& directory) {
  const std::string path = layerRecordPath(directory);
  BERTH_ASSIGN_OR_RETURN(const json::object record, readRecord(path));
  LayerRecord layer;
  layer.diffId = support::stringMember(record, "diffId");
  const int64_t bytes = support::intMember(record, "bytes", -1);
  const int64_t inodes = support::intMember(record, "inodes", -1);
  if (layer.diffId.empty() || bytes < 0 || inodes < 0)
    return damaged(path, "diffId, bytes or inodes is missing");
  layer.usage = {static_cast<uint64_t>(bytes), static_cast<uint64_t>(inodes)};
  for (const std::string& implied : support::stringsMember(record, "impliedDirectories"))
    layer.impliedDirectories.push_back(fromText(implied));
  if (const json::object* content = support::objectMember(record, "content"))
    layer.content = {static_cast<uint64_t>(support::intMember(*content, "entries")),
                     static_cast<uint32_t>(support::intMember(*content, "checksum"))};
  return layer;
}

absl::StatusOr<SnapshotRecord> readSnapshotRecord(const std::string& directory) {
  const std::string path = snapshotRecordPath(directory);
  BERTH_ASSIGN_OR_RETURN(const json::object record, readRecord(path));
  SnapshotRecord snapshot;
  snapshot.key = support::stringMember(record, "key");
  if (snapshot.key.empty() || support::arrayMember(record, "layers") == nullptr)
    return damaged(path, "key or layers is missing");
  snapshot.layers = support::stringsMember(record, "layers");
  snapshot.readOnly = support::boolMember(record, "readOnly");
  snapshot.selinuxLabel = support::stringMember(record, "selinuxLabel");
  BERTH_ASSIGN_OR_RETURN(snapshot.uidMappings, decodeMappings(record, "uidMappings", path));
  BERTH_ASSIGN_OR_RETURN(snapshot.gidMappings, decodeMappings(record, "gidMappings", path));
  return snapshot;
}

}  // namespace berth::overlay
