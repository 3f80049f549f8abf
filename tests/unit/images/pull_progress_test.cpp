#include "images/pull_progress.hpp"

#include <future>
#include <vector>

#include <gtest/gtest.h>

namespace berth::images {
namespace {

using Figures = PullProgress::Figures;

TEST(PullProgress, CountsWhatComesAndWhatWasThere) {
  PullProgress progress;
  EXPECT_EQ(progress.read(), Figures());
  progress.expect(2, 100);
  progress.received(60);
  EXPECT_EQ(progress.read(), (Figures{60, 100, 0, 2}));
  progress.unpacked(0);
  progress.unpacked(40);
  EXPECT_EQ(progress.read(), (Figures{100, 100, 2, 2}));
  progress.expect(1, 10);  // the next image of an import
  EXPECT_EQ(progress.read(), (Figures{100, 110, 2, 3}));
}

TEST(PullProgress, FollowsOneAtATime) {
  PullProgress progress;
  const auto first = std::make_shared<PullProgress>();
  const auto second = std::make_shared<PullProgress>();
  first->expect(1, 10);
  second->expect(2, 20);
  progress.follow(first);
  first->received(5);
  EXPECT_EQ(progress.read(), (Figures{5, 10, 0, 1}));
  progress.follow(second);
  EXPECT_EQ(progress.read(), (Figures{0, 20, 0, 2}));
}

TEST(PullProgress, IsReadByPeople) {
  EXPECT_EQ(textOf({3u << 19, 4u << 20, 1, 7}), "1.5 of 4.0 MiB, 1 of 7 layers");
}

TEST(PullWatch, TellsAgainAndAgainWhileAPullLasts) {
  std::promise<void> twice;
  std::vector<std::string> told;
  PullWatch watch(std::chrono::milliseconds(1),
                  [&](const std::string& reference, const Figures& figures) {
                    told.push_back(reference);
                    EXPECT_EQ(figures.totalBytes, 7u);
                    if (told.size() == 2) twice.set_value();
                  });
  PullProgress progress;
  progress.expect(1, 7);
  {
    const PullWatch::Guard guard(watch, "a.example/app:1", progress);
    twice.get_future().wait();
  }
  // Nobody tells of it any more.
  EXPECT_GE(told.size(), 2u);
  EXPECT_EQ(told.back(), "a.example/app:1");
}

TEST(PullWatch, SaysNothingOfShortPulls) {
  bool told = false;
  {
    PullWatch watch(std::chrono::hours(1),
                    [&](const std::string&, const Figures&) { told = true; });
    PullProgress progress;
    const PullWatch::Guard guard(watch, "a.example/app:1", progress);
  }
  EXPECT_FALSE(told);
}

}  // namespace
}  // namespace berth::images
