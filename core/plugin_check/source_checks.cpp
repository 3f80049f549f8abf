// Checks of image sources, with an image that the user names.
#include <algorithm>
#include <ctime>

#include <boost/json.hpp>

#include "berth/plugin.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "plugin_check/check.hpp"
#include "plugin_check/digest.hpp"
#include "plugin_check/probe.hpp"
#include "plugin_check/session.hpp"
#include "plugin_check/wider.hpp"

namespace berth::check {

namespace json = boost::json;
using support::strCat;

namespace {

constexpr uint64_t kLimit = 8u << 20;  // bytes of a manifest
constexpr size_t kAtOnce = 8;

// A started source and the image.
struct SourceBed {
  Probe& probe;
  std::unique_ptr<Session> session;
  plugins::Operation op{"check", soon(std::chrono::seconds(50))};

  plugins::ImageSource& plugin() { return session->source(); }
  plugins::ImageRequest image() const { return {.reference = probe.settings().reference}; }
};

std::unique_ptr<SourceBed> begin(Probe& probe) {
  if (probe.settings().reference.empty()) {
    probe.skip("no image is named (--reference)");
    return nullptr;
  }
  auto session = Session::begin(probe);
  if (session == nullptr) return nullptr;
  return std::unique_ptr<SourceBed>(new SourceBed{probe, std::move(session)});
}

// "registry/app" of "registry/app:tag@digest".
std::string repositoryOf(const std::string& reference) {
  std::string name = reference.substr(0, reference.find('@'));
  const size_t colon = name.rfind(':');
  if (colon != std::string::npos && name.find('/', colon) == std::string::npos) name.resize(colon);
  return name;
}

std::string unknownReference(const Settings& settings) {
  if (!settings.unknownReference.empty()) return settings.unknownReference;
  return strCat(repositoryOf(settings.reference), ":berth-plugin-check-has-no-such-tag");
}

absl::StatusOr<plugins::Descriptor> descriptorOf(const json::value& given) {
  if (!given.is_object()) return absl::DataLossError("a descriptor is no object");
  plugins::Descriptor descriptor;
  descriptor.mediaType = support::stringMember(given.get_object(), "mediaType");
  descriptor.digest = support::stringMember(given.get_object(), "digest");
  descriptor.size = static_cast<uint64_t>(support::intMember(given.get_object(), "size"));
  return descriptor;
}

absl::StatusOr<std::string> fetch(SourceBed& bed, const plugins::Descriptor& descriptor,
                                  uint64_t offset = 0) {
  std::string bytes;
  BERTH_RETURN_IF_ERROR(
      bed.plugin().fetch(bed.op, bed.image(), descriptor, offset, [&](std::string_view piece) {
        bytes += piece;
        return absl::OkStatus();
      }));
  return bytes;
}

// The blobs of the image's manifest, or of the first one of its index.
absl::StatusOr<std::vector<plugins::Descriptor>> blobsOf(SourceBed& bed) {
  bed.probe.step("resolve");
  BERTH_ASSIGN_OR_RETURN(const plugins::Resolved resolved,
                         bed.plugin().resolve(bed.op, bed.image(), kLimit));
  BERTH_ASSIGN_OR_RETURN(json::object document,
                         support::parseJsonObject(resolved.document, "the document"));
  if (const json::value* manifests = document.if_contains("manifests")) {
    if (!manifests->is_array() || manifests->get_array().empty())
      return absl::DataLossError("an index without manifests");
    BERTH_ASSIGN_OR_RETURN(const plugins::Descriptor first,
                           descriptorOf(manifests->get_array().front()));
    bed.probe.step("fetch a manifest");
    BERTH_ASSIGN_OR_RETURN(const std::string text, fetch(bed, first));
    BERTH_ASSIGN_OR_RETURN(document, support::parseJsonObject(text, "the manifest"));
  }
  std::vector<plugins::Descriptor> blobs;
  if (const json::value* config = document.if_contains("config")) {
    BERTH_ASSIGN_OR_RETURN(const plugins::Descriptor blob, descriptorOf(*config));
    blobs.push_back(blob);
  }
  if (const json::value* layers = document.if_contains("layers"); layers && layers->is_array()) {
    for (const json::value& layer : layers->get_array()) {
      BERTH_ASSIGN_OR_RETURN(const plugins::Descriptor blob, descriptorOf(layer));
      blobs.push_back(blob);
    }
  }
  if (blobs.empty()) return absl::DataLossError("a manifest without blobs");
  return blobs;
}

// The largest blob; none, and the probe is told, when there is none to be had.
std::optional<plugins::Descriptor> largestBlob(SourceBed& bed) {
  const auto blobs = blobsOf(bed);
  if (!blobs.ok()) {
    bed.probe.skip(
        strCat("no blob of the image is known: ", support::fromAbsl(blobs.status().message())));
    return std::nullopt;
  }
  return *std::max_element(blobs->begin(), blobs->end(),
                           [](const auto& a, const auto& b) { return a.size < b.size; });
}

void checkResolve(Probe& probe) {
  const auto bed = begin(probe);
  if (bed == nullptr) return;
  probe.step("serves");
  probe.expect(bed->plugin().serves(bed->image().reference),
               strCat("does not serve ", bed->image().reference));
  probe.step("resolve");
  const auto resolved = bed->plugin().resolve(bed->op, bed->image(), kLimit);
  if (!probe.succeeds(resolved.status(), "resolve")) return;
  probe.expect(resolved->descriptor.digest == digestOf(resolved->document),
               strCat("resolve gives the digest ", resolved->descriptor.digest,
                      " for a document of ", digestOf(resolved->document)));
  probe.expect(resolved->descriptor.size == resolved->document.size(),
               strCat("resolve gives the size ", resolved->descriptor.size, " for a document of ",
                      resolved->document.size()));
  probe.expect(!resolved->descriptor.mediaType.empty(), "resolve gives no media type");
  probe.succeeds(support::parseJsonObject(resolved->document, "document").status(),
                 "read the document");
  const std::string exact =
      strCat(repositoryOf(bed->image().reference), "@", resolved->descriptor.digest);
  probe.step(strCat("resolve ", exact));
  const auto again = bed->plugin().resolve(bed->op, {.reference = exact}, kLimit);
  if (probe.succeeds(again.status(), strCat("resolve ", exact)))
    probe.expect(again->document == resolved->document,
                 "resolve by digest gives another document than by tag");
  probe.step("resolve with a limit below the size");
  probe.fails(bed->plugin().resolve(bed->op, bed->image(), resolved->document.size() - 1).status(),
              "resolve with a limit below the size", {absl::StatusCode::kResourceExhausted});
}

void checkFetch(Probe& probe) {
  const auto bed = begin(probe);
  if (bed == nullptr) return;
  const auto blobs = blobsOf(*bed);
  if (!blobs.ok()) return probe.skip(support::fromAbsl(blobs.status().message()));
  for (const plugins::Descriptor& blob : *blobs) {
    probe.step(strCat("fetch ", blob.digest));
    const auto bytes = fetch(*bed, blob);
    if (!probe.succeeds(bytes.status(), strCat("fetch ", blob.digest))) continue;
    probe.expect(bytes->size() == blob.size, strCat("fetch of ", blob.digest, " writes ",
                                                    bytes->size(), " bytes of ", blob.size));
    probe.expect(
        digestOf(*bytes) == blob.digest,
        strCat("fetch of ", blob.digest, " writes what has the digest ", digestOf(*bytes)));
  }
}

void checkRange(Probe& probe) {
  const auto bed = begin(probe);
  if (bed == nullptr) return;
  const auto blob = largestBlob(*bed);
  if (!blob.has_value()) return;
  const auto whole = fetch(*bed, *blob);
  if (!whole.ok()) return probe.skip(support::fromAbsl(whole.status().message()));
  for (const uint64_t offset : {uint64_t{1}, blob->size / 2, blob->size - 1}) {
    probe.step(strCat("fetch from ", offset));
    const auto rest = fetch(*bed, *blob, offset);
    if (probe.succeeds(rest.status(), strCat("fetch from ", offset)))
      probe.expect(*rest == std::string_view(*whole).substr(offset),
                   strCat("fetch from ", offset, " does not write the blob's bytes from there on"));
  }
  probe.step("fetch from the end");
  const auto nothing = fetch(*bed, *blob, blob->size);
  probe.expect(!nothing.ok() || nothing->empty(), "fetch from the end writes bytes");
}

void checkUnknown(Probe& probe) {
  const auto bed = begin(probe);
  if (bed == nullptr) return;
  // A registry tells nobody without rights what there is not.
  const auto codes = {absl::StatusCode::kNotFound, absl::StatusCode::kUnauthenticated,
                      absl::StatusCode::kPermissionDenied};
  const std::string nowhere = "sha256:" + std::string(64, '0');
  for (const std::string& reference :
       {unknownReference(probe.settings()),
        strCat(repositoryOf(probe.settings().reference), "@", nowhere)}) {
    probe.step(strCat("resolve ", reference));
    probe.fails(bed->plugin().resolve(bed->op, {.reference = reference}, kLimit).status(),
                strCat("resolve ", reference), codes);
  }
  plugins::Descriptor blob;
  blob.mediaType = "application/vnd.oci.image.layer.v1.tar+gzip";
  blob.digest = nowhere;
  blob.size = 100;
  probe.step("fetch of a blob that there is not");
  probe.fails(fetch(*bed, blob).status(), "fetch of a blob that there is not", codes);
}

void checkSink(Probe& probe) {
  const auto bed = begin(probe);
  if (bed == nullptr) return;
  const auto blob = largestBlob(*bed);
  if (!blob.has_value()) return;
  int writes = 0;
  probe.step("fetch into a sink that takes nothing");
  const absl::Status status =
      bed->plugin().fetch(bed->op, bed->image(), *blob, 0, [&](std::string_view) {
        ++writes;
        return absl::ResourceExhaustedError("the disk is full");
      });
  probe.fails(status, "fetch into a sink that takes nothing",
              {absl::StatusCode::kResourceExhausted});
  probe.expect(writes == 1,
               strCat("a sink that has failed was written to ", writes - 1, " times more"));
}

void checkCancellation(Probe& probe) {
  const auto bed = begin(probe);
  if (bed == nullptr) return;
  const auto blob = largestBlob(*bed);
  if (!blob.has_value()) return;
  judgeCancelledBefore(probe, "resolve", [&](const plugins::Operation& op) {
    return bed->plugin().resolve(op, bed->image(), kLimit).status();
  });
  const auto stalled = [&](const plugins::Operation& op) {
    return bed->plugin().fetch(op, bed->image(), *blob, 0, [&](std::string_view) {
      const timespec moment{0, 1000000};
      while (op.check().ok()) ::nanosleep(&moment, nullptr);
      return op.check();
    });
  };
  judgeCancelledBefore(probe, "fetch", stalled);
  judgeCancelledDuring(probe, "fetch", stalled);
  judgeDeadline(probe, "fetch", stalled);
}

void checkErrors(Probe& probe) {
  const auto bed = begin(probe);
  if (bed == nullptr) return;
  for (const std::string& reference : {std::string(), std::string(":::"), std::string(9000, 'a'),
                                       std::string("UPPER/../case@sha256:short")}) {
    const std::string shown = reference.substr(0, 30);
    probe.step(strCat("serves ", shown));
    bed->plugin().serves(reference);
    probe.step(strCat("resolve ", shown));
    probe.fails(bed->plugin().resolve(bed->op, {.reference = reference}, kLimit).status(),
                strCat("resolve of \"", shown, "\""));
  }
  plugins::Descriptor odd;
  for (const char* digest : {"", "sha256:", "md5:0123", "../../etc/passwd"}) {
    odd.digest = digest;
    odd.size = 10;
    probe.step(strCat("fetch of the digest ", digest));
    probe.fails(fetch(*bed, odd).status(), strCat("fetch of the digest \"", digest, "\""));
  }
}

void checkConcurrent(Probe& probe) {
  const auto bed = begin(probe);
  if (bed == nullptr) return;
  const auto blobs = blobsOf(*bed);
  if (!blobs.ok()) return probe.skip(support::fromAbsl(blobs.status().message()));
  probe.step("resolve and fetch from several threads");
  probe.succeeds(
      support::inParallel(2 * kAtOnce, kAtOnce,
                          [&](size_t i) -> absl::Status {
                            if (i % 2 == 0) {
                              return bed->plugin().resolve(bed->op, bed->image(), kLimit).status();
                            }
                            const plugins::Descriptor& blob = (*blobs)[i % blobs->size()];
                            BERTH_ASSIGN_OR_RETURN(const std::string bytes, fetch(*bed, blob));
                            if (digestOf(bytes) == blob.digest) return absl::OkStatus();
                            return absl::DataLossError(strCat("other bytes for ", blob.digest));
                          }),
      "resolve and fetch from several threads");
}

void checkFutureStructs(Probe& probe) {
  const auto bed = begin(probe);
  if (bed == nullptr) return;
  const auto blob = largestBlob(*bed);
  if (!blob.has_value()) return;
  const auto& table =
      *static_cast<const berth_image_source*>(bed->session->library().description().functions);
  berth_image_request known{};
  known.reference = str(probe.settings().reference);
  const Wider<berth_image_request> request(known);
  berth_descriptor wanted{};
  wanted.media_type = str(blob->mediaType);
  wanted.digest = str(blob->digest);
  wanted.blob_size = blob->size;
  const Wider<berth_descriptor> descriptor(wanted);
  std::string bytes;
  berth_sink sink{
      sizeof sink, &bytes, [](berth_sink* self, const void* data, size_t length) -> berth_code {
        static_cast<std::string*>(self->host)->append(static_cast<const char*>(data), length);
        return BERTH_OK;
      }};
  probe.step("fetch with structs of a later version");
  const absl::Status status = bed->session->instance().call({}, [&](berth_error* error) {
    return table.fetch(bed->session->instance().handle(), bed->op.op(), &request.known,
                       &descriptor.known, 0, &sink, error);
  });
  if (probe.succeeds(status, "fetch with structs of a later version"))
    probe.expect(digestOf(bytes) == blob->digest,
                 "fetch with structs of a later version writes other bytes");
}

}  // namespace

std::vector<Check> sourceChecks() {
  const auto kind = plugins::Kind::kImageSource;
  return {
      {.name = "source.resolve",
       .meaning = "A reference gives its document with the digest and size of its bytes.",
       .rule = "image_source.h: serves, resolve (the digest has been computed from the bytes)",
       .run = &checkResolve,
       .kind = kind},
      {.name = "source.fetch",
       .meaning = "The image's blobs come whole, with their digests.",
       .rule = "image_source.h, fetch: at most blob_size bytes in all",
       .run = &checkFetch,
       .kind = kind},
      {.name = "source.range",
       .meaning = "A fetch can begin anywhere in a blob.",
       .rule = "image_source.h, fetch: a blob's bytes from `offset` on",
       .run = &checkRange,
       .kind = kind},
      {.name = "source.unknown",
       .meaning = "References and digests that there are not are not found.",
       .rule = "image_source.h, serves: NOT_FOUND from one lets the host ask the next",
       .run = &checkUnknown,
       .kind = kind},
      {.name = "source.sink",
       .meaning = "When the host takes no more bytes the fetch ends with the host's code.",
       .rule = "types.h, berth_sink: anything but BERTH_OK tells the plugin to stop",
       .run = &checkSink,
       .kind = kind},
      {.name = "source.cancellation",
       .meaning = "Cancelled calls return within two seconds.",
       .rule = "types.h, berth_op: after cancellation or the deadline the plugin returns",
       .run = &checkCancellation,
       .kind = kind},
      {.name = "source.errors",
       .meaning = "References and digests that are none fail with a code and a message.",
       .rule = "types.h: anything but BERTH_OK also sets the call's berth_error",
       .run = &checkErrors,
       .kind = kind},
      {.name = "source.concurrent",
       .meaning = "References are resolved and blobs fetched at the same time.",
       .rule = "image_source.h, fetch: may be called for several blobs at the same time",
       .run = &checkConcurrent,
       .kind = kind},
      {.name = "source.future-structs",
       .meaning = "Structs of a later version are read as far as known.",
       .rule = "types.h: the reader copies the smaller of both sizes",
       .run = &checkFutureStructs,
       .kind = kind},
  };
}

}  // namespace berth::check
