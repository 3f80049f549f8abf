// Layers through the ABI: whole or not there, one unpack for many callers, removal.
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/files.hpp"
#include "plugin_under_test.hpp"
#include "tar_writer.hpp"

namespace {
std::atomic<int> synced = 0;
}

// In place of the C library's, in the plugin too.
extern "C" __attribute__((visibility("default"))) int syncfs(int fd) noexcept {
  ++synced;
  return static_cast<int>(::syscall(SYS_syncfs, fd));
}

namespace berth::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string smallArchive() {
  return TarWriter().directory("d").file("d/f", std::string(5000, 'x')).finish();
}

// A file system of its own there; Scratch unmounts it. The path.
std::string mountTmpfs(const std::string& path) {
  if (!support::makeDirectories(path, 0711).ok() ||
      ::mount("tmpfs", path.c_str(), "tmpfs", 0, "size=64m") != 0)
    throw std::runtime_error("mount a tmpfs");
  return path;
}

class Layers : public testing::Test {
 protected:
  Layers() : plugin_(scratch_ / "root") {}
  explicit Layers(std::string (*make)(const std::string&)) : plugin_(make(scratch_ / "root")) {}
  void SetUp() override { ASSERT_TRUE(plugin_.started.ok()) << plugin_.started.message(); }
  std::vector<std::string> onDisk(const std::string& folder) {
    return *support::listDirectory(scratch_ / ("root/" + folder));
  }
  // Until no more than so many directories are being made or deleted.
  void awaitStaging(size_t most) {
    while (onDisk("staging").size() > most) ::usleep(1000);
  }
  Scratch scratch_;
  PluginUnderTest plugin_;
};

// However full the machine's disk is, nothing is in a hurry here.
class LayersWithRoom : public Layers {
 protected:
  LayersWithRoom() : Layers(mountTmpfs) {}
};

TEST_F(Layers, AreOnTheDiskBeforeTheyAreVisibleUnlessConfiguredOtherwise) {
  PluginUnderTest other(scratch_ / "other", R"(, "durable": false)");
  ASSERT_TRUE(other.started.ok()) << other.started.message();
  synced = 0;
  ASSERT_TRUE(other.apply(diffIdOf(1), smallArchive()).ok());
  EXPECT_EQ(synced, 0);
  ASSERT_TRUE(plugin_.apply(diffIdOf(1), smallArchive()).ok());
  EXPECT_EQ(synced, 1);
}

TEST_F(Layers, AreAppliedListedMeasuredAndRemoved) {
  Usage applied;
  ASSERT_TRUE(plugin_.apply(diffIdOf(1), smallArchive(), &applied).ok());
  EXPECT_EQ(applied.inodes, 3u) << "the root, d and f";
  EXPECT_GT(applied.bytes, 5000u);
  EXPECT_THAT(plugin_.layers(), ElementsAre(diffIdOf(1)));
  Usage later;
  ASSERT_TRUE(plugin_.layerUsage(diffIdOf(1), later).ok());
  EXPECT_EQ(later, applied);
  Usage total;
  EXPECT_EQ(plugin_.filesystem(total), scratch_ / "root");
  EXPECT_EQ(total, applied);

  EXPECT_TRUE(plugin_.removeLayer(diffIdOf(1)).ok());
  EXPECT_TRUE(plugin_.removeLayer(diffIdOf(1)).ok()) << "what is gone is gone";
  EXPECT_EQ(plugin_.layerUsage(diffIdOf(1), later).code(), BERTH_NOT_FOUND);
  EXPECT_THAT(onDisk("layers"), IsEmpty());
  plugin_.filesystem(total);
  EXPECT_EQ(total, Usage{});
  awaitStaging(0);
}

TEST_F(LayersWithRoom, AreDeletedWithPausesWhileOthersAreMade) {
  using Clock = std::chrono::steady_clock;
  ASSERT_TRUE(plugin_.apply(diffIdOf(1), smallArchive()).ok());
  const Status made = plugin_.apply(
      diffIdOf(2), [&, inner = wholeArchive(smallArchive()), begun = false](auto& piece) mutable {
        if (!std::exchange(begun, true)) {
          const Clock::time_point begin = Clock::now();
          EXPECT_TRUE(plugin_.removeLayer(diffIdOf(1)).ok());
          EXPECT_THAT(onDisk("layers"), IsEmpty());
          awaitStaging(1);
          EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(90));
        }
        return inner(piece);
      });
  EXPECT_TRUE(made.ok()) << made.message();
}

TEST_F(Layers, OfRemovedOnesTheNameIsFreeBeforeTheirFilesAreGone) {
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(plugin_.apply(diffIdOf(1), smallArchive()).ok());
    ASSERT_TRUE(plugin_.removeLayer(diffIdOf(1)).ok());
  }
  awaitStaging(0);
}

TEST_F(Layers, ThatAreThereAreNotReadAgain) {
  ASSERT_TRUE(plugin_.apply(diffIdOf(1), smallArchive()).ok());
  const Status again = plugin_.apply(diffIdOf(1), [](std::string_view&) -> berth_code {
    ADD_FAILURE() << "the stream was read";
    return BERTH_INTERNAL;
  });
  EXPECT_TRUE(again.ok()) << again.message();
}

