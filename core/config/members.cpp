#include "config/members.hpp"

#include <algorithm>
#include <tuple>

#include "berth/support/status.hpp"

namespace berth::config {

using support::strCat;

const Node* Members::node(std::string_view key) {
  asked_.emplace(key);
  for (const Entry& entry : table_)
    if (entry.key == key) return &entry.value;
  return nullptr;
}

void Members::mismatch(const Node& node, std::string_view key, std::string_view expected) {
  problems_.add(node.where, strCat(key, ": expected ", expected, ", found ", describe(node)));
}

std::string Members::text(std::string_view key) {
  const Node* found = node(key);
  if (found == nullptr) return {};
  if (const auto* text = std::get_if<std::string>(&found->value)) return *text;
  mismatch(*found, key, "a string");
  return {};
}

bool Members::flag(std::string_view key) {
  const Node* found = node(key);
  if (found == nullptr) return false;
  if (const auto* flag = std::get_if<bool>(&found->value)) return *flag;
  mismatch(*found, key, "true or false");
  return false;
}

std::vector<std::string> Members::texts(std::string_view key) {
  const Node* found = node(key);
  if (found == nullptr) return {};
  if (const auto* text = std::get_if<std::string>(&found->value)) return {*text};
  std::vector<std::string> texts;
  const Array* array = std::get_if<Array>(&found->value);
  if (array == nullptr) mismatch(*found, key, "an array of strings");
  for (size_t i = 0; array != nullptr && i < array->size(); ++i) {
    const auto* text = std::get_if<std::string>(&(*array)[i].value);
    if (text == nullptr) mismatch((*array)[i], key, "a string");
    if (text != nullptr) texts.push_back(*text);
  }
  return texts;
}

std::vector<const Table*> Members::tables(std::string_view key) {
  const Node* found = node(key);
  std::vector<const Table*> tables;
  if (found == nullptr) return tables;
  const Array* array = std::get_if<Array>(&found->value);
  if (array == nullptr) mismatch(*found, key, "an array of tables");
  for (size_t i = 0; array != nullptr && i < array->size(); ++i) {
    const Table* table = std::get_if<Table>(&(*array)[i].value);
    if (table == nullptr) mismatch((*array)[i], key, "a table");
    if (table != nullptr) tables.push_back(table);
  }
  return tables;
}

std::vector<const Entry*> Members::entries(std::string_view key) {
  const Node* found = node(key);
  if (found == nullptr) return {};
  if (const Table* table = std::get_if<Table>(&found->value)) return inOrder(*table);
  mismatch(*found, key, "a table");
  return {};
}

std::vector<std::string> Members::rest() const {
  std::vector<std::string> rest;
  for (const Entry& entry : table_)
    if (!asked_.contains(entry.key)) rest.push_back(entry.key);
  return rest;
}

std::vector<const Entry*> inOrder(const Table& table) {
  std::vector<const Entry*> entries;
  for (const Entry& entry : table) entries.push_back(&entry);
  std::stable_sort(entries.begin(), entries.end(), [](const Entry* a, const Entry* b) {
    return std::tuple(a->where.line, a->where.column) < std::tuple(b->where.line, b->where.column);
  });
  return entries;
}

}  // namespace berth::config
