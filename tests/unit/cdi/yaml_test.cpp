#include "cdi/yaml.hpp"

#include "fixture.hpp"

namespace berth::cdi {
namespace {

using test::invalid;
using test::json;

boost::json::value parsed(std::string_view text) {
  const auto value = parseYaml(text, "f.yaml");
  EXPECT_TRUE(value.ok()) << value.status();
  return value.ok() ? *value : boost::json::value("failed");
}

TEST(Yaml, MappingsAndSequences) {
  EXPECT_EQ(parsed("a: 1\nb:\n  - x\n  - {c: [d, 'e']}\n# comment\nf: |\n  two\n  lines\n"),
            json(R"({"a": 1, "b": ["x", {"c": ["d", "e"]}], "f": "two\nlines\n"})"));
  EXPECT_EQ(parsed("---\n- a\n...\n"), json(R"(["a"])"));
  EXPECT_EQ(parsed(R"({"json": [1, true, null, "x\ty"]})"),
            json(R"({"json": [1, true, null, "x\ty"]})"));
  EXPECT_EQ(parsed(""), json("null"));
}

TEST(Yaml, PlainScalarsHaveTypes) {
  EXPECT_EQ(parsed("[0, -7, +7, 0644, 0o644, 0x1F, 9223372036854775807]"),
            json("[0, -7, 7, 420, 420, 31, 9223372036854775807]"));
  EXPECT_EQ(parsed("[true, False, null, ~, ]"), json("[true, false, null, null]"));
  // What looks like a number but is none, or is told to be text.
  EXPECT_EQ(
      parsed("[0.6, 0.6.0, 08, 1e3, '1', \"2\", !!str 3, yes, 9223372036854775808, -]"),
      json(R"(["0.6", "0.6.0", "08", "1e3", "1", "2", "3", "yes", "9223372036854775808", "-"])"));
}

TEST(Yaml, AliasesStandForTheirAnchors) {
  EXPECT_EQ(parsed("a: &x {b: 1}\nc: *x\nd: &y text\ne: [*y, *y]"),
            json(R"({"a": {"b": 1}, "c": {"b": 1}, "d": "text", "e": ["text", "text"]})"));
  EXPECT_THAT(parseYaml("a: *none", "f.yaml"), invalid("f.yaml:1:4"));
}

TEST(Yaml, ErrorsSayWhere) {
  EXPECT_THAT(parseYaml("a: b\n  c: d\n", "f.yaml"), invalid("f.yaml:2:"));
  EXPECT_THAT(parseYaml("a: 1\na: 2\n", "f.yaml"), invalid("the key a is given twice"));
  EXPECT_THAT(parseYaml("a: 1\n---\nb: 2\n", "f.yaml"), invalid("more than one document"));
  EXPECT_THAT(parseYaml("a: !!binary xyz\n", "f.yaml"), invalid("binary is not supported"));
  EXPECT_THAT(parseYaml("? [a]\n: b\n", "f.yaml"), invalid("a key must be text"));
  EXPECT_THAT(parseYaml("[a, b", "f.yaml"), invalid("f.yaml:"));
  EXPECT_THAT(parseYaml("a: \xff\n", "f.yaml"), invalid("f.yaml:"));
}

TEST(Yaml, NeitherDepthNorAliasesAreWithoutBound) {
  EXPECT_THAT(parseYaml(std::string(100, '[') + std::string(100, ']'), "f"),
              invalid("nested deeper than 64"));
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 8; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 1; j < 10; ++j) bomb.append(", ").append(before);
    bomb += "]\n";
  }
  EXPECT_THAT(parseYaml(bomb, "f"), invalid("more than 1000000 values"));
}

}  // namespace
}  // namespace berth::cdi
