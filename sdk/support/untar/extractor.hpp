// Puts one entry after another into the layer's directory.
#pragma once

#include <cstdint>
#include <string>
#include <sys/stat.h>
#include <unordered_set>
#include <vector>

#include "attributes.hpp"
#include "berth/untar/extract.hpp"
#include "directories.hpp"
#include "names.hpp"

namespace berth::untar {

class Extractor {
 public:
  // All borrowed; the observer may be null.
  Extractor(int root, TarReader& reader, ExtractObserver* observer);

  absl::Status start();
  absl::Status place(const Entry& entry);
  // Times of directories, which change while entries are put into them, and the final count.
  absl::Status finish(ExtractResult& result);

 private:
  struct LateDirectory {
    std::string path;
    timespec modified;
    std::vector<Xattr> xattrs;
  };
  // Where an entry goes.
  struct Place {
    const LayerPath& path;
    int directory;
  };

  absl::Status placeDirectory(const Place& place, const Entry& entry);
  absl::Status placeRegular(const Place& place, const Entry& entry);
  absl::Status placeHardLink(const Place& place, const Entry& entry);
  absl::Status placeSpecial(const Place& place, const Entry& entry);
  absl::Status placeWhiteout(const Place& place);
  absl::Status makeOpaque(int directory);

  int createSpecial(const Place& place, const Entry& entry);
  absl::Status describeDirectory(int directory, const std::string& path, const Entry& entry);
  absl::Status writeContent(int file, const Entry& entry);
  // Notes that something has been given extended attributes.
  void haveAttributes(ino_t inode);
  Attributes attributesOf(ino_t inode) const;
  // Removes what stands in the way; OK when nothing does.
  absl::Status clearPlace(const Place& place);

  const int root_;
  TarReader& reader_;
  ExtractObserver* const observer_;
  Directories directories_;
  std::unordered_set<ino_t> attributed_;
  bool anyAttributed_ = false;  // it may be any
  std::vector<LateDirectory> late_;
  uint64_t lateBytes_ = 0;
};

}  // namespace berth::untar
