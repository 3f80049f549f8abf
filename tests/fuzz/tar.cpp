// Layers: tar archives, read and unpacked.
//
// The first byte says how the archive is cut into pieces and whether headers get the checksum that
// fits them; without that, hardly a change would get past it. As root the archive is unpacked too,
// on a file system of its own that a thread has as its root.
#include <condition_variable>
#include <fcntl.h>
#include <filesystem>
#include <mutex>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "../unit/snapshotter-overlay/tar_writer.hpp"
#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/untar/extract.hpp"
#include "target.hpp"

namespace berth::fuzz {

using test::TarWriter;
using untar::Entry;
using untar::TarReader;

namespace {

constexpr uint64_t kMostArchive = 1u << 20;
constexpr uint64_t kMostEntries = 1000;

// A thread whose root is a private file system. What leaves the layer's root is seen next to it,
// and reaches nothing else.
class Cell {
 public:
  // Null when this process may not make one. Lives as long as the process: to make one takes long.
  static Cell* instance() {
    static Cell* const cell = ::geteuid() == 0 ? new Cell : nullptr;
    return cell != nullptr && cell->entered_ ? cell : nullptr;
  }

  // Returns when it is done.
  void unpack(const std::string& archive, size_t piece) {
    std::unique_lock lock(mutex_);
    archive_ = &archive;
    piece_ = piece;
    changed_.notify_all();
    changed_.wait(lock, [this] { return archive_ == nullptr; });
  }

 private:
  Cell() {
    std::unique_lock lock(mutex_);
    std::thread([this] { live(); }).detach();
    changed_.wait(lock, [this] { return ready_; });
  }

  void live() {
    std::unique_lock lock(mutex_);
    entered_ = enter();
    ready_ = true;
    changed_.notify_all();
    while (entered_) {
      changed_.wait(lock, [this] { return archive_ != nullptr; });
      unpackHere(*archive_, piece_);
      archive_ = nullptr;
      changed_.notify_all();
    }
  }

  static bool enter() {
    // Over a folder that every system has: what is mounted here is this thread's alone.
    return ::unshare(CLONE_FS | CLONE_NEWNS) == 0 &&
           ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount("tmpfs", "/tmp", "tmpfs", MS_NODEV | MS_NOSUID, "size=256m") == 0 &&
           ::mkdir("/tmp/proc", 0755) == 0 &&
           ::mount("proc", "/tmp/proc", "proc", MS_RDONLY, nullptr) == 0 && ::chroot("/tmp") == 0 &&
           ::chdir("/") == 0;
  }

  static void unpackHere(const std::string& archive, size_t piece) {
    demand(::mkdir("/layer", 0755) == 0, "there is a place to unpack to");
    {
      const support::Fd root(::open("/layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      const auto result = untar::extractLayer(
          root.get(), test::piecesOf(archive, piece),
          {.maximumArchiveBytes = kMostArchive, .maximumEntries = kMostEntries});
      demand(!result.ok() || result->entries <= kMostEntries, "entries are counted");
    }
    for (const auto& entry : std::filesystem::directory_iterator("/")) {
      const std::string name = entry.path().filename();
      demand(name == "layer" || name == "proc", "nothing leaves the layer's root");
    }
    demand(support::removeTree("/layer").ok(), "what is unpacked can be removed");
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool ready_ = false;
  bool entered_ = false;
  const std::string* archive_ = nullptr;
  size_t piece_ = 0;
};

void read(const std::string& archive, size_t piece) {
  TarReader reader(test::piecesOf(archive, piece),
                   {.archiveBytes = kMostArchive, .metadataBytes = 65536});
  for (;;) {
    Entry entry;
    const auto more = reader.next(entry);
    if (!more.ok() || !*more) return;
    demand(!entry.name.empty() && entry.name.find('\0') == std::string::npos, "a name is one");
    uint64_t position = 0;
    for (;;) {
      const auto data = reader.nextData();
      if (!data.ok()) return;
      if (data->bytes.empty()) break;
      demand(data->position >= position, "positions rise");
      position = data->position + data->bytes.size();
      demand(position <= entry.size, "data stays within the file");
    }
  }
}

void seal(std::string& archive) {
  for (size_t at = 0; at + 512 <= archive.size(); at += 512) {
    if (archive.compare(at + 257, 5, "ustar") != 0) continue;
    std::string block = archive.substr(at, 512);
    TarWriter::seal(block);
    archive.replace(at, 512, block);
  }
}

void run(std::string_view text) {
  Input input(text);
  const uint8_t options = input.byte();
  std::string archive(input.rest());
  if ((options & 1) != 0) seal(archive);
  const size_t piece = (options & 2) != 0 ? 1u << 20 : 1 + options;
  read(archive, piece);
  if (Cell* const cell = Cell::instance()) cell->unpack(archive, piece);
}

std::vector<std::string> seeds() {
  const std::string sealed = "\3";
  const std::string cut = "\1";
  TarWriter sparse;
  sparse.pax({{"GNU.sparse.major", "1"},
              {"GNU.sparse.minor", "0"},
              {"GNU.sparse.name", "holes"},
              {"GNU.sparse.realsize", "4096"}});
  sparse.entry({.name = "holes"}, TarWriter::padded("1\n1024\n4\n") + "data");
  return {
      sealed + TarWriter().directory("a").file("a/b", "text").symlink("c", "a/b").finish(),
      cut + TarWriter().file("./x/../y", "1").hardLink("z", "y").finish(),
      sealed + TarWriter().symlink("out", "/").file("out/evil", "x").finish(),
      sealed + TarWriter().symlink("up", "..").file("up/../../evil", "x").finish(),
      sealed + TarWriter().file("../evil", "x").finish(),
      sealed +
          TarWriter().directory("d").file("d/.wh.gone", "").file("d/.wh..wh..opq", "").finish(),
      sealed + TarWriter()
                   .pax({{"path", "long"}, {"mtime", "1.5"}, {"SCHILY.xattr.user.a", "b"}})
                   .file("short", "x")
                   .finish(),
      sealed + TarWriter().gnuLong('L', std::string(150, 'n')).file("n", "x").finish(),
      sealed + TarWriter().pax({{"uid", "100000"}}, 'g').file("g", "x").finish(),
      sealed + TarWriter()
                   .entry({.name = "dev", .type = '3', .deviceMajor = 1, .deviceMinor = 3})
                   .entry({.name = "fifo", .type = '6'})
                   .finish(),
      sealed + sparse.finish(),
      sealed + TarWriter().file("a", "1").directory("a").file("a/b", "2").file("a", "3").finish(),
  };
}

}  // namespace

const Target kTar{run, seeds};

}  // namespace berth::fuzz
