// A layer made from a real tree, unpacked here and by GNU tar, compared file by file.
#include <fcntl.h>
#include <map>
#include <sstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "berth/support/files.hpp"
#include "plugin_under_test.hpp"

namespace berth::test {
namespace {

namespace fs = std::filesystem;

int shell(const std::string& command) {
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string xattrsOf(const std::string& path) {
  std::string names(65536, '\0');
  const ssize_t size = ::llistxattr(path.c_str(), names.data(), names.size());
  std::map<std::string, std::string> found;
  for (const char* name = names.data(); name < names.data() + size; name += strlen(name) + 1) {
    std::string value(65536, '\0');
    const ssize_t length = ::lgetxattr(path.c_str(), name, value.data(), value.size());
    found[name] = value.substr(0, static_cast<size_t>(std::max<ssize_t>(length, 0)));
  }
  std::string text;
  for (const auto& [name, value] : found) text += name + "=" + value + ";";
  return text;
}

// Everything about a file that must be the same, by path.
std::map<std::string, std::string> describeTree(const std::string& root) {
  std::map<std::string, std::string> result;
  std::map<ino_t, std::string> firstNames;
  std::vector<fs::path> paths = {root};
  for (const auto& item : fs::recursive_directory_iterator(root)) paths.push_back(item.path());
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths) {
    struct stat info = {};
    if (::lstat(path.c_str(), &info) != 0) continue;
    const std::string name = path.string().substr(root.size());
    std::ostringstream text;
    text << std::oct << info.st_mode << std::dec << " " << info.st_uid << ":" << info.st_gid << " "
         << info.st_mtim.tv_sec << "." << info.st_mtim.tv_nsec << " rdev " << info.st_rdev
         << " links " << (S_ISDIR(info.st_mode) ? 0 : info.st_nlink) << " "
         << xattrsOf(path.string());
    if (!S_ISDIR(info.st_mode))
      text << " as " << firstNames.emplace(info.st_ino, name).first->second;
    if (S_ISLNK(info.st_mode)) text << " -> " << fs::read_symlink(path).string();
    if (S_ISREG(info.st_mode)) {
      const auto content = support::readFile(path.string(), 1u << 30);
      text << " size " << info.st_size << " hash "
           << (content.ok() ? std::hash<std::string>()(*content) : 0);
      // Holes are where they were.
      text << " allocated " << (info.st_blocks * 512 >= info.st_size);
    }
    result[name] = text.str();
  }
  return result;
}

void makeTree(const std::string& tree) {
  ASSERT_EQ(
      shell("mkdir -p " + tree +
            "/usr && cp -a /usr/lib/git-core /usr/share/zoneinfo /usr/share/perl " + tree +
            "/usr/ 2>/dev/null; cd " + tree +
            " && mkdir -p dev 'odd \t name' && mknod dev/null c 1 3 && mknod dev/sda b 8 1"
            " && mkfifo dev/pipe && truncate -s 20M sparse && printf tail | dd of=sparse bs=1"
            " seek=10000000 conv=notrunc status=none && truncate -s 3M allhole"
            " && cp /bin/true suid && chown 1000:4000000000 suid && chmod 6755 suid"
            " && setcap cap_net_raw+ep suid 2>/dev/null; setfattr -n user.note -v hello suid"
            " && setfattr -n trusted.note -v t dev && ln suid hard && ln -s ../../../etc/x dang"
            " && ln dang hardlink-of-link && chmod 1777 dev && chmod 02750 'odd \t name'"
            " && touch -d '1969-12-31 23:59:58.5 UTC' old && touch \"$(printf 'b\\377d')\""
            " && mkdir -p deep/$(printf 'x%.0s' $(seq 200))/$(printf 'y%.0s' $(seq 200))"
            " && touch \"$(echo deep/x*/y*)/file\" && touch -d '2001-02-03 04:05:06.789' deep dev"),
      0);
}

class Compare : public testing::TestWithParam<const char*> {};

TEST_P(Compare, GivesWhatGnuTarGives) {
  const Scratch scratch;
  const std::string tree = scratch / "tree";
  makeTree(tree);
  if (HasFatalFailure()) return;
  const std::string archive = scratch / "layer.tar";
  ASSERT_EQ(shell("tar -C " + tree + " " + GetParam() + " --numeric-owner -cf " + archive + " ."),
            0);
  ASSERT_EQ(shell("mkdir " + (scratch / "gnu") + " && tar -C " + (scratch / "gnu") +
                  " --xattrs --xattrs-include='*' --numeric-owner -xpf " + archive),
            0);

  PluginUnderTest plugin(scratch / "root");
  ASSERT_TRUE(plugin.started.ok()) << plugin.started.message();
  const auto content = support::readFile(archive, size_t{1} << 30);
  ASSERT_TRUE(content.ok());
  Usage usage;
  const Status applied = plugin.apply(diffIdOf(1), *content, &usage);
  ASSERT_TRUE(applied.ok()) << applied.message();

  const std::string layer = scratch / ("root/layers/sha256-" + diffIdOf(1).substr(7) + "/fs");
  const auto theirs = describeTree(scratch / "gnu");
  const auto ours = describeTree(layer);
  EXPECT_GT(ours.size(), 100u) << "the tree is too small to show anything";
  for (const auto& [name, text] : theirs) {
    const auto mine = ours.find(name);
    ASSERT_NE(mine, ours.end()) << name << " is missing";
    EXPECT_EQ(mine->second, text) << name;
  }
  EXPECT_EQ(ours.size(), theirs.size());

  // Usage as du(1) counts it.
  ASSERT_EQ(shell("du -s --block-size=1 " + layer + " | cut -f1 > " + (scratch / "bytes") +
                  " && du -s --inodes " + layer + " | cut -f1 > " + (scratch / "inodes")),
            0);
  EXPECT_EQ(std::to_string(usage.bytes) + "\n", *support::readFile(scratch / "bytes"));
  EXPECT_EQ(std::to_string(usage.inodes) + "\n", *support::readFile(scratch / "inodes"));
}

INSTANTIATE_TEST_SUITE_P(Formats, Compare,
                         testing::Values("--format=pax --xattrs --xattrs-include='*' --sparse",
                                         "--format=pax --sparse-version=0.1 --sparse",
                                         "--format=pax --sparse-version=0.0 --sparse",
                                         "--format=gnu --sparse", "--format=gnu"));

}  // namespace
}  // namespace berth::test
