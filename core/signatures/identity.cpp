#include "signatures/identity.hpp"

#include "berth/support/status.hpp"

namespace berth::signatures {

using images::Reference;
using support::strCat;

namespace {

bool namesNoImage(const Reference& reference) {
  return reference.tag.empty() && reference.digest.empty();
}

bool isSame(const Reference& one, const Reference& other) {
  return one.name() == other.name() && one.tag == other.tag && one.digest == other.digest;
}

// That the digests fit has been seen to elsewhere: a signature is for one of the image's.
bool matchesExactlyOrByDigest(const Reference& asked, const Reference& named) {
  if (namesNoImage(named)) return false;
  return asked.digest.empty() ? isSame(asked, named) : asked.name() == named.name();
}

// A registry, or a registry and a path below it, complete as names are compared.
absl::Status checkPrefix(std::string_view prefix) {
  const std::string below = strCat(prefix, "/x");
  const auto name = images::parseNamed(below);
  if (name.ok() && (name->registry == prefix || name->name() == below)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      strCat("\"", prefix, "\" is no registry, namespace or repository in its complete form"));
}

// "a.example/b/c" when `prefix` is "a.example" or "a.example/b", and not when it is "a.exa".
bool isBelow(const std::string& name, const std::string& prefix) {
  return name.starts_with(prefix) && (name.size() == prefix.size() || name[prefix.size()] == '/');
}

}  // namespace

absl::StatusOr<SignedIdentity> SignedIdentity::exactReference(std::string_view reference) {
  SignedIdentity identity(Kind::kExactReference);
  BERTH_ASSIGN_OR_RETURN(identity.wanted_, images::parseNamed(reference));
  if (namesNoImage(identity.wanted_))
    return absl::InvalidArgumentError(strCat("\"", reference, "\" has neither tag nor digest"));
  return identity;
}

absl::StatusOr<SignedIdentity> SignedIdentity::exactRepository(std::string_view repository) {
  SignedIdentity identity(Kind::kExactRepository);
  BERTH_ASSIGN_OR_RETURN(identity.wanted_, images::parseNamed(repository));
  return identity;
}

absl::StatusOr<SignedIdentity> SignedIdentity::remap(std::string_view prefix,
                                                     std::string_view signedPrefix) {
  for (const std::string_view one : {prefix, signedPrefix}) BERTH_RETURN_IF_ERROR(checkPrefix(one));
  SignedIdentity identity(Kind::kRemapIdentity);
  identity.prefix_ = prefix;
  identity.signedPrefix_ = signedPrefix;
  return identity;
}

bool SignedIdentity::matches(const Reference& given, std::string_view signedName) const {
  const auto named = images::parseNamed(signedName);
  if (!named.ok()) return false;
  Reference asked = given;
  if (!asked.digest.empty()) asked.tag.clear();
  switch (kind_) {
    case Kind::kMatchExact:
      return !namesNoImage(asked) && isSame(asked, *named);
    case Kind::kMatchRepoDigestOrExact:
      return matchesExactlyOrByDigest(asked, *named);
    case Kind::kMatchRepository:
      return asked.name() == named->name();
    case Kind::kExactReference:
      return isSame(wanted_, *named);
    case Kind::kExactRepository:
      return wanted_.name() == named->name();
    case Kind::kRemapIdentity:
      break;
  }
  if (!isBelow(asked.name(), prefix_)) return matchesExactlyOrByDigest(asked, *named);
  const std::string remapped = strCat(signedPrefix_, asked.name().substr(prefix_.size()));
  const auto parsed = images::parseNamed(remapped);
  // A prefix can make a name that is short for another one, which nobody has asked for.
  if (!parsed.ok() || parsed->name() != remapped) return false;
  asked.registry = parsed->registry;
  asked.repository = parsed->repository;
  return matchesExactlyOrByDigest(asked, *named);
}

}  // namespace berth::signatures
