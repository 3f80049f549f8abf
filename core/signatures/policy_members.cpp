#include "signatures/policy_members.hpp"

#include <algorithm>

#include <absl/strings/escaping.h>
#include <absl/strings/str_join.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"

namespace berth::signatures {

namespace json = boost::json;
using support::strCat;

namespace {

constexpr size_t kMostKeyBytes = 8u << 20;

bool isPlain(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_';
  });
}

absl::StatusOr<std::string> readKeyFile(const json::value& value, std::string_view place) {
  const json::string* path = value.if_string();
  if (path == nullptr) return wrongMember(place, "is no string");
  if (!path->starts_with('/')) return wrongMember(place, "is no absolute path");
  auto text = support::readFile(std::string(path->data(), path->size()), kMostKeyBytes);
  if (!text.ok()) return wrongMember(place, support::fromAbsl(text.status().message()));
  return text;
}

absl::StatusOr<std::string> decodeKey(const json::value& value, std::string_view place) {
  const json::string* text = value.if_string();
  if (text == nullptr) return wrongMember(place, "is no string");
  std::string bytes;
  if (text->empty() || !absl::Base64Unescape(absl::string_view(text->data(), text->size()), &bytes))
    return wrongMember(place, "is no base64");
  return bytes;
}

absl::StatusOr<std::string> keyOf(std::string_view member, const json::value& value,
                                  std::string_view place) {
  return member.starts_with("keyPath") ? readKeyFile(value, place) : decodeKey(value, place);
}

absl::StatusOr<SignedIdentity> identityOf(const json::object& object, const std::string& type,
                                          const std::string& place) {
  using Kind = SignedIdentity::Kind;
  const auto plain = [&](Kind kind) -> absl::StatusOr<SignedIdentity> {
    BERTH_RETURN_IF_ERROR(allow(object, place, {"type"}));
    return SignedIdentity(kind);
  };
  if (type == "matchExact") return plain(Kind::kMatchExact);
  if (type == "matchRepoDigestOrExact") return plain(Kind::kMatchRepoDigestOrExact);
  if (type == "matchRepository") return plain(Kind::kMatchRepository);
  if (type == "exactReference") {
    BERTH_RETURN_IF_ERROR(allow(object, place, {"type", "dockerReference"}));
    BERTH_ASSIGN_OR_RETURN(const std::string text, textAt(object, "dockerReference", place));
    return SignedIdentity::exactReference(text);
  }
  if (type == "exactRepository") {
    BERTH_RETURN_IF_ERROR(allow(object, place, {"type", "dockerRepository"}));
    BERTH_ASSIGN_OR_RETURN(const std::string text, textAt(object, "dockerRepository", place));
    return SignedIdentity::exactRepository(text);
  }
  if (type == "remapIdentity") {
    BERTH_RETURN_IF_ERROR(allow(object, place, {"type", "prefix", "signedPrefix"}));
    BERTH_ASSIGN_OR_RETURN(const std::string prefix, textAt(object, "prefix", place));
    BERTH_ASSIGN_OR_RETURN(const std::string other, textAt(object, "signedPrefix", place));
    return SignedIdentity::remap(prefix, other);
  }
  return wrongMember(placeOf(place, "type"), strCat("\"", type, "\" is not known"));
}

}  // namespace

absl::Status wrongMember(std::string_view place, std::string_view problem) {
  return absl::InvalidArgumentError(strCat(place, ": ", support::oneLine(problem, 400)));
}

std::string placeOf(std::string_view parent, std::string_view member) {
  const std::string name =
      isPlain(member) ? std::string(member) : strCat("\"", support::oneLine(member, 200), "\"");
  return parent.empty() ? name : strCat(parent, ".", name);
}

absl::StatusOr<const json::object*> objectAt(const json::value& value, std::string_view place) {
  const json::object* object = value.if_object();
  if (object == nullptr) return wrongMember(place, "is no object");
  return object;
}

absl::StatusOr<std::string> textAt(const json::object& object, std::string_view member,
                                   std::string_view place) {
  const json::value* value = object.if_contains(member);
  if (value == nullptr) return wrongMember(place, strCat("has no \"", member, "\""));
  const json::string* text = value->if_string();
  if (text == nullptr) return wrongMember(placeOf(place, member), "is no string");
  return std::string(text->data(), text->size());
}

absl::Status allow(const json::object& object, std::string_view place,
                   std::initializer_list<std::string_view> members) {
  for (const auto& [key, value] : object) {
    const std::string_view name(key.data(), key.size());
    if (std::find(members.begin(), members.end(), name) == members.end())
      return wrongMember(placeOf(place, name), "is not known here");
  }
  return absl::OkStatus();
}

absl::StatusOr<SignedIdentity> signedIdentityOf(const json::object& object,
                                                std::string_view parent) {
  const json::value* value = object.if_contains("signedIdentity");
  if (value == nullptr) return SignedIdentity();
  const std::string place = placeOf(parent, "signedIdentity");
  BERTH_ASSIGN_OR_RETURN(const json::object* identity, objectAt(*value, place));
  BERTH_ASSIGN_OR_RETURN(const std::string type, textAt(*identity, "type", place));
  auto result = identityOf(*identity, type, place);
  if (!result.ok()) return support::annotate(result.status(), place);
  return result;
}

absl::StatusOr<std::vector<KeyText>> keyTexts(const json::object& object, std::string_view parent,
                                              std::initializer_list<std::string_view> members) {
  std::vector<KeyText> keys;
  size_t given = 0;
  for (const std::string_view member : members) {
    const json::value* value = object.if_contains(member);
    if (value == nullptr) continue;
    ++given;
    const std::string place = placeOf(parent, member);
    if (!member.ends_with('s')) {
      BERTH_ASSIGN_OR_RETURN(std::string text, keyOf(member, *value, place));
      keys.push_back({place, std::move(text)});
      continue;
    }
    const json::array* list = value->if_array();
    if (list == nullptr || list->empty()) return wrongMember(place, "is no list with an element");
    for (const json::value& one : *list) {
      const std::string at = strCat(place, "[", &one - list->begin(), "]");
      BERTH_ASSIGN_OR_RETURN(std::string text, keyOf(member, one, at));
      keys.push_back({at, std::move(text)});
    }
  }
  if (given == 1) return keys;
  std::vector<std::string> names;
  for (const std::string_view member : members) names.emplace_back(member);
  return wrongMember(parent, strCat("needs exactly one of ", absl::StrJoin(names, ", ")));
}

}  // namespace berth::signatures
