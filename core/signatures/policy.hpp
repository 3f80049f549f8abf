// Who must have signed an image for it to run here: containers-policy.json(5).
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "images/reference.hpp"
#include "signatures/identity.hpp"
#include "signatures/openpgp.hpp"
#include "signatures/public_key.hpp"

namespace berth::signatures {

// What somebody has signed of an image, as it came.
struct Signature {
  enum class Kind { kSimple, kSigstore };
  Kind kind = Kind::kSimple;
  std::string payload;    // of kSimple: an OpenPGP message with it
  std::string signature;  // of kSigstore: in base64
};

// What is judged: an image by one of its names.
struct Subject {
  images::Reference name;            // with a tag or a digest
  std::string transport = "docker";  // where it comes from (containers-transports(5))
  std::string location;              // of other transports than docker: the absolute path
  std::vector<std::string> digests;  // its manifest, and indexes that name it: any may be signed
  std::vector<Signature> signatures;
};

struct Requirement {
  enum class Kind { kAccept, kReject, kSignedBy, kSigstoreSigned };
  Kind kind = Kind::kReject;
  SignedIdentity identity;
  std::vector<std::string> keyrings;  // of kSignedBy: OpenPGP public keys
  std::vector<PublicKey> keys;        // of kSigstoreSigned
};

// All of them must be met.
using Requirements = std::vector<Requirement>;

// Immutable, so thread-safe.
class Policy {
 public:
  // Reads a policy and the keys that it names. INVALID_ARGUMENT with the member's path for whatever
  // is not understood: a policy is whole, or it is none. Blocks on the file system, and on a
  // process for each requirement with OpenPGP keys.
  static absl::StatusOr<std::shared_ptr<const Policy>> load(const std::string& path,
                                                            const OpenPgp& openPgp);
  // The same of the text of one, which comes from `path`.
  static absl::StatusOr<std::shared_ptr<const Policy>> parse(std::string_view text,
                                                             const std::string& path,
                                                             const OpenPgp& openPgp);

  // Whether what is decided about the subject depends on signatures.
  bool needsSignatures(const Subject& subject) const;

  // PERMISSION_DENIED when the policy does not accept the subject: the policy's file, the scope,
  // the requirement and the reason for each signature. CANCELLED and DEADLINE_EXCEEDED as the
  // limits say. Blocks as long as verifying takes. Into `accepted` come the places of the subject's
  // signatures that it was accepted by; of OpenPGP signatures only the first sixteen are looked at.
  absl::Status check(const Subject& subject, const support::RunLimits& limits,
                     std::set<size_t>* accepted = nullptr) const;

  const std::string& path() const { return path_; }
  // What it was made of: its own text, and those of its keys.
  const std::vector<std::string>& texts() const { return texts_; }

 private:
  friend class PolicyReader;
  struct Found {
    std::string scope;  // for people
    const Requirements* requirements;
  };

  Policy(std::string path, const OpenPgp& openPgp) : path_(std::move(path)), openPgp_(openPgp) {}
  Found find(const Subject& subject) const;

  const std::string path_;
  const OpenPgp openPgp_;
  std::vector<std::string> texts_;
  Requirements default_;
  // By transport and scope; "" is the transport's own default.
  std::map<std::string, std::map<std::string, Requirements>> transports_;
};

}  // namespace berth::signatures