TEST_F(Layers, OfTwoCallsAtOnceTheFirstToHaveItWholeWins) {
  const std::string place = scratch_ / ("root/layers/sha256-" + diffIdOf(1).substr(7));
  struct stat winners {};
  const auto late = [&, inner = Pieces()](std::string_view& piece) mutable {
    if (inner) return inner(piece);
    inner = wholeArchive(smallArchive());
    const berth_code code = inner(piece);
    // It has begun, and does not hold up the other one, nor another layer.
    EXPECT_TRUE(plugin_.apply(diffIdOf(1), smallArchive()).ok());
    EXPECT_TRUE(plugin_.apply(diffIdOf(2), smallArchive()).ok());
    EXPECT_EQ(::stat(place.c_str(), &winners), 0);
    return code;
  };
  const Status status = plugin_.apply(diffIdOf(1), late);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_THAT(plugin_.layers(), ElementsAre(diffIdOf(1), diffIdOf(2)));
  struct stat kept {};
  ASSERT_EQ(::stat(place.c_str(), &kept), 0);
  EXPECT_EQ(kept.st_ino, winners.st_ino) << "snapshots may use it already";
  EXPECT_THAT(onDisk("staging"), IsEmpty());
}

TEST_F(Layers, ManyAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (uint64_t i = 0; i < 16; ++i)
    threads.emplace_back([&, i] {
      if (!plugin_.apply(diffIdOf(i / 2), smallArchive()).ok()) ++failures;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(plugin_.layers().size(), 8u);
  EXPECT_THAT(onDisk("staging"), IsEmpty());
}

TEST_F(Layers, BrokenOnesLeaveNothing) {
  const std::string archive = smallArchive();
  const Status cut = plugin_.apply(diffIdOf(1), archive.substr(0, 2000));
  EXPECT_EQ(cut.code(), BERTH_INVALID_ARGUMENT);
  EXPECT_THAT(cut.message(), HasSubstr("d/f"));
  EXPECT_THAT(cut.message(), HasSubstr(diffIdOf(1)));
  // The host finds out at the end of the stream that the digest is another one.
  const Status lied = plugin_.apply(
      diffIdOf(1), [inner = wholeArchive(archive)](std::string_view& piece) -> berth_code {
        const berth_code code = inner(piece);
        return piece.empty() ? static_cast<berth_code>(BERTH_DATA_LOSS) : code;
      });
  EXPECT_EQ(lied.code(), BERTH_DATA_LOSS);
  plugin_.cancelled = true;
  EXPECT_EQ(plugin_.apply(diffIdOf(1), archive).code(), BERTH_CANCELLED);
  plugin_.cancelled = false;
  for (const char* bad : {"", "sha256:", "sha256:..", "../../etc", "sha256:XYZ"})
    EXPECT_EQ(plugin_.apply(bad, archive).code(), BERTH_INVALID_ARGUMENT) << bad;
  EXPECT_THAT(plugin_.layers(), IsEmpty());
  EXPECT_THAT(onDisk("layers"), IsEmpty());
  EXPECT_THAT(onDisk("staging"), IsEmpty());
  EXPECT_TRUE(plugin_.apply(diffIdOf(1), archive).ok()) << "the name is free again";
}

TEST_F(Layers, OfTooManyEntriesLeaveNothing) {
  for (const auto& [most, fits] : {std::pair("1", false), {"2", true}}) {
    PluginUnderTest bounded(scratch_ / most, std::string(", \"max_layer_entries\": ") + most);
    ASSERT_TRUE(bounded.started.ok()) << bounded.started.message();
    const Status applied = bounded.apply(diffIdOf(1), smallArchive());
    EXPECT_EQ(applied.ok(), fits) << applied.message();
    if (fits) continue;
    EXPECT_EQ(applied.code(), BERTH_RESOURCE_EXHAUSTED);
    EXPECT_THAT(applied.message(), HasSubstr("more than the limit of 1 entries"));
    EXPECT_THAT(*support::listDirectory(scratch_ / "1/layers"), IsEmpty());
    EXPECT_THAT(*support::listDirectory(scratch_ / "1/staging"), IsEmpty());
  }
  const PluginUnderTest none(scratch_ / "none", ", \"max_layer_entries\": 0");
  EXPECT_THAT(none.started.message(), HasSubstr("max_layer_entries"));
}

TEST_F(Layers, InUseStay) {
  ASSERT_TRUE(plugin_.apply(diffIdOf(1), smallArchive()).ok());
  ASSERT_TRUE(plugin_.prepare({.key = "s", .layers = {diffIdOf(1)}}).ok());
  const Status removed = plugin_.removeLayer(diffIdOf(1));
  EXPECT_EQ(removed.code(), BERTH_FAILED_PRECONDITION);
  EXPECT_THAT(removed.message(), HasSubstr("snapshot s"));
  EXPECT_THAT(plugin_.layers(), ElementsAre(diffIdOf(1)));
  ASSERT_TRUE(plugin_.removeSnapshot("s").ok());
  EXPECT_TRUE(plugin_.removeLayer(diffIdOf(1)).ok());
}

}  // namespace
}  // namespace berth::test
