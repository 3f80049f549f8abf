// Documents that others drop into folders: read when they are asked for, and again when they have
// changed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

namespace berth::common {

// A file of a folder as it was found; equal ones have the same content.
struct FolderEntry {
  std::string path;
  std::string name;
  size_t folder = 0;  // place of its folder in the list
  struct Signature {
    uint64_t device = 0;
    uint64_t inode = 0;
    int64_t size = 0;
    int64_t modified = 0;  // nanoseconds
    int64_t changed = 0;
    // Changed so shortly before it was read that a later change may look the same.
    bool fresh = false;
    bool operator==(const Signature&) const = default;
  } signature;
  absl::Status problem;  // of a folder that cannot be listed, or a file that cannot be looked at
};

// The files of `folders` whose names end in one of `endings`, in the order of the folders and then
// of the names. Links are followed; folders that do not exist, and hidden files, are left out.
std::vector<FolderEntry> listFolders(const std::vector<std::string>& folders,
                                     const std::vector<std::string>& endings);

// The file's text; RESOURCE_EXHAUSTED past 8 MiB.
absl::StatusOr<std::string> readEntry(const FolderEntry& entry);

// Any thread. No lock is held while files are read.
template <class Document>
class FolderCache {
 public:
  using Shared = absl::StatusOr<std::shared_ptr<const Document>>;
  using Parse = std::function<absl::StatusOr<Document>(std::string_view text, const FolderEntry&)>;
  struct File {
    FolderEntry entry;
    Shared document;  // or why it is of no use
  };

  FolderCache(std::vector<std::string> folders, std::vector<std::string> endings, Parse parse)
      : folders_(std::move(folders)), endings_(std::move(endings)), parse_(std::move(parse)) {}

  const std::vector<std::string>& folders() const { return folders_; }

  // As the folders are now. Costs one stat(2) for each file that has not changed.
  std::vector<File> files() {
    std::map<std::string, Known> before;
    {
      std::lock_guard lock(mutex_);
      before = known_;
    }
    std::vector<File> result;
    std::map<std::string, Known> after;
    for (FolderEntry& entry : listFolders(folders_, endings_)) {
      const auto found = before.find(entry.path);
      const bool same = found != before.end() && !found->second.signature.fresh &&
                        found->second.signature == entry.signature;
      Shared document = same ? found->second.document : load(entry);
      after[entry.path] = {entry.signature, document};
      result.push_back({std::move(entry), std::move(document)});
    }
    std::lock_guard lock(mutex_);
    known_ = std::move(after);
    return result;
  }

 private:
  struct Known {
    FolderEntry::Signature signature;
    Shared document;
  };

  Shared load(const FolderEntry& entry) const {
    if (!entry.problem.ok()) return entry.problem;
    absl::StatusOr<std::string> text = readEntry(entry);
    if (!text.ok()) return text.status();
    absl::StatusOr<Document> document = parse_(*text, entry);
    if (!document.ok()) return document.status();
    return std::make_shared<const Document>(*std::move(document));
  }

  const std::vector<std::string> folders_;
  const std::vector<std::string> endings_;
  const Parse parse_;
  std::mutex mutex_;
  std::map<std::string, Known> known_;  // by path
};

}  // namespace berth::common
