#include "engine/exec.hpp"

#include <gtest/gtest.h>

namespace berth::engine {
namespace {

TEST(FitOutputs, TogetherTheyHaveTheLimit) {
  struct Case {
    size_t output, error, limit;
    size_t outputKept, errorKept;
  };
  constexpr Case kCases[] = {
      {0, 0, 0, 0, 0},      {5, 5, 10, 5, 5},   {100, 3, 10, 7, 3}, {3, 100, 10, 3, 7},
      {100, 100, 10, 5, 5}, {100, 5, 10, 5, 5}, {5, 100, 10, 5, 5}, {100, 100, 11, 5, 6},
      {6, 6, 11, 5, 6},     {11, 0, 10, 10, 0}, {0, 11, 10, 0, 10}, {1, 1, 0, 0, 0},
  };
  for (const Case& one : kCases) {
    std::string output(one.output, 'o');
    std::string error(one.error, 'e');
    fitOutputs(output, error, one.limit);
    EXPECT_EQ(output, std::string(one.outputKept, 'o')) << one.output << " " << one.error;
    EXPECT_EQ(error, std::string(one.errorKept, 'e')) << one.output << " " << one.error;
  }
}

}  // namespace
}  // namespace berth::engine
