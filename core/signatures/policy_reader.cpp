#include "signatures/policy_reader.hpp"

#include "berth/support/status.hpp"
#include "signatures/policy_members.hpp"
#include "signatures/scopes.hpp"
#include "signatures/strict_json.hpp"

namespace berth::signatures {

namespace json = boost::json;
using support::strCat;

namespace {

// What is known and not done here: a policy that relies on it must not seem to be in force.
absl::Status refuseCertificates(const json::object& object, const std::string& place) {
  for (const std::string_view member :
       {"fulcio", "pki", "rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData",
        "rekorPublicKeyDatas"}) {
    if (object.if_contains(member) == nullptr) continue;
    return wrongMember(placeOf(place, member),
                       "certificates and transparency logs (Fulcio, Rekor) are not supported; "
                       "name public keys instead");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Policy>> PolicyReader::read(std::string_view text) {
  texts_.emplace_back(text);
  BERTH_ASSIGN_OR_RETURN(const json::value document, parseStrictJson(text, "the policy"));
  BERTH_ASSIGN_OR_RETURN(const json::object* top, objectAt(document, "the policy"));
  BERTH_RETURN_IF_ERROR(allow(*top, "", {"default", "transports"}));
  std::shared_ptr<Policy> policy(new Policy(path_, openPgp_));
  const json::value* standard = top->if_contains("default");
  if (standard == nullptr) return wrongMember("default", "is missing");
  BERTH_ASSIGN_OR_RETURN(policy->default_, requirements(*standard, "default"));
  if (const json::value* transports = top->if_contains("transports"); transports != nullptr) {
    BERTH_ASSIGN_OR_RETURN(const json::object* members, objectAt(*transports, "transports"));
    for (const auto& [key, value] : *members) {
      const std::string transport(key.data(), key.size());
      BERTH_RETURN_IF_ERROR(readScopes(value, transport, policy->transports_[transport]));
    }
  }
  policy->texts_ = std::move(texts_);
  return std::shared_ptr<const Policy>(std::move(policy));
}

absl::Status PolicyReader::readScopes(const json::value& value, const std::string& transport,
                                      std::map<std::string, Requirements>& out) {
  const std::string parent = placeOf("transports", transport);
  BERTH_ASSIGN_OR_RETURN(const json::object* scopes, objectAt(value, parent));
  for (const auto& [key, listed] : *scopes) {
    const std::string scope(key.data(), key.size());
    const std::string place = placeOf(parent, scope);
    BERTH_RETURN_IF_ERROR(support::annotate(checkScope(transport, scope), place));
    const auto [slot, isNew] = out.try_emplace(comparableScope(transport, scope));
    if (!isNew) return wrongMember(place, "is there twice, in capitals too");
    BERTH_ASSIGN_OR_RETURN(slot->second, requirements(listed, place));
  }
  return absl::OkStatus();
}

absl::StatusOr<Requirements> PolicyReader::requirements(const json::value& value,
                                                        const std::string& place) {
  const json::array* list = value.if_array();
  // Without a requirement it would accept everything, and look as if it did not.
  if (list == nullptr || list->empty())
    return wrongMember(place, "is no list with at least one requirement");
  Requirements all;
  for (size_t i = 0; i < list->size(); ++i) {
    BERTH_ASSIGN_OR_RETURN(Requirement one, requirement((*list)[i], strCat(place, "[", i, "]")));
    all.push_back(std::move(one));
  }
  return all;
}

absl::StatusOr<Requirement> PolicyReader::requirement(const json::value& value,
                                                      const std::string& place) {
  BERTH_ASSIGN_OR_RETURN(const json::object* object, objectAt(value, place));
  BERTH_ASSIGN_OR_RETURN(const std::string type, textAt(*object, "type", place));
  Requirement one;
  if (type == "insecureAcceptAnything" || type == "reject") {
    BERTH_RETURN_IF_ERROR(allow(*object, place, {"type"}));
    one.kind = type == "reject" ? Requirement::Kind::kReject : Requirement::Kind::kAccept;
    return one;
  }
  if (type != "signedBy" && type != "sigstoreSigned")
    return wrongMember(placeOf(place, "type"), strCat("\"", type, "\" is not supported"));
  BERTH_RETURN_IF_ERROR(type == "signedBy" ? readKeyrings(*object, place, one)
                                           : readKeys(*object, place, one));
  BERTH_ASSIGN_OR_RETURN(one.identity, signedIdentityOf(*object, place));
  return one;
}

absl::Status PolicyReader::readKeyrings(const json::object& object, const std::string& place,
                                        Requirement& out) {
  out.kind = Requirement::Kind::kSignedBy;
  BERTH_RETURN_IF_ERROR(allow(
      object, place, {"type", "keyType", "keyPath", "keyPaths", "keyData", "signedIdentity"}));
  BERTH_ASSIGN_OR_RETURN(const std::string kind, textAt(object, "keyType", place));
  if (kind != "GPGKeys")
    return wrongMember(placeOf(place, "keyType"),
                       strCat("\"", kind, "\" is not supported; \"GPGKeys\" is"));
  BERTH_ASSIGN_OR_RETURN(std::vector<KeyText> keys,
                         keyTexts(object, place, {"keyPath", "keyPaths", "keyData"}));
  for (KeyText& key : keys) {
    texts_.push_back(key.text);
    out.keyrings.push_back(std::move(key.text));
  }
  const absl::Status checked = openPgp_.checkKeyrings(out.keyrings, {});
  return checked.ok() ? checked : support::annotate(checked, place);
}

absl::Status PolicyReader::readKeys(const json::object& object, const std::string& place,
                                    Requirement& out) {
  out.kind = Requirement::Kind::kSigstoreSigned;
  BERTH_RETURN_IF_ERROR(refuseCertificates(object, place));
  BERTH_RETURN_IF_ERROR(allow(
      object, place, {"type", "keyPath", "keyPaths", "keyData", "keyDatas", "signedIdentity"}));
  BERTH_ASSIGN_OR_RETURN(const std::vector<KeyText> keys,
                         keyTexts(object, place, {"keyPath", "keyPaths", "keyData", "keyDatas"}));
  for (const KeyText& one : keys) {
    auto key = PublicKey::parse(one.text);
    if (!key.ok()) return support::annotate(key.status(), one.place);
    out.keys.push_back(*std::move(key));
    texts_.push_back(one.text);
  }
  return absl::OkStatus();
}

}  // namespace berth::signatures
