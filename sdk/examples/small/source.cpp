// An image source that reads one OCI image layout: a folder with index.json and blobs. An image's
// name is what stands before it, the option `prefix`, and its annotation in the index.
#include <berth/helpers.h>
#include <berth/image_source.hpp>
#include <chrono>
#include <fstream>
#include <string>

#include <openssl/sha.h>

namespace {

using berth::Op;
using berth::Status;
using berth::str;

constexpr std::string_view kName = "org.opencontainers.image.ref.name";

// A string of a JSON object; empty when there is none.
std::string member(berth_str object, std::string_view key) {
  char text[512] = "";
  berth_json_string(object, std::string(key).c_str(), text, sizeof text);
  return text;
}

std::string digestOf(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  unsigned char sum[SHA256_DIGEST_LENGTH];
  ::SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), sum);
  std::string text = "sha256:";
  for (const unsigned char byte : sum) (text += kDigits[byte >> 4]) += kDigits[byte & 15];
  return text;
}

class Layout final : public berth::ImageSource {
 public:
  using ImageSource::ImageSource;

  Status configure(std::string_view options) override {
    path_ = member(str(options), "path");
    prefix_ = member(str(options), "prefix");
    if (path_.starts_with('/')) return {};
    return {BERTH_INVALID_ARGUMENT, "option path: must be an absolute path"};
  }

  Status start() override {
    if (std::ifstream(path_ + "/index.json").good()) return {};
    return {BERTH_FAILED_PRECONDITION, "option path: " + path_ + " has no index.json"};
  }

  bool serves(std::string_view reference) override { return reference.starts_with(prefix_); }

  Status resolve(const Op& op, const berth::ImageRequest& request, uint64_t limit,
                 berth::Resolved& out) override {
    op.stage("resolve " + std::string(request.reference));
    if (!serves(request.reference)) return notFound(request.reference);
    const size_t at = request.reference.find('@');
    out.digest = at != std::string_view::npos
                     ? request.reference.substr(at + 1)
                     : findDigest(request.reference.substr(prefix_.size()));
    std::ifstream file = open(out.digest);
    if (!file.is_open()) return notFound(request.reference);
    char byte = 0;
    while (out.document.size() <= limit && file.get(byte)) out.document += byte;
    if (out.document.size() > limit)
      return {BERTH_RESOURCE_EXHAUSTED, out.digest + " is larger than a manifest may be"};
    if (digestOf(out.document) != out.digest)
      return {BERTH_DATA_LOSS, "the blob " + out.digest + " holds something else"};
    out.mediaType = member(str(out.document), "mediaType");
    if (out.mediaType.empty())
      out.mediaType = berth_json_member(str(out.document), "manifests").size != 0
                          ? "application/vnd.oci.image.index.v1+json"
                          : "application/vnd.oci.image.manifest.v1+json";
    return {};
  }

  Status fetch(const Op& op, const berth::ImageRequest& /*request*/,
               const berth::Descriptor& descriptor, uint64_t offset, berth::Sink& out) override {
    op.stage("fetch " + std::string(descriptor.digest));
    std::ifstream file = open(descriptor.digest);
    if (!file.is_open()) return notFound(descriptor.digest);
    file.seekg(static_cast<std::streamoff>(offset));
    std::string piece;
    // No more than was asked for, should the file be longer.
    for (; offset < descriptor.size; offset += piece.size()) {
      if (op.cancelled()) return notWanted(op);
      piece.resize(std::min<uint64_t>(descriptor.size - offset, 256u << 10));
      if (!file.read(piece.data(), static_cast<std::streamsize>(piece.size())))
        return {BERTH_DATA_LOSS, "the blob " + std::string(descriptor.digest) + " ends early"};
      if (Status status = out.write(piece); !status.ok()) return status;
      op.progress(offset + piece.size(), descriptor.size);
    }
    return {};
  }

 private:
  static Status notFound(std::string_view what) {
    return {BERTH_NOT_FOUND, "the layout has no " + std::string(what)};
  }
  static Status notWanted(const Op& op) {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    if (now >= std::chrono::nanoseconds(op.deadline()))
      return {BERTH_DEADLINE_EXCEEDED, "the deadline has passed"};
    return {BERTH_CANCELLED, "cancelled"};
  }

  // The blob; not open when there is none, or when that is no digest, which might lead elsewhere.
  std::ifstream open(std::string_view digest) const {
    if (digest.size() != 71 || !digest.starts_with("sha256:") ||
        digest.find_first_not_of("0123456789abcdef", 7) != std::string_view::npos)
      return {};
    return std::ifstream(path_ + "/blobs/sha256/" + std::string(digest.substr(7)));
  }

  // The digest that the index has under that name; empty when there is none.
  std::string findDigest(std::string_view name) const {
    std::ifstream file(path_ + "/index.json");
    const std::string index{std::istreambuf_iterator<char>(file), {}};
    berth_json all = berth_json_open(berth_json_member(str(index), "manifests"));
    for (berth_str one; berth_json_next(&all, nullptr, &one) != 0;)
      if (member(berth_json_member(one, "annotations"), kName) == name)
        return member(one, "digest");
    return {};
  }

  std::string path_;
  std::string prefix_;
};

}  // namespace

BERTH_PLUGIN(Layout, {.name = "small-source",
                      .version = "1.0.0",
                      .summary = "Reads images from an OCI image layout",
                      .threading = BERTH_THREADING_PARALLEL,
                      .options = R"([
  {"key": "path", "type": "string", "example": "/srv/layout", "help": "The layout's folder."},
  {"key": "prefix", "type": "string", "default": "", "example": "layout.example/",
   "help": "What stands before the names in the index."}
])"})
