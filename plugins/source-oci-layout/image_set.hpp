// The images in one folder or archive, whatever form they are kept in.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/json/object.hpp>

#include "content.hpp"

namespace berth::layout {

inline constexpr uint64_t kMostDocumentBytes = 4u << 20;  // of an index, manifest or configuration

// A manifest or an index, as it was written.
struct Document {
  std::string mediaType;
  std::string digest;
  std::string bytes;
};

// One image of a set.
struct Named {
  std::string name;                // complete, or a bare tag, or empty
  boost::json::object descriptor;  // of its manifest or index (OCI image spec, "Descriptor")
};

// What a form is read into.
struct Parts {
  std::vector<Named> images;
  std::shared_ptr<const Files> files;
  bool folders = false;                        // blobs lie in folders by their algorithms
  std::map<std::string, std::string> written;  // blobs that were made up here, by digest
  std::map<std::string, std::string> placed;   // blobs that lie elsewhere: digest → file
  std::string transport;  // what the form is called: "oci", "oci-archive", "docker-archive", "dir"
};

// The forms. Each is INVALID_ARGUMENT with what is wrong and in which file.
//
// "OCI Image Layout Specification", 1.x.
absl::StatusOr<Parts> readOciLayout(std::shared_ptr<const Files> files);
// What "docker save" writes, in its older form too: "Docker Image Specification v1.2", "Combined
// Image JSON + Filesystem Changeset Format". Manifests are made up, since it has none.
absl::StatusOr<Parts> readDockerArchive(std::shared_ptr<const Files> files, const Check& check);
// skopeo's "dir:": one manifest, and its blobs beside it.
absl::StatusOr<Parts> readPlainFolder(std::shared_ptr<const Files> files);

// Immutable, so thread-safe.
class ImageSet {
 public:
  // A folder or an archive at the absolute `path`, of whatever form. NOT_FOUND when nothing is
  // there, INVALID_ARGUMENT when it holds no images or damaged ones.
  static absl::StatusOr<std::shared_ptr<const ImageSet>> open(const std::string& path,
                                                              const Check& check);

  const std::string& transport() const { return parts_.transport; }
  // The path without links of what was read.
  const std::string& location() const { return parts_.files->location(); }
  size_t bytes() const;  // of memory, about
  // An index of all images there are, each with its name as "org.opencontainers.image.ref.name".
  Document everything() const;
  // By complete name, or by digest, which also finds what only an index of the set names.
  absl::StatusOr<Document> find(std::string_view reference) const;
  // Hands on a blob's bytes from `from` on. NOT_FOUND.
  absl::Status blob(const std::string& digest, uint64_t from, const Check& check,
                    const std::function<absl::Status(std::string_view)>& take) const;

 private:
  explicit ImageSet(Parts parts) : parts_(std::move(parts)) {}
  absl::StatusOr<Content> locate(const std::string& digest) const;
  absl::StatusOr<Document> document(const std::string& digest) const;

  const Parts parts_;
};

// A small file of the set, parsed. `what` names it in errors; NOT_FOUND when it is not there.
absl::StatusOr<boost::json::value> readJson(const Files& files, const std::string& name);

}  // namespace berth::layout
