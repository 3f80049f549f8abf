#include "signatures/payload.hpp"

#include <cmath>
#include <initializer_list>

#include <boost/json.hpp>

#include "berth/support/status.hpp"
#include "images/digest.hpp"
#include "signatures/strict_json.hpp"

namespace berth::signatures {

namespace json = boost::json;
using support::strCat;

namespace {

constexpr size_t kMostBytes = 64u << 10;

absl::Status wrong(std::string_view why) {
  return absl::InvalidArgumentError(strCat("what is signed is not understood: ", why));
}

std::string_view typeOf(PayloadKind kind) {
  return kind == PayloadKind::kSimple ? "atomic container signature"
                                      : "cosign container image signature";
}

// The value as an object with exactly these members.
absl::StatusOr<const json::object*> objectWith(const json::value& value, std::string_view path,
                                               std::initializer_list<std::string_view> members) {
  const json::object* object = value.if_object();
  if (object == nullptr) return wrong(strCat(path, " is no object"));
  for (const std::string_view member : members)
    if (object->if_contains(member) == nullptr)
      return wrong(strCat(path, " has no member \"", member, "\""));
  if (object->size() != members.size()) return wrong(strCat(path, " has other members too"));
  return object;
}

absl::StatusOr<std::string> textOf(const json::object& object, std::string_view member) {
  const json::string* text = object.at(member).if_string();
  if (text == nullptr) return wrong(strCat("\"", member, "\" is no string"));
  return std::string(text->data(), text->size());
}

// Says who made the signature and when, by their own account: checked for its form alone.
absl::Status checkOptional(const json::value& value, PayloadKind kind) {
  if (kind == PayloadKind::kSigstore && value.is_null()) return absl::OkStatus();
  const json::object* object = value.if_object();
  if (object == nullptr) return wrong("\"optional\" is no object");
  if (const json::value* creator = object->if_contains("creator"); creator && !creator->is_string())
    return wrong("\"creator\" is no string");
  const json::value* time = object->if_contains("timestamp");
  if (time == nullptr || time->is_int64() || time->is_uint64()) return absl::OkStatus();
  if (time->is_double() && std::trunc(time->get_double()) == time->get_double())
    return absl::OkStatus();
  return wrong("\"timestamp\" is no whole number");
}

}  // namespace

absl::StatusOr<Claim> parsePayload(std::string_view text, PayloadKind kind) {
  if (text.size() > kMostBytes) return wrong(strCat("it has more than ", kMostBytes, " bytes"));
  BERTH_ASSIGN_OR_RETURN(const json::value document, parseStrictJson(text, "what is signed"));
  BERTH_ASSIGN_OR_RETURN(const json::object* top,
                         objectWith(document, "it", {"critical", "optional"}));
  BERTH_RETURN_IF_ERROR(checkOptional(top->at("optional"), kind));
  BERTH_ASSIGN_OR_RETURN(
      const json::object* critical,
      objectWith(top->at("critical"), "\"critical\"", {"type", "image", "identity"}));
  BERTH_ASSIGN_OR_RETURN(const std::string type, textOf(*critical, "type"));
  if (type != typeOf(kind)) return wrong(strCat("its type is not \"", typeOf(kind), "\""));
  BERTH_ASSIGN_OR_RETURN(const json::object* image, objectWith(critical->at("image"), "\"image\"",
                                                               {"docker-manifest-digest"}));
  BERTH_ASSIGN_OR_RETURN(
      const json::object* identity,
      objectWith(critical->at("identity"), "\"identity\"", {"docker-reference"}));
  Claim claim;
  BERTH_ASSIGN_OR_RETURN(claim.digest, textOf(*image, "docker-manifest-digest"));
  if (!images::isDigest(claim.digest)) return wrong("its digest is no SHA-256 digest");
  BERTH_ASSIGN_OR_RETURN(claim.name, textOf(*identity, "docker-reference"));
  return claim;
}

}  // namespace berth::signatures
