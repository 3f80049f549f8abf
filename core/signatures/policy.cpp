#include "signatures/policy.hpp"

#include <algorithm>

#include <absl/strings/escaping.h>
#include <absl/strings/str_join.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "signatures/payload.hpp"
#include "signatures/policy_reader.hpp"
#include "signatures/scopes.hpp"

namespace berth::signatures {

using support::fromAbsl;
using support::strCat;

namespace {

constexpr size_t kMostPolicyBytes = 4u << 20;
constexpr size_t kMostReasons = 8;  // in a message
// Each costs a process, and whoever may write to a repository may put any number there.
constexpr size_t kMostMessages = 16;

std::string_view nameOf(Requirement::Kind kind) {
  switch (kind) {
    case Requirement::Kind::kAccept:
      return "insecureAcceptAnything";
    case Requirement::Kind::kReject:
      return "reject";
    case Requirement::Kind::kSignedBy:
      return "signedBy";
    case Requirement::Kind::kSigstoreSigned:
      break;
  }
  return "sigstoreSigned";
}

// Judges one image by one requirement.
class Judge {
 public:
  Judge(const Requirement& requirement, const Subject& subject, const OpenPgp& openPgp,
        const support::RunLimits& limits, std::set<size_t>* accepted)
      : requirement_(requirement),
        subject_(subject),
        openPgp_(openPgp),
        limits_(limits),
        accepted_(accepted) {}

  // PERMISSION_DENIED with the reason.
  absl::Status judge() const {
    switch (requirement_.kind) {
      case Requirement::Kind::kAccept:
        return absl::OkStatus();
      case Requirement::Kind::kReject:
        return absl::PermissionDeniedError("it rejects every image");
      case Requirement::Kind::kSignedBy:
        return anyOf(Signature::Kind::kSimple, "simple signing");
      case Requirement::Kind::kSigstoreSigned:
        break;
    }
    return anyOf(Signature::Kind::kSigstore, "sigstore");
  }

 private:
  // One good signature is enough.
  absl::Status anyOf(Signature::Kind kind, std::string_view kindName) const {
    std::vector<std::string> reasons;
    size_t number = 0;
    std::string end;
    for (const Signature& signature : subject_.signatures) {
      if (signature.kind != kind) continue;
      if (kind == Signature::Kind::kSimple && number == kMostMessages) {
        end = strCat("; only the first ", kMostMessages, " are looked at");
        break;
      }
      ++number;
      absl::Status accepted = accept(signature);
      if (accepted.ok() && accepted_ != nullptr)
        accepted_->insert(static_cast<size_t>(&signature - subject_.signatures.data()));
      if (accepted.ok() || absl::IsCancelled(accepted)) return accepted;
      if (ended()) return absl::DeadlineExceededError("the time for verifying signatures is over");
      reasons.push_back(strCat("signature ", number, ": ", fromAbsl(accepted.message())));
    }
    if (reasons.empty())
      return absl::PermissionDeniedError(
          strCat("the image has no signature of that kind (", kindName, ")"));
    if (reasons.size() > kMostReasons) {
      const size_t more = reasons.size() - kMostReasons;
      reasons.resize(kMostReasons);
      reasons.push_back(strCat(more, " more"));
    }
    return absl::PermissionDeniedError(strCat(absl::StrJoin(reasons, "; "), end));
  }

  bool ended() const { return std::chrono::steady_clock::now() >= limits_.deadline; }

  absl::Status accept(const Signature& signature) const {
    const bool simple = signature.kind == Signature::Kind::kSimple;
    BERTH_ASSIGN_OR_RETURN(const std::string payload,
                           simple ? openPgp_.open(requirement_.keyrings, signature.payload, limits_)
                                  : verified(signature));
    BERTH_ASSIGN_OR_RETURN(
        const Claim claim,
        parsePayload(payload, simple ? PayloadKind::kSimple : PayloadKind::kSigstore));
    const auto& digests = subject_.digests;
    if (std::find(digests.begin(), digests.end(), claim.digest) == digests.end())
      return absl::InvalidArgumentError(strCat("it is for another image, ", claim.digest));
    if (!requirement_.identity.matches(subject_.name, claim.name))
      return absl::InvalidArgumentError(strCat("it is for the name \"",
                                               support::oneLine(claim.name, 256),
                                               "\", which signedIdentity does not accept"));
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> verified(const Signature& signature) const {
    std::string bytes;
    if (!absl::Base64Unescape(signature.signature, &bytes))
      return absl::InvalidArgumentError("it is no base64");
    for (const PublicKey& key : requirement_.keys) {
      if (key.verify(signature.payload, bytes).ok()) return signature.payload;
    }
    return absl::InvalidArgumentError("it is of no key of the policy");
  }

  const Requirement& requirement_;
  const Subject& subject_;
  const OpenPgp& openPgp_;
  const support::RunLimits& limits_;
  std::set<size_t>* const accepted_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Policy>> Policy::load(const std::string& path,
                                                           const OpenPgp& openPgp) {
  auto text = support::readFile(path, kMostPolicyBytes);
  if (!text.ok()) return support::annotate(text.status(), "read the signature policy");
  return parse(*text, path, openPgp);
}

absl::StatusOr<std::shared_ptr<const Policy>> Policy::parse(std::string_view text,
                                                            const std::string& path,
                                                            const OpenPgp& openPgp) {
  auto policy = PolicyReader(path, openPgp).read(text);
  if (!policy.ok()) return support::annotate(policy.status(), strCat("signature policy ", path));
  return policy;
}

Policy::Found Policy::find(const Subject& subject) const {
  const auto transport = transports_.find(subject.transport);
  if (transport == transports_.end()) return {"default", &default_};
  std::vector<std::string> scopes = scopesOf(subject.transport, subject.location, subject.name);
  scopes.emplace_back();
  for (const std::string& scope : scopes) {
    const auto found = transport->second.find(scope);
    if (found != transport->second.end())
      return {strCat("scope ", subject.transport, " \"", scope, "\""), &found->second};
  }
  return {"default", &default_};
}

bool Policy::needsSignatures(const Subject& subject) const {
  const Requirements& all = *find(subject).requirements;
  const auto is = [&](Requirement::Kind kind) {
    return std::any_of(all.begin(), all.end(), [&](const auto& one) { return one.kind == kind; });
  };
  return !is(Requirement::Kind::kReject) &&
         (is(Requirement::Kind::kSignedBy) || is(Requirement::Kind::kSigstoreSigned));
}

absl::Status Policy::check(const Subject& subject, const support::RunLimits& limits,
                           std::set<size_t>* accepted) const {
  const Found found = find(subject);
  for (const Requirement& requirement : *found.requirements) {
    absl::Status judged = Judge(requirement, subject, openPgp_, limits, accepted).judge();
    if (judged.ok()) continue;
    if (!absl::IsPermissionDenied(judged)) return judged;
    return absl::PermissionDeniedError(
        strCat("image ", subject.name.full(), " is not accepted by ", path_, ", ", found.scope,
               ", requirement ", &requirement - found.requirements->data() + 1, " (",
               nameOf(requirement.kind), "): ", fromAbsl(judged.message())));
  }
  return absl::OkStatus();
}

}  // namespace berth::signatures
