#include "report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Report twoEngines() {
  Report report{.subjects = {{"slow", "slow 1.0"}, {"quick", "quick 2.0"}}, .baseline = "slow"};
  Section section("cycle", "Pod cycle");
  for (const double value : {30.0, 10.0, 20.0}) section.add("RunPodSandbox", "ms", "slow", value);
  section.add("RunPodSandbox", "ms", "quick", 5);
  section.add("ListPodSandboxStats", "ms", "quick", 1.25);
  section.note("three rounds");
  report.sections.push_back(section);
  return report;
}

TEST(Section, gathersTheValuesOfARowBySubject) {
  const Report report = twoEngines();
  const std::vector<Row>& rows = report.sections.front().rows();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].name, "RunPodSandbox");
  EXPECT_THAT(*rows[0].of("slow"), ::testing::ElementsAre(30, 10, 20));
  EXPECT_THAT(*rows[0].of("quick"), ::testing::ElementsAre(5));
  EXPECT_EQ(rows[1].of("slow"), nullptr);
}

TEST(Section, oneNameInTwoUnitsIsTwoRows) {
  Section section("s", "S");
  section.add("size", "MiB", "a", 1);
  section.add("size", "s", "a", 2);
  EXPECT_EQ(section.rows().size(), 2u);
}

TEST(MedianRatio, isZeroWhereOneSideIsMissing) {
  const Report report = twoEngines();
  const std::vector<Row>& rows = report.sections.front().rows();
  EXPECT_DOUBLE_EQ(medianRatio(rows[0], "quick", "slow"), 0.25);
  EXPECT_DOUBLE_EQ(medianRatio(rows[1], "quick", "slow"), 0);
  EXPECT_DOUBLE_EQ(medianRatio(rows[0], "unknown", "slow"), 0);
}

TEST(Markdown, givesMediansAndRatiosToTheBaseline) {
  const std::string text = toMarkdown(twoEngines());
  EXPECT_THAT(text, HasSubstr("## Pod cycle"));
  EXPECT_THAT(text, HasSubstr("quick / slow"));
  EXPECT_THAT(text, HasSubstr("| RunPodSandbox       |   ms | 20.0 |  5.00 |         0.25 |"));
  EXPECT_THAT(text, HasSubstr("| ListPodSandboxStats |   ms |    - |  1.25 |            - |"));
  EXPECT_THAT(text, HasSubstr("three rounds"));
}

TEST(Markdown, givesTheSpreadOfRepeatedMeasurementsOnly) {
  const std::string text = toMarkdown(twoEngines());
  const std::string spread = text.substr(text.find("| spread"));
  EXPECT_THAT(spread, HasSubstr("| RunPodSandbox | slow |   ms |      3 | 10.0 |   20.0 | 28.0 |"));
  EXPECT_THAT(spread, Not(HasSubstr("quick")));
}

TEST(Markdown, namesFailedCalls) {
  Report report = twoEngines();
  EXPECT_THAT(toMarkdown(report), Not(HasSubstr("Failed calls")));
  report.failures.push_back("cycle, quick: UNAVAILABLE: gone");
  EXPECT_THAT(toMarkdown(report), HasSubstr("- cycle, quick: UNAVAILABLE: gone"));
}

TEST(Markdown, leavesOutRatiosWithoutABaseline) {
  Report report = twoEngines();
  report.baseline.clear();
  EXPECT_THAT(toMarkdown(report), Not(HasSubstr(" / ")));
}

TEST(Json, holdsEverySingleValue) {
  const boost::json::value document = toJson(twoEngines());
  EXPECT_EQ(document.at("schema").as_int64(), 1);
  EXPECT_EQ(document.at("baseline").as_string(), "slow");
  const auto& row = document.at("sections").at(0).at("rows").at(0);
  EXPECT_EQ(row.at("unit").as_string(), "ms");
  EXPECT_EQ(row.at("results").at("slow").at("values").as_array().size(), 3u);
  EXPECT_DOUBLE_EQ(row.at("results").at("slow").at("median").as_double(), 20);
  EXPECT_DOUBLE_EQ(row.at("ratios").at("quick").as_double(), 0.25);
  EXPECT_FALSE(row.at("ratios").as_object().contains("slow"));
  EXPECT_TRUE(document.at("failures").as_array().empty());
}

}  // namespace
}  // namespace berth::bench
