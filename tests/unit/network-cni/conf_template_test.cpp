#include "conf_template.hpp"

#include <gmock/gmock.h>

namespace berth::cni {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const PodCidrValues kBoth = {{"10.0.0.0/24", "fd00::/64"}, {"0.0.0.0/0", "::/0"}};

std::string render(std::string_view text, const PodCidrValues& values = kBoth) {
  const auto rendered = renderTemplate(text, values);
  EXPECT_TRUE(rendered.ok()) << rendered.status();
  return rendered.value_or("");
}

std::string failure(std::string_view text) {
  const auto rendered = renderTemplate(text, kBoth);
  EXPECT_EQ(rendered.status().code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(rendered.status().message());
}

TEST(ConfTemplateTest, ReadsRanges) {
  const auto values = parsePodCidr("10.0.0.0/24, fd00::/64");
  ASSERT_TRUE(values.ok());
  EXPECT_THAT(values->ranges, ElementsAre("10.0.0.0/24", "fd00::/64"));
  EXPECT_THAT(values->routes, ElementsAre("0.0.0.0/0", "::/0"));
  EXPECT_THAT(parsePodCidr("fd00::/64")->routes, ElementsAre("::/0"));
}

TEST(ConfTemplateTest, RefusesWhatIsNoRange) {
  for (const char* text : {"", "10.0.0.0", "10.0.0.0/33", "fd00::/129", "10.0.0.0/24,", "x/8",
                           "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/24x"})
    EXPECT_EQ(parsePodCidr(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
}

TEST(ConfTemplateTest, LeavesTextAlone) {
  EXPECT_EQ(render("{\"a\": {}}\n"), "{\"a\": {}}\n");
}

TEST(ConfTemplateTest, FillsIn) {
  EXPECT_EQ(render(R"({"subnet": "{{.PodCIDR}}"})"), R"({"subnet": "10.0.0.0/24"})");
  EXPECT_EQ(render("{{ range .PodCIDRRanges }}<{{ . }}>{{ end }}"), "<10.0.0.0/24><fd00::/64>");
  EXPECT_EQ(render("{{range $r := .Routes}}<{{$r}}>{{end}}"), "<0.0.0.0/0><::/0>");
}

TEST(ConfTemplateTest, SeparatesItems) {
  EXPECT_EQ(render("[{{range $i, $r := .Routes}}{{if $i}}, {{end}}{{$i}}={{$r}}{{end}}]"),
            "[0=0.0.0.0/0, 1=::/0]");
}

TEST(ConfTemplateTest, TakesTheOtherBranch) {
  const std::string_view text = "{{if .Routes}}yes{{else}}no{{end}}";
  EXPECT_EQ(render(text), "yes");
  EXPECT_EQ(render(text, {}), "no");
}

TEST(ConfTemplateTest, RendersNothingForEmptyLists) {
  EXPECT_EQ(render("a{{range $i, $r := .Routes}}{{if $i}},{{end}}{{$r}}{{end}}b", {}), "ab");
}

TEST(ConfTemplateTest, NestsRanges) {
  EXPECT_EQ(render("{{range $a := .PodCIDRRanges}}{{range .Routes}}({{$a}} {{.}}){{end}}{{end}}"),
            "(10.0.0.0/24 0.0.0.0/0)(10.0.0.0/24 ::/0)(fd00::/64 0.0.0.0/0)(fd00::/64 ::/0)");
}

TEST(ConfTemplateTest, TrimsAndSkipsComments) {
  EXPECT_EQ(render("a \n {{- /* note */ -}} \n b"), "ab");
}

TEST(ConfTemplateTest, NamesTheLine) {
  EXPECT_THAT(failure("a\nb {{.Unknown}}"), HasSubstr("line 2"));
  EXPECT_THAT(failure("a\n\n{{.PodCIDR"), HasSubstr("line 3"));
  EXPECT_THAT(failure("{{range .PodCIDRRanges}}"), HasSubstr("without {{end}}"));
  EXPECT_THAT(failure("{{if .Routes}}x"), HasSubstr("without {{end}}"));
  EXPECT_THAT(failure("x{{end}}"), HasSubstr("without a start"));
  EXPECT_THAT(failure("{{range .Pods}}{{end}}"), HasSubstr(".Pods"));
  EXPECT_THAT(failure("{{range .Routes}}{{$missing}}{{end}}"), HasSubstr("$missing"));
}

}  // namespace
}  // namespace berth::cni
