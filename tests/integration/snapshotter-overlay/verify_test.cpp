// Layers compared with what was unpacked: every damage is named, and what is sound is left alone.
#include <cstdlib>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/files.hpp"
#include "plugin_under_test.hpp"
#include "tar_writer.hpp"

namespace berth::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

using Found = std::vector<std::string>;

int shell(const std::string& command) {
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// One of each kind, a hole, a name that is no line, and a file in another's place.
constexpr const char* kTree =
    "mkdir -p dir/sub \"$(printf 'odd\\n\\\\name')\" && printf content > dir/file"
    " && truncate -s 5M sparse && printf tail | dd of=sparse bs=1 seek=3000000 conv=notrunc"
    " status=none && : > empty && ln -s dir/file link && ln dir/file hard && mkfifo pipe"
    " && mknod device c 1 3 && printf x > suid && chown 1000:1001 suid && chmod 4755 suid"
    " && setfattr -n user.note -v hello suid && setfattr -n trusted.note -v t dir"
    " && head -c 3000000 /dev/urandom > large && printf y > \"$(printf 'odd\\n\\\\name')/f\"";

class Verify : public testing::Test {
 protected:
  void SetUp() override {
    const std::string tree = scratch_ / "tree";
    const std::string tar = scratch_ / "layer.tar";
    // The second time a file comes, it takes the place of the first.
    ASSERT_EQ(shell("mkdir " + tree + " && cd " + tree + " && " + kTree +
                    " && tar --format=pax --sparse --xattrs --xattrs-include='*' --numeric-owner"
                    " -cf " +
                    tar +
                    " . && printf replaced > dir/sub/again && tar --format=pax"
                    " --numeric-owner -rf " +
                    tar +
                    " dir/sub/again && printf anew! > dir/sub/again"
                    " && tar --format=pax --numeric-owner -rf " +
                    tar + " dir/sub/again"),
              0);
    archive_ = *support::readFile(tar, size_t{1} << 30);
    apply();
  }
  void apply() { ASSERT_TRUE(plugin_->apply(layer_, archive_).ok()); }
  void restart() {
    plugin_.reset();
    plugin_ = std::make_unique<PluginUnderTest>(scratch_ / "root");
    ASSERT_TRUE(plugin_->started.ok()) << plugin_->started.message();
  }
  Found verify(uint32_t flags = 0) {
    Found found;
    const Status status = plugin_->verifyLayer(layer_, found, flags);
    EXPECT_TRUE(status.ok()) << status.message();
    return found;
  }
  std::string directory() { return scratch_ / ("root/layers/sha256-" + layer_.substr(7)); }
  void inLayer(const std::string& command) {
    ASSERT_EQ(shell("cd " + directory() + "/fs && " + command), 0);
  }

  Scratch scratch_;
  std::unique_ptr<PluginUnderTest> plugin_ = std::make_unique<PluginUnderTest>(scratch_ / "root");
  const std::string layer_ = diffIdOf(1);
  std::string archive_;
};

TEST_F(Verify, ASoundLayerIsSound) {
  EXPECT_THAT(verify(), IsEmpty());
  EXPECT_THAT(verify(BERTH_VERIFY_QUICK), IsEmpty());
  restart();
  EXPECT_THAT(verify(), IsEmpty());
  // Where a hole is, the file system says; times are nobody's loss.
  inLayer("cp --sparse=never sparse ../full && cat ../full > sparse && rm ../full && touch suid");
  EXPECT_THAT(verify(), IsEmpty());
}

// It gives what is made below it attributes that no archive names.
TEST_F(Verify, BelowADefaultAclToo) {
  const std::string layer = diffIdOf(2);
  // As the kernel writes it: its owner, user 1000, its group, the mask, and others.
  ASSERT_EQ(
      shell("setfattr -n system.posix_acl_default -v 0x0200000001000700ffffffff02000700e8030000"
            "04000500ffffffff10000700ffffffff20000500ffffffff " +
            (scratch_ / "root/staging")),
      0);
  ASSERT_TRUE(plugin_->apply(layer, archive_).ok());
  const std::string file = scratch_ / ("root/layers/sha256-" + layer.substr(7) + "/fs/empty");
  ASSERT_EQ(shell("getfattr -n system.posix_acl_access " + file + " > /dev/null"), 0);
  Found found;
  ASSERT_TRUE(plugin_->verifyLayer(layer, found, 0).ok());
  EXPECT_THAT(found, IsEmpty());
  ASSERT_EQ(shell("setfattr -x system.posix_acl_access " + file), 0);
  ASSERT_TRUE(plugin_->verifyLayer(layer, found, 0).ok());
  EXPECT_THAT(found, ElementsAre(HasSubstr("empty")));
}

struct Damage {
  const char* command;
  const char* line;
  bool seenQuickly;
};

class VerifyDamage : public Verify, public testing::WithParamInterface<Damage> {};

TEST_P(VerifyDamage, IsNamed) {
  inLayer(GetParam().command);
  EXPECT_THAT(verify(), ElementsAre(HasSubstr(GetParam().line)));
  EXPECT_THAT(verify(BERTH_VERIFY_QUICK), SizeIs(GetParam().seenQuickly ? 1 : 0));
}

INSTANTIATE_TEST_SUITE_P(
    OfEachKind, VerifyDamage,
    testing::Values(
        Damage{"rm hard && printf content > hard && printf C | dd of=dir/file bs=1 conv=notrunc"
               " status=none",
               "damaged dir/file has another content of the same size", false},
        Damage{"printf X | dd of=sparse bs=1 seek=100 conv=notrunc status=none",
               "damaged sparse has another content", false},
        Damage{"printf X | dd of=large bs=1 seek=2999999 conv=notrunc status=none",
               "damaged large has another content", false},
        Damage{"truncate -s 2999999 large", "damaged large has 2999999 bytes instead of 3000000",
               true},
        Damage{"rm empty", "damaged empty is missing", true},
        Damage{"rm pipe && : > pipe", "damaged pipe is a file instead of a pipe", true},
        Damage{"rm dir/sub/again && ln -s /etc/passwd dir/sub/again",
               "damaged dir/sub/again is a link instead of a file", true},
        Damage{"ln -sf dir/elif link", "damaged link leads elsewhere", true},
        Damage{"rm device && mknod device c 1 5", "damaged device is another device", true},
        Damage{"chmod 0755 suid", "damaged suid has the mode 0755 instead of 4755", true},
        Damage{"chown 5:6 dir", "damaged dir belongs to 5:6 instead of 0:0", true},
        Damage{"setfattr -x user.note suid", "damaged suid has other extended attributes", true},
        Damage{"setfattr -n trusted.overlay.opaque -v y dir",
               "damaged dir has other extended attributes", true},
        Damage{": > dir/more", "damaged dir/more is there and was not unpacked", true},
        Damage{"rm odd*/f", "name/f is missing", true}));

TEST_F(Verify, OfManyDifferencesTheFirstAreNamed) {
  inLayer("for i in $(seq 100); do : > dir/$i; done");
  const Found found = verify();
  EXPECT_THAT(found, SizeIs(21));
  EXPECT_THAT(found.back(), HasSubstr("80 more"));
}

// A directory that has become a link does not lead out of the layer.
TEST_F(Verify, WhatALinkHidesIsMissing) {
  inLayer("mv dir ../dir && ln -s ../dir dir");
  EXPECT_THAT(verify(), Contains("damaged dir/file is missing"));
}

TEST_F(Verify, RecordAndListAreComparedToo) {
  ASSERT_EQ(::truncate((directory() + "/content").c_str(), 100), 0);
  EXPECT_THAT(verify(), ElementsAre(HasSubstr("the list of its files is damaged")));
  ASSERT_TRUE(support::removePath(directory() + "/content").ok());
  EXPECT_THAT(verify(), ElementsAre(HasSubstr("content")));
  ASSERT_EQ(::truncate((directory() + "/layer.json").c_str(), 10), 0);
  EXPECT_THAT(verify(), Contains(HasSubstr("layer.json")));
  ASSERT_TRUE(support::removeTree(directory() + "/fs").ok());
  EXPECT_THAT(verify(), Contains(HasSubstr("its files are missing")));
}

TEST_F(Verify, LayersOfAVersionWithoutListsAreCounted) {
  ASSERT_TRUE(support::removePath(directory() + "/content").ok());
  ASSERT_EQ(shell("sed -i 's/,\"content\":{[^}]*}//' " + directory() + "/layer.json"), 0);
  restart();
  EXPECT_THAT(verify(), ElementsAre(HasSubstr("limited  its files can only be counted")));
  inLayer("rm empty");
  EXPECT_THAT(verify(), Contains(HasSubstr("damaged  has ")));
}

TEST_F(Verify, WhatIsNotThereIsNotFound) {
  Found found;
  EXPECT_EQ(plugin_->verifyLayer(diffIdOf(9), found).code(), BERTH_NOT_FOUND);
  EXPECT_EQ(plugin_->verifySnapshot("none", found).code(), BERTH_NOT_FOUND);
  EXPECT_TRUE(plugin_->dropLayer(diffIdOf(9)).ok()) << "it is gone already";
  plugin_->cancelled = true;
  EXPECT_EQ(plugin_->verifyLayer(layer_, found).code(), BERTH_CANCELLED);
}

TEST_F(Verify, ADroppedLayerIsUnpackedAnew) {
  inLayer("rm empty");
  ASSERT_TRUE(plugin_->dropLayer(layer_).ok());
  EXPECT_THAT(plugin_->layers(), IsEmpty());
  EXPECT_THAT(plugin_->setAside(), IsEmpty()) << "nobody uses it: nothing of it is left";
  Usage total;
  plugin_->filesystem(total);
  EXPECT_EQ(total, Usage{});
  apply();
  EXPECT_THAT(verify(), IsEmpty());
}

TEST_F(Verify, OneInUseIsDroppedToo) {
  ASSERT_TRUE(plugin_->prepare({.key = "s", .layers = {layer_}}).ok());
  const std::string target = scratch_ / "target";
  ASSERT_EQ(::mkdir(target.c_str(), 0755), 0);
  ASSERT_TRUE(plugin_->mount("s", target).ok());
  inLayer("rm empty");
  ASSERT_TRUE(plugin_->dropLayer(layer_).ok());
  EXPECT_THAT(plugin_->layers(), IsEmpty());
  EXPECT_EQ(*support::readFile(target + "/dir/file"), "content") << "what is mounted stays";
  EXPECT_THAT(plugin_->setAside(), ElementsAre(HasSubstr("while snapshot s uses it")));
  Found found;
  ASSERT_TRUE(plugin_->verifySnapshot("s", found).ok());
  EXPECT_THAT(found, ElementsAre(HasSubstr("limited  layer " + layer_ + " is not there")));
  restart();
  EXPECT_THAT(plugin_->layers(), IsEmpty()) << "not even after a restart";
  apply();
  EXPECT_THAT(verify(), IsEmpty());
  EXPECT_EQ(*support::readFile(target + "/dir/file"), "content");
  ASSERT_TRUE(plugin_->unmount("s", target).ok());
  ASSERT_TRUE(plugin_->verifySnapshot("s", found).ok());
  EXPECT_THAT(found, IsEmpty()) << "mounted again it lies on the new one";
  ASSERT_TRUE(plugin_->removeSnapshot("s").ok());
  restart();
  EXPECT_THAT(plugin_->setAside(), IsEmpty());
  EXPECT_THAT(*support::listDirectory(scratch_ / "root/layers"), SizeIs(1));
}

TEST_F(Verify, ASnapshotThatCannotBeMountedIsDamaged) {
  ASSERT_TRUE(plugin_->prepare({.key = "s", .layers = {layer_}}).ok());
  Found found;
  ASSERT_TRUE(plugin_->verifySnapshot("s", found).ok());
  EXPECT_THAT(found, IsEmpty());
  ASSERT_TRUE(support::removeTree(scratch_ / "root/snapshots/s/work").ok());
  ASSERT_EQ(::truncate((scratch_ / "root/snapshots/s/snapshot.json").c_str(), 0), 0);
  ASSERT_TRUE(plugin_->verifySnapshot("s", found).ok());
  EXPECT_THAT(found, ElementsAre(HasSubstr("snapshot.json"), "damaged work is missing"));
}

}  // namespace
}  // namespace berth::test
