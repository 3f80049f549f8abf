// An image source that reads a folder of blobs from a web server. See README.md.
#include <algorithm>
#include <berth/helpers.h>
#include <berth/image_source.hpp>
#include <string>
#include <vector>

#include <curl/curl.h>
#include <openssl/evp.h>

#include "transfer.hpp"

namespace source_http {
namespace {

using berth::ImageRequest;
using berth::Op;
using berth::Status;

constexpr std::string_view kAlgorithm = "sha256:";
constexpr size_t kHexDigits = 64;

bool isDigest(std::string_view text) {
  return text.size() == kAlgorithm.size() + kHexDigits && text.starts_with(kAlgorithm) &&
         text.find_first_not_of("0123456789abcdef", kAlgorithm.size()) == std::string_view::npos;
}

std::string digestOf(std::string_view data) {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  ::EVP_Digest(data.data(), data.size(), bytes, &length, ::EVP_sha256(), nullptr);
  std::string text(kAlgorithm);
  for (unsigned i = 0; i < length; ++i) {
    constexpr const char* kDigits = "0123456789abcdef";
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

std::string mediaTypeOf(const std::string& document) {
  char type[256] = "";
  const berth_str text = berth::str(document);
  if (berth_json_string(text, "mediaType", type, sizeof type) != 0) return type;
  return berth_json_member(text, "manifests").size != 0
             ? "application/vnd.oci.image.index.v1+json"
             : "application/vnd.oci.image.manifest.v1+json";
}

class HttpSource final : public berth::ImageSource {
 public:
  using ImageSource::ImageSource;

  Status configure(std::string_view options) override {
    char url[1024] = "";
    const berth_str given = berth::str(options);
    berth_json_string(given, "url", url, sizeof url);
    url_ = url;
    if (!url_.starts_with("http://") && !url_.starts_with("https://"))
      return {BERTH_INVALID_ARGUMENT, "option url: must begin with http:// or https://"};
    while (url_.ends_with('/')) url_.pop_back();
    berth_json all = berth_json_open(berth_json_member(given, "prefixes"));
    for (berth_str prefix; berth_json_next(&all, nullptr, &prefix) != 0;) {
      char text[512] = "";
      if (berth_json_text(prefix, text, sizeof text) == 0)
        return {BERTH_INVALID_ARGUMENT,
                "option prefixes[" + std::to_string(prefixes_.size()) + "]: must be a string"};
      prefixes_.emplace_back(text);
    }
    return {};
  }

  Status start() override {
    if (::curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
      return {BERTH_INTERNAL, "libcurl cannot be set up"};
    return {};
  }

  bool serves(std::string_view reference) override {
    return prefixes_.empty() ||
           std::any_of(prefixes_.begin(), prefixes_.end(), [reference](const std::string& prefix) {
             return reference.starts_with(prefix);
           });
  }

  Status resolve(const Op& op, const ImageRequest& request, uint64_t limit,
                 berth::Resolved& out) override {
    op.stage("resolve " + std::string(request.reference));
    if (Status status = findDigest(op, request.reference, out.digest); !status.ok()) return status;
    if (Status status = read(op, blobUrl(out.digest), limit, out.document); !status.ok())
      return status;
    if (digestOf(out.document) != out.digest)
      return {BERTH_DATA_LOSS, blobUrl(out.digest) + " has another digest"};
    out.mediaType = mediaTypeOf(out.document);
    return {};
  }

  Status fetch(const Op& op, const ImageRequest& /*request*/, const berth::Descriptor& descriptor,
               uint64_t offset, berth::Sink& out) override {
    if (!isDigest(descriptor.digest))
      return {BERTH_INVALID_ARGUMENT, std::string(descriptor.digest) + " is no digest of sha256"};
    if (offset >= descriptor.size) return {};  // no server has such a range
    op.stage("fetch " + std::string(descriptor.digest));
    uint64_t done = offset;
    Status status = get(op, blobUrl(descriptor.digest), offset, [&](std::string_view piece) {
      // No more than was asked for, whatever the server has.
      if (piece.size() > descriptor.size - done)
        return Status(BERTH_DATA_LOSS, "the server's blob is longer than the manifest says");
      done += piece.size();
      op.progress(done, descriptor.size);
      return out.write(piece);
    });
    if (status.ok() && done < descriptor.size)
      return {BERTH_UNAVAILABLE, blobUrl(descriptor.digest) + " ends early"};
    return status;
  }

 private:
  std::string blobUrl(std::string_view digest) const {
    return url_ + "/blobs/sha256/" + std::string(digest.substr(kAlgorithm.size()));
  }

  static Status read(const Op& op, const std::string& url, uint64_t limit, std::string& text) {
    return get(op, url, 0, [&](std::string_view piece) {
      text += piece;
      return text.size() <= limit ? Status()
                                  : Status(BERTH_RESOURCE_EXHAUSTED, url + " is too long");
    });
  }

  // The digest that a reference has, or the one that the server has for its tag.
  Status findDigest(const Op& op, std::string_view reference, std::string& digest) const {
    if (const size_t at = reference.find('@'); at != std::string_view::npos) {
      digest = reference.substr(at + 1);
      if (isDigest(digest)) return {};
      return {BERTH_INVALID_ARGUMENT, digest + " is no digest of sha256"};
    }
    const size_t colon = reference.rfind(':');
    std::string name(reference);
    if (colon == std::string_view::npos || reference.find('/', colon) != std::string_view::npos ||
        reference.find("..") != std::string_view::npos)
      return {BERTH_INVALID_ARGUMENT, name + " has no tag"};
    name[colon] = '/';
    const std::string url = url_ + "/refs/" + name;
    std::string text;
    if (Status status = read(op, url, 1024, text); !status.ok()) return status;
    digest = text.substr(0, text.find_first_of(" \r\n"));
    return isDigest(digest) ? Status() : Status(BERTH_DATA_LOSS, url + " holds no digest");
  }

  std::string url_;
  std::vector<std::string> prefixes_;
};

}  // namespace
}  // namespace source_http

BERTH_PLUGIN(source_http::HttpSource,
             {.name = "source-http",
              .version = "1.0.0",
              .summary = "Reads images from a folder of blobs on a web server",
              .threading = BERTH_THREADING_PARALLEL,
              .options = R"([
  {"key": "url", "type": "string", "example": "https://images.example/berth",
   "help": "Where the folders blobs and refs are."},
  {"key": "prefixes", "type": "array", "default": [], "example": ["registry.example/team/"],
   "help": "Beginnings of references it is asked for; none: all."}
])"})
