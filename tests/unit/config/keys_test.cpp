// The declaration of the keys keeps its own promises.
#include "config/keys.hpp"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::config {
namespace {

// What `value` breaks of the key's rule; empty: nothing.
std::string brokenBy(const Key& key, const Value& value) {
  const auto refuses = [&key](const std::string& text) {
    return key.rule.accepts && !key.rule.accepts(text);
  };
  const auto isOut = [&key](int64_t number) {
    return number < key.rule.minimum || number > key.rule.maximum;
  };
  if (const auto* text = std::get_if<std::string>(&value)) return refuses(*text) ? *text : "";
  if (const auto* mode = std::get_if<Mode>(&value))
    return refuses(textOf(*mode).substr(1, 4)) ? textOf(*mode) : "";
  if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
    if (isOut(static_cast<int64_t>(list->size()))) return "the number of elements";
    for (const std::string& element : *list)
      if (refuses(element)) return element;
  }
  const auto* number = std::get_if<int64_t>(&value);
  return number != nullptr && isOut(*number) ? std::to_string(*number) : "";
}

TEST(KeysTest, DefaultsObeyTheirOwnRules) {
  for (const Key& key : keys())
    EXPECT_EQ(key.required ? "" : brokenBy(key, key.standard), "") << key.section << key.name;
}

TEST(KeysTest, ExamplesAreOtherValuesThatObeyTheRules) {
  for (const Key& key : keys()) {
    EXPECT_EQ(brokenBy(key, key.example), "") << key.section << "." << key.name;
    EXPECT_EQ(key.example.index(), key.standard.index()) << key.section << "." << key.name;
    EXPECT_NE(textOf(key.example), textOf(key.standard)) << key.section << "." << key.name;
  }
}

TEST(KeysTest, EachKeyOnceAndExplained) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const Key& key : keys()) {
    EXPECT_TRUE(seen.insert({key.section, key.name}).second) << key.section << "." << key.name;
    EXPECT_TRUE(key.doc.ends_with('.')) << key.name;
    EXPECT_FALSE(key.rule.expects.empty()) << key.name;
  }
}

TEST(KeysTest, EachKeyReachesAMemberOfItsOwn) {
  // Setting one key changes that key and no other.
  for (const Key& changed : keys()) {
    if (findInstanceSection(changed.section) != nullptr) continue;
    Config config = defaults();
    Value value = changed.standard;
    if (auto* text = std::get_if<std::string>(&value)) *text += "x";
    if (auto* list = std::get_if<std::vector<std::string>>(&value)) list->push_back("x");
    if (auto* number = std::get_if<int64_t>(&value)) ++*number;
    if (auto* mode = std::get_if<Mode>(&value)) ++mode->bits;
    changed.set(&config, value);
    for (const Key& key : keys()) {
      if (findInstanceSection(key.section) != nullptr) continue;
      EXPECT_EQ(key.get(&config) == key.standard, &key != &changed)
          << changed.name << " against " << key.name;
    }
  }
}

}  // namespace
}  // namespace berth::config
