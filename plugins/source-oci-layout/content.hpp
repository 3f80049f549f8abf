// Bytes of one file of an image: a file of its own, or a part of an archive.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"

namespace berth::layout {

// What a call of the host may still take: OK, or the status to end with.
using Check = std::function<absl::Status()>;

struct Content {
  std::shared_ptr<const support::Fd> file;
  uint64_t offset = 0;  // in the file
  uint64_t size = 0;    // bytes
};

// Hands the bytes from `from` on to `take`, piece by piece, asking `check` in between. A failure of
// either ends it and is returned as it is; DATA_LOSS when the file has become shorter.
absl::Status readPieces(const Content& content, uint64_t from, const Check& check,
                        const std::function<absl::Status(std::string_view)>& take);

// All of it; RESOURCE_EXHAUSTED past `limit` bytes.
absl::StatusOr<std::string> readAll(const Content& content, uint64_t limit);

// As much of the beginning as there is, at most `size` bytes.
absl::StatusOr<std::string> readHead(const Content& content, size_t size);

// By the first bytes: "gzip", "zstd", "xz", "bzip2", or empty.
absl::StatusOr<std::string_view> compressionOf(const Content& content);

// Of the whole content, as "sha256:…".
absl::StatusOr<std::string> digestOf(const Content& content, const Check& check);
// With the algorithm of the digest `like`; empty: as "sha256:…".
std::string digestOf(std::string_view bytes, std::string_view like = {});

// "sha256:" or "sha512:", and as many lowercase hexadecimal digits as that has.
bool isDigest(std::string_view text);

// The files of an image, by name, as in "blobs/sha256/…". Thread-safe.
class Files {
 public:
  virtual ~Files() = default;
  // NOT_FOUND; INVALID_ARGUMENT for what is no regular file. No name leads out of where they lie.
  virtual absl::StatusOr<Content> open(const std::string& name) const = 0;
  // The path without links of the folder or archive that is read, whatever leads there by now.
  virtual const std::string& location() const = 0;
  virtual size_t bytes() const = 0;  // of memory, about
};

// Where an open file or folder lies, without links. ABORTED when it has been removed.
absl::StatusOr<std::string> locationOf(const support::Fd& file);

}  // namespace berth::layout
