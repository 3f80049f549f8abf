// That no extension of the SDK is left out of what goes from process to process.
#include <filesystem>
#include <fstream>
#include <regex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "isolation/tables.hpp"
#include "test_paths.hpp"

namespace berth::isolation {
namespace {

TEST(Extensions, AllThatTheSdkDefinesAreCarried) {
  std::vector<std::string> defined;
  const std::regex definition("#define BERTH_EXTENSION_\\w+ \"(.*)\"");
  for (const auto& header : std::filesystem::directory_iterator(test_paths::sdkHeaders)) {
    std::ifstream file(header.path());
    std::smatch match;
    for (std::string line; std::getline(file, line);)
      if (std::regex_match(line, match, definition)) defined.push_back(match[1]);
  }
  EXPECT_FALSE(defined.empty());
  EXPECT_THAT(std::vector<std::string>(std::begin(kExtensions), std::end(kExtensions)),
              ::testing::UnorderedElementsAreArray(defined));
}

}  // namespace
}  // namespace berth::isolation
