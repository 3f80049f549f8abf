// Room that is kept for the moment when the disk is full.
#pragma once

#include <string>

namespace berth::store {

// A file that does nothing but hold blocks and an inode. Whoever frees room has to note first what
// goes (RemoveImage erases a record), and the note needs some: then this goes. Not thread-safe, but
// for release() beside make().
class Reserve {
 public:
  explicit Reserve(std::string path) : path_(std::move(path)) {}

  // True when it is there afterwards. Does not take the last there is: it comes back once several
  // times its size are free.
  bool make() const;
  // Whether the file system of `path` has that much room.
  static bool hasRoom(const std::string& path);
  // Gives the room back; false when there was none to give.
  bool release() const;

 private:
  const std::string path_;
};

}  // namespace berth::store
