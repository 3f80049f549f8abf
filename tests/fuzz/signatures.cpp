// Signature policies, what signatures say, and how registries attach them.
#include "attachments.hpp"
#include "images/reference.hpp"
#include "lookaside.hpp"
#include "signatures/payload.hpp"
#include "signatures/policy.hpp"
#include "signatures/scopes.hpp"
#include "target.hpp"

namespace berth::fuzz {
namespace {

void checkPolicy(std::string_view text) {
  // No file of this host is to be read, however its name is written.
  for (const std::string_view part : {"keyPath", "\\u"})
    if (text.find(part) != text.npos) return;
  const auto policy =
      signatures::Policy::parse(text, "policy.json", signatures::OpenPgp("/nonexistent"));
  if (!policy.ok()) return;
  signatures::Subject subject;
  subject.name = *images::parseReference("a.example/b:1");
  subject.digests = {"sha256:" + std::string(64, 'a')};
  const bool accepted = (*policy)->check(subject, {}).ok();
  demand(!(accepted && (*policy)->needsSignatures(subject)),
         "what needs signatures is not accepted without any");
}

void run(std::string_view text) {
  for (const auto kind : {signatures::PayloadKind::kSimple, signatures::PayloadKind::kSigstore}) {
    const auto claim = signatures::parsePayload(text, kind);
    if (!claim.ok()) continue;
    demand(claim->digest.size() == 71, "a signature is for a digest");
    const auto asked = images::parseReference("a.example/b:1");
    (void)signatures::SignedIdentity().matches(*asked, claim->name);
  }
  checkPolicy(text);
  const auto remapped = signatures::SignedIdentity::remap("a.example", text);
  if (remapped.ok()) (void)remapped->matches(*images::parseReference("a.example/b:1"), text);
  for (const std::string_view transport : {"docker", "oci"}) {
    if (signatures::checkScope(transport, text).ok() && transport == "oci" && !text.empty())
      demand(text.front() == '/', "a scope of files is a path");
  }
  if (const auto name = images::parseReference(text); name.ok())
    demand(signatures::scopesOf("docker", "", *name).size() >= 3,
           "an image, its repository and its registry are scopes");
  const auto attached = registry::parseAttachments(text);
  if (attached.ok())
    for (const auto& one : *attached)
      demand(one.digest.size() >= 71, "an attachment can be fetched");
  const auto store = registry::parseLookaside(text);
  if (store.ok()) demand(store->url.has_value() != !store->folder.empty(), "one of both");
}

std::string payload(const std::string& type, const std::string& optional) {
  return R"({"critical":{"identity":{"docker-reference":"a.example/b:1"},"image":)"
         R"({"docker-manifest-digest":"sha256:)" +
         std::string(64, 'a') + R"("},"type":")" + type + R"("},"optional":)" + optional + "}";
}

std::vector<std::string> seeds() {
  return {
      payload("atomic container signature", R"({"creator":"x","timestamp":1700000000})"),
      payload("cosign container image signature", "null"),
      R"({"default":[{"type":"reject"}],"transports":{"docker":{"a.example":[)"
      R"({"type":"signedBy","keyType":"GPGKeys","keyData":"aGVsbG8=","signedIdentity":)"
      R"({"type":"remapIdentity","prefix":"a.example","signedPrefix":"b.example/c"}}]}}})",
      R"({"default":[{"type":"insecureAcceptAnything"}],"transports":{"docker":{"*.example":[)"
      R"({"type":"sigstoreSigned","keyDatas":["aGVsbG8="],"signedIdentity":)"
      R"({"type":"exactReference","dockerReference":"a.example/b:1"}}]},"oci":{"/var":[)"
      R"({"type":"insecureAcceptAnything"}]},"docker-archive":{"":[{"type":"reject"}]}}})",
      R"({"schemaVersion":2,"layers":[{"mediaType":)"
      R"("application/vnd.dev.cosign.simplesigning.v1+json","size":200,"digest":"sha256:)" +
          std::string(64, 'b') +
          R"(","annotations":{"dev.cosignproject.cosign/signature":"AA=="}}]})",
      "a.example:5000/b/c:1",
      "/var/images",
      "file:///var/lib/sigstore",
  };
}

}  // namespace

const Target kSignatures{run, seeds};

}  // namespace berth::fuzz
