#include "images/acceptance.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <absl/strings/str_join.h>

#include "berth/support/status.hpp"
#include "common/log.hpp"

namespace berth::images {

using signatures::Policy;
using signatures::Subject;
using support::fromAbsl;
using support::strCat;

namespace {

constexpr std::string_view kRefused = "SignatureValidationFailed";
constexpr int kMostSignatures = 256;
constexpr size_t kMostSignatureBytes = 2u << 20;
// Whoever may write to one repository must not drive out the signatures of others.
constexpr size_t kMostOfADocument = 32;
constexpr size_t kMostBytesOfADocument = 256u << 10;
constexpr size_t kMostOfARepository = 64;
constexpr int kMostOrigins = 32;

support::RunLimits limitsOf(const plugins::Operation& op) {
  support::RunLimits limits;
  limits.deadline = op.deadline();
  limits.cancelFd = op.cancelFd();
  return limits;
}

absl::Status refused(const absl::Status& reason) {
  return absl::UnknownError(strCat(kRefused, ": ", fromAbsl(reason.message())));
}

// What is no refusal stays what it is: the caller's time was over.
absl::Status judged(const absl::Status& checked) {
  const bool ended = absl::IsCancelled(checked) || absl::IsDeadlineExceeded(checked);
  return checked.ok() || ended ? checked : refused(checked);
}

bool isSame(const records::SignatureRecord& one, const records::SignatureRecord& other) {
  return one.kind() == other.kind() && one.payload() == other.payload() &&
         one.signature() == other.signature() && one.repository() == other.repository() &&
         one.digest() == other.digest();
}

bool isSame(const records::ImageOriginRecord& one, const records::ImageOriginRecord& other) {
  return one.transport() == other.transport() && one.location() == other.location();
}

template <class Field, class Record>
void addNew(Field& field, const Record& one, int most) {
  const auto same = [&](const Record& other) { return isSame(one, other); };
  if (field.size() < most && std::none_of(field.begin(), field.end(), same)) *field.Add() = one;
}

void keep(const std::vector<plugins::ImageSignature>& signatures, const std::string& repository,
          const std::string& digest, records::ImageRecord& record) {
  for (const plugins::ImageSignature& one : signatures) {
    records::SignatureRecord kept;
    kept.set_repository(repository);
    kept.set_digest(digest);
    kept.set_kind(one.kind);
    kept.set_payload(one.payload);
    kept.set_signature(one.signature);
    addNew(*record.mutable_signatures(), kept, kMostSignatures);
  }
}

// Everything but the name and where it comes from. A document of which the record has a digest has
// been seen to name the manifest when it was pulled.
Subject subjectOf(const records::ImageRecord& record) {
  Subject subject;
  subject.digests.push_back(record.manifest_digest());
  for (const std::string& name : record.digests()) {
    std::string digest = name.substr(name.find('@') + 1);
    if (digest != record.manifest_digest()) subject.digests.push_back(std::move(digest));
  }
  for (const records::SignatureRecord& one : record.signatures()) {
    using Kind = signatures::Signature::Kind;
    if (one.kind() == BERTH_SIGNATURE_SIMPLE)
      subject.signatures.push_back({Kind::kSimple, one.payload(), {}});
    if (one.kind() == BERTH_SIGNATURE_SIGSTORE)
      subject.signatures.push_back({Kind::kSigstore, one.payload(), one.signature()});
  }
  return subject;
}

// Which document of which repository the signature was found for.
using Place = std::pair<std::string, std::string>;

Place placeOf(const records::SignatureRecord& one) {
  return {one.repository(), one.digest()};
}

size_t bytesOf(const records::SignatureRecord& one) {
  return one.payload().size() + one.signature().size();
}

// What has been accepted is looked at first, the next time, and is the last to go for want of room.
void putFirst(const Subject& subject, const std::set<size_t>& accepted,
              records::ImageRecord& record) {
  google::protobuf::RepeatedPtrField<records::SignatureRecord> sorted;
  struct Taken {
    size_t count = 0;
    size_t bytes = 0;
  };
  std::map<Place, Taken> places;
  for (const bool first : {true, false}) {
    for (const records::SignatureRecord& one : record.signatures()) {
      const bool isFirst = std::any_of(accepted.begin(), accepted.end(), [&](size_t index) {
        const signatures::Signature& good = subject.signatures[index];
        return good.payload == one.payload() &&
               (good.kind == signatures::Signature::Kind::kSimple ||
                good.signature == one.signature());
      });
      if (isFirst != first) continue;
      Taken& taken = places[placeOf(one)];
      if (!first &&
          (taken.count >= kMostOfADocument || taken.bytes + bytesOf(one) > kMostBytesOfADocument))
        continue;
      ++taken.count;
      taken.bytes += bytesOf(one);
      *sorted.Add() = one;
    }
  }
  *record.mutable_signatures() = std::move(sorted);
}

std::vector<plugins::ImageOrigin> originsOf(const records::ImageRecord& record) {
  std::vector<plugins::ImageOrigin> origins;
  for (const records::ImageOriginRecord& one : record.origins())
    origins.push_back({one.transport(), one.location()});
  if (origins.empty()) origins.emplace_back();
  return origins;
}

// Whether the image may be run by this name: it may have come by it from any of its origins.
absl::Status checkName(const Policy& policy, Subject& subject,
                       const std::vector<plugins::ImageOrigin>& origins,
                       const support::RunLimits& limits) {
  std::vector<std::string> reasons;
  for (const plugins::ImageOrigin& origin : origins) {
    subject.transport = origin.transport;
    subject.location = origin.location;
    absl::Status checked = policy.check(subject, limits);
    if (!absl::IsPermissionDenied(checked)) return checked;
    reasons.emplace_back(fromAbsl(checked.message()));
  }
  return absl::PermissionDeniedError(absl::StrJoin(reasons, "; "));
}

// An id is no name (ImageService::find).
bool isIdOf(const records::ImageRecord& record, std::string_view text) {
  constexpr size_t kShortest = 7;
  std::string_view digits = record.id();
  const std::string_view algorithm = digits.substr(0, digits.find(':') + 1);
  digits.remove_prefix(algorithm.size());
  if (text.starts_with(algorithm)) text.remove_prefix(algorithm.size());
  return text.size() >= kShortest && digits.starts_with(text);
}

std::vector<std::string> namesOf(const records::ImageRecord& record) {
  std::vector<std::string> names(record.tags().begin(), record.tags().end());
  names.insert(names.end(), record.digests().begin(), record.digests().end());
  return names;
}

}  // namespace

absl::Status Acceptance::admit(const plugins::Operation& op, const Origin& origin,
                               const Reference& reference, const std::string& digest,
                               records::ImageRecord& record) const {
  if (!reference.digest.empty() && reference.digest != digest)
    return absl::DataLossError(strCat("pull ", reference.full(), ": the source gave ", digest));
  if (!reference.tag.empty() && reference.digest.empty()) record.add_tags(reference.tagged());
  const std::string byDigest = strCat(reference.name(), "@", digest);
  const auto& known = record.digests();
  if (std::find(known.begin(), known.end(), byDigest) == known.end()) record.add_digests(byDigest);

  const std::shared_ptr<const Policy> policy = policy_.load();
  auto found = origin.source->origin(op, origin.request, digest);
  if (!found.ok() && policy != nullptr) return found.status();
  if (found.ok()) {
    records::ImageOriginRecord kept;
    kept.set_transport(found->transport);
    kept.set_location(found->location);
    addNew(*record.mutable_origins(), kept, kMostOrigins);
  }
  if (policy == nullptr) return absl::OkStatus();
  const plugins::ImageOrigin place = *std::move(found);

  Subject subject = subjectOf(record);
  subject.name = reference;
  subject.transport = place.transport;
  subject.location = place.location;
  if (std::find(subject.digests.begin(), subject.digests.end(), digest) == subject.digests.end())
    subject.digests.push_back(digest);
  const bool needed = policy->needsSignatures(subject);
  // What is refused whoever has signed it is refused before anybody is asked.
  if (!needed) BERTH_RETURN_IF_ERROR(judged(policy->check(subject, limitsOf(op))));
  for (const std::string& one : subject.digests) {
    const auto given = origin.source->signatures(op, origin.request, one);
    if (given.ok()) {
      keep(*given, reference.name(), one, record);
    } else if (needed) {
      return support::annotate(given.status(), strCat("get the signatures of ", reference.full()));
    } else {
      // The policy may want them later, and then the image has to be pulled again.
      common::logInfo("the signatures of an image cannot be kept",
                      {{"image", reference.full()}, {"error", given.status().ToString()}});
    }
  }
  subject.signatures = subjectOf(record).signatures;
  std::set<size_t> accepted;
  BERTH_RETURN_IF_ERROR(judged(policy->check(subject, limitsOf(op), &accepted)));
  putFirst(subject, accepted, record);
  return absl::OkStatus();
}

absl::Status Acceptance::check(const plugins::Operation& op, const records::ImageRecord& record,
                               const std::vector<std::string>& names) const {
  const std::shared_ptr<const Policy> policy = policy_.load();
  if (policy == nullptr) return absl::OkStatus();
  Subject subject = subjectOf(record);
  const std::vector<plugins::ImageOrigin> origins = originsOf(record);
  bool named = false;
  for (const std::string& name : names) {
    if (name.empty() || isIdOf(record, name)) continue;
    named = true;
    BERTH_ASSIGN_OR_RETURN(subject.name, parseReference(name));
    BERTH_RETURN_IF_ERROR(judged(checkName(*policy, subject, origins, limitsOf(op))));
  }
  if (named) return absl::OkStatus();
  absl::Status last = absl::PermissionDeniedError(
      strCat("image ", record.id(), " has no name by which ", policy->path(), " could judge it"));
  for (const std::string& name : namesOf(record)) {
    BERTH_ASSIGN_OR_RETURN(subject.name, parseReference(name));
    last = checkName(*policy, subject, origins, limitsOf(op));
    if (last.ok()) return last;
  }
  return judged(last);
}

void mergeSignatures(const records::ImageRecord& old, records::ImageRecord& into) {
  for (const auto& one : old.origins()) addNew(*into.mutable_origins(), one, kMostOrigins);
  std::set<Place> renewed;
  std::map<std::string, size_t> counts;  // by repository
  size_t bytes = 0;
  const auto count = [&](const records::SignatureRecord& one) {
    ++counts[one.repository()];
    bytes += bytesOf(one);
  };
  for (const auto& one : into.signatures()) {
    renewed.insert(placeOf(one));
    count(one);
  }
  for (const auto& one : old.signatures()) {
    // Of what has been asked for anew only the answer counts.
    if (!one.repository().empty() && renewed.contains(placeOf(one))) continue;
    if (counts[one.repository()] >= kMostOfARepository ||
        bytesOf(one) + bytes > kMostSignatureBytes)
      continue;
    count(one);
    addNew(*into.mutable_signatures(), one, kMostSignatures);
  }
}

}  // namespace berth::images
