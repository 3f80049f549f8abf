#include "cri/stream_list.hpp"

#include <gtest/gtest.h>

#include "cri-runtime-v1.pb.h"

namespace berth::cri {
namespace {

runtime::v1::Container ofBytes(size_t bytes) {
  runtime::v1::Container item;
  item.set_id(std::string(bytes, 'i'));
  return item;
}

// The sizes of the messages that a list is sent in.
std::vector<size_t> split(const std::vector<runtime::v1::Container>& items) {
  std::vector<size_t> counts;
  for (auto first = items.begin(); first != items.end();) {
    const auto end = messageEnd(first, items.end());
    counts.push_back(static_cast<size_t>(end - first));
    if (end <= first) break;  // would never end
    first = end;
  }
  return counts;
}

TEST(StreamListTest, AnEmptyListHasNoMessage) {
  EXPECT_TRUE(split({}).empty());
}

TEST(StreamListTest, SmallItemsShareAMessage) {
  EXPECT_EQ(split(std::vector(100, ofBytes(100))), std::vector<size_t>{100});
}

TEST(StreamListTest, AMessageHoldsNoMoreThanItsBytes) {
  // Three of them would go past the limit.
  const std::vector items(8, ofBytes(kStreamMessageBytes * 2 / 5));
  EXPECT_EQ(split(items), (std::vector<size_t>{2, 2, 2, 2}));
}

TEST(StreamListTest, AnItemThatIsTooLargeGoesAlone) {
  const std::vector items{ofBytes(10), ofBytes(kStreamMessageBytes * 3), ofBytes(10), ofBytes(10)};
  EXPECT_EQ(split(items), (std::vector<size_t>{1, 1, 2}));
}

}  // namespace
}  // namespace berth::cri
