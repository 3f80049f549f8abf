#include "common/image_config.hpp"

#include <algorithm>

#include <absl/status/status.h>
#include <boost/json.hpp>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"

namespace berth::common {
namespace {

namespace bj = boost::json;

// Reads members of one object, strictly by type; remembers the first that is wrong.
class Reader {
 public:
  Reader(const bj::object& object, std::string path, std::string_view what)
      : object_(object), path_(std::move(path)), what_(what) {}

  void text(std::string_view key, std::string& out) {
    if (const bj::value* value = member(key)) copyText(*value, name(key), out);
  }

  void flag(std::string_view key, bool& out) {
    const bj::value* value = member(key);
    if (value == nullptr) return;
    if (const bool* found = value->if_bool())
      out = *found;
    else
      fail(name(key), "true or false", *value);
  }

  void texts(std::string_view key, std::vector<std::string>& out) {
    const bj::array* array = arrayMember(key);
    if (array == nullptr) return;
    out.resize(array->size());
    for (size_t i = 0; i < array->size(); ++i)
      copyText((*array)[i], support::strCat(name(key), "[", i, "]"), out[i]);
  }

  // The keys of an object whose values mean nothing ("Volumes", "ExposedPorts").
  void keys(std::string_view key, std::vector<std::string>& out) {
    const bj::object* object = objectMember(key);
    if (object == nullptr) return;
    for (const auto& entry : *object) out.emplace_back(entry.key());
    std::sort(out.begin(), out.end());
  }

  void textMap(std::string_view key, std::map<std::string, std::string>& out) {
    const bj::object* object = objectMember(key);
    if (object == nullptr) return;
    for (const auto& entry : *object) {
      std::string& text = out[std::string(entry.key())];
      if (!entry.value().is_null())
        copyText(entry.value(), support::strCat(name(key), ".", std::string_view(entry.key())),
                 text);
    }
  }

  const bj::object* objectMember(std::string_view key) {
    const bj::value* value = member(key);
    if (value == nullptr) return nullptr;
    if (!value->is_object()) fail(name(key), "an object", *value);
    return value->if_object();
  }

  const bj::array* arrayMember(std::string_view key) {
    const bj::value* value = member(key);
    if (value == nullptr) return nullptr;
    if (!value->is_array()) fail(name(key), "an array", *value);
    return value->if_array();
  }

  void fail(const std::string& where, std::string_view expected, const bj::value& found) {
    if (!status_.ok()) return;
    const bj::string_view kind = bj::to_string(found.kind());
    status_ = absl::InvalidArgumentError(
        support::strCat("parse ", what_, ": ", where, " must be ", expected, ", not ",
                        std::string_view(kind.data(), kind.size())));
  }

  const absl::Status& status() const { return status_; }

 private:
  // Null counts as missing: Docker writes it for whatever is unset.
  const bj::value* member(std::string_view key) const {
    const bj::value* value = object_.if_contains(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }

  std::string name(std::string_view key) const { return support::strCat(path_, key); }

  void copyText(const bj::value& value, const std::string& where, std::string& out) {
    if (const bj::string* found = value.if_string())
      out.assign(found->data(), found->size());
    else
      fail(where, "a string", value);
  }

  const bj::object& object_;
  std::string path_;
  std::string_view what_;
  absl::Status status_;
};

// OCI image specification, "Digests": with one of the registered algorithms.
bool isDigest(std::string_view text) {
  constexpr size_t kPrefix = 7;
  const size_t digits = text.starts_with("sha256:") ? 64 : text.starts_with("sha512:") ? 128 : 0;
  return digits != 0 && text.size() == kPrefix + digits &&
         text.find_first_not_of("0123456789abcdef", kPrefix) == text.npos;
}

absl::Status readRun(const bj::object& object, std::string_view what, ImageConfig& out) {
  Reader reader(object, "config.", what);
  reader.texts("Env", out.environment);
  reader.texts("Entrypoint", out.entrypoint);
  reader.texts("Cmd", out.command);
  reader.text("User", out.user);
  reader.text("WorkingDir", out.workingDirectory);
  reader.text("StopSignal", out.stopSignal);
  reader.keys("Volumes", out.volumes);
  reader.keys("ExposedPorts", out.exposedPorts);
  reader.textMap("Labels", out.labels);
  return reader.status();
}

absl::Status readRootfs(const bj::object& object, std::string_view what, ImageConfig& out) {
  Reader reader(object, "rootfs.", what);
  std::string type;
  reader.text("type", type);
  reader.texts("diff_ids", out.diffIds);
  BERTH_RETURN_IF_ERROR(reader.status());
  if (!type.empty() && type != "layers")
    return absl::InvalidArgumentError(
        support::strCat("parse ", what, ": rootfs.type must be \"layers\", not \"", type, "\""));
  for (size_t i = 0; i < out.diffIds.size(); ++i)
    if (!isDigest(out.diffIds[i]))
      return absl::InvalidArgumentError(support::strCat("parse ", what, ": rootfs.diff_ids[", i,
                                                        "] is not a sha256 or sha512 digest: \"",
                                                        out.diffIds[i], "\""));
  return absl::OkStatus();
}

absl::Status readHistory(const bj::array& array, std::string_view what, ImageConfig& out) {
  for (size_t i = 0; i < array.size(); ++i) {
    const bj::object* object = array[i].if_object();
    if (object == nullptr)
      return absl::InvalidArgumentError(
          support::strCat("parse ", what, ": history[", i, "] must be an object"));
    Reader reader(*object, support::strCat("history[", i, "]."), what);
    ImageHistory entry;
    reader.text("created", entry.created);
    reader.text("created_by", entry.createdBy);
    reader.text("author", entry.author);
    reader.text("comment", entry.comment);
    reader.flag("empty_layer", entry.emptyLayer);
    BERTH_RETURN_IF_ERROR(reader.status());
    out.history.push_back(std::move(entry));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ImageConfig> parseImageConfig(std::string_view text, std::string_view what) {
  BERTH_ASSIGN_OR_RETURN(const bj::object document, support::parseJsonObject(text, what));
  ImageConfig config;
  Reader reader(document, "", what);
  reader.text("architecture", config.architecture);
  reader.text("os", config.os);
  reader.text("variant", config.variant);
  reader.text("created", config.created);
  reader.text("author", config.author);
  const bj::object* run = reader.objectMember("config");
  const bj::object* rootfs = reader.objectMember("rootfs");
  const bj::array* history = reader.arrayMember("history");
  BERTH_RETURN_IF_ERROR(reader.status());
  if (run != nullptr) BERTH_RETURN_IF_ERROR(readRun(*run, what, config));
  if (rootfs != nullptr) BERTH_RETURN_IF_ERROR(readRootfs(*rootfs, what, config));
  if (history != nullptr) BERTH_RETURN_IF_ERROR(readHistory(*history, what, config));
  return config;
}

}  // namespace berth::common
