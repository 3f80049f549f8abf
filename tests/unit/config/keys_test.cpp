// The declaration of the keys keeps its own promises.
#include "config/keys.hpp"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::config {
namespace {

TEST(KeysTest, DefaultsObeyTheirOwnRules) {
  for (const Key& key : keys()) {
    if (key.required) continue;
    const auto check = [&key](const std::string& text) {
      EXPECT_TRUE(!key.rule.accepts || key.rule.accepts(text)) << key.name << ": " << text;
    };
    if (const auto* text = std::get_if<std::string>(&key.standard)) check(*text);
    if (const auto* list = std::get_if<std::vector<std::string>>(&key.standard)) {
      EXPECT_GE(static_cast<int64_t>(list->size()), key.rule.minimum) << key.name;
      for (const std::string& element : *list) check(element);
    }
    if (const auto* number = std::get_if<int64_t>(&key.standard)) {
      EXPECT_GE(*number, key.rule.minimum) << key.name;
      EXPECT_LE(*number, key.rule.maximum) << key.name;
    }
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
