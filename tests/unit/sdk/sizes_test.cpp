// How structs of different sizes meet: berth_at, known() and give().
#include <cstring>
#include <new>
#include <vector>

#include <gtest/gtest.h>

#include "berth/plugin.hpp"
#include "berth/snapshotter.h"

namespace berth {
namespace {

// berth_layer as a later minor version might have it.
struct FutureLayer {
  berth_layer now;
  berth_str added;
};

TEST(SizedStructs, KnownReadsWhatAnOlderSideDidNotKnowAsZero) {
  berth_layer given{sizeof given, str("chain"), str("parent"), str("diff")};
  given.size = offsetof(berth_layer, diff_id);

  const berth_layer layer = detail::known(&given);

  EXPECT_EQ(layer.size, sizeof(berth_layer));
  EXPECT_EQ(view(layer.chain_id), "chain");
  EXPECT_EQ(view(layer.parent_chain_id), "parent");
  EXPECT_EQ(layer.diff_id.data, nullptr);
  EXPECT_EQ(layer.diff_id.size, 0u);
}

TEST(SizedStructs, KnownLeavesOutWhatANewerSideAdded) {
  FutureLayer given{{sizeof given, str("chain"), str("parent"), str("diff")}, str("new")};

  const berth_layer layer = detail::known(&given.now);

  EXPECT_EQ(layer.size, sizeof(berth_layer));
  EXPECT_EQ(view(layer.diff_id), "diff");
}

TEST(SizedStructs, KnownOfNothingIsZero) {
  const berth_layer layer = detail::known(static_cast<const berth_layer*>(nullptr));
  EXPECT_EQ(layer.size, sizeof(berth_layer));
  EXPECT_TRUE(view(layer.chain_id).empty());
}

TEST(SizedStructs, GiveStaysWithinAnOlderCallersStruct) {
  berth_usage target{offsetof(berth_usage, inodes), 0, 77};
  detail::give(&target, berth_usage{sizeof(berth_usage), 5, 6});
  EXPECT_EQ(target.size, offsetof(berth_usage, inodes));
  EXPECT_EQ(target.bytes, 5u);
  EXPECT_EQ(target.inodes, 77u) << "written past the end the caller gave";
}

TEST(SizedStructs, GiveLeavesANewerCallersMembersAndSizeAlone) {
  struct {
    berth_usage now;
    uint64_t added;
  } target{{sizeof target, 0, 0}, 99};
  detail::give(&target.now, berth_usage{sizeof(berth_usage), 5, 6});
  EXPECT_EQ(target.now.size, sizeof target);
  EXPECT_EQ(target.now.bytes, 5u);
  EXPECT_EQ(target.now.inodes, 6u);
  EXPECT_EQ(target.added, 99u);
}

TEST(SizedStructs, GiveToNobodyDoesNothing) {
  detail::give(static_cast<berth_usage*>(nullptr), berth_usage{sizeof(berth_usage), 1, 1});
}

TEST(SizedStructs, ArraysAreWalkedByTheSizeTheirMakerKnew) {
  const std::vector<FutureLayer> layers = {{{sizeof(FutureLayer), str("one"), {}, {}}, str("x")},
                                           {{sizeof(FutureLayer), str("two"), {}, {}}, str("y")},
                                           {{sizeof(FutureLayer), str("three"), {}, {}}, str("z")}};
  const char* expected[] = {"one", "two", "three"};
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto* layer = static_cast<const berth_layer*>(berth_at(layers.data(), i));
    EXPECT_EQ(view(detail::known(layer).chain_id), expected[i]);
  }
}

TEST(SizedStructs, ArraysOfAnOlderMakerAreWalkedBySmallerSteps) {
  constexpr size_t kStep = offsetof(berth_layer, diff_id);
  alignas(berth_layer) unsigned char memory[2 * kStep + sizeof(berth_layer)] = {};
  for (size_t i = 0; i < 2; ++i) {
    const berth_layer layer{kStep, str(i == 0 ? "one" : "two"), {}, str("must not be read")};
    std::memcpy(memory + i * kStep, &layer, kStep);
  }
  const auto* second = static_cast<const berth_layer*>(berth_at(memory, 1));
  const berth_layer layer = detail::known(second);
  EXPECT_EQ(view(layer.chain_id), "two");
  EXPECT_TRUE(view(layer.diff_id).empty());
}

}  // namespace
}  // namespace berth
