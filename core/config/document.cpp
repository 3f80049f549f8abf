#include "config/document.hpp"

#include <algorithm>
#include <cmath>

#include <toml++/toml.h>

#include "berth/support/status.hpp"
#include "common/refusal.hpp"
#include "config/toml_text.hpp"

namespace berth::config {
namespace {

using support::strCat;

constexpr size_t kMaximumDepth = 64;
constexpr size_t kMaximumKeyParts = 32;
constexpr size_t kShownProblems = 50;
// What is no TOML may begin lines before the one where that shows.
constexpr int kMostLinesBefore = 16;

// The parser and the destructors of its tree recurse once for each part of a dotted key, without
// a bound. So keys are measured before it sees them.
class KeyMeter {
 public:
  explicit KeyMeter(std::string_view text) : text_(text) {}

  // The line with a key of too many parts; 0 when there is none.
  uint32_t lineOfLongKey() {
    size_t parts = 0;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"' || c == '\'') {
        skipString(c);
        continue;
      }
      if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
        continue;
      }
      if (c == '.' && ++parts >= kMaximumKeyParts) return line_;
      if (std::string_view("=,[]{}\n").find(c) != std::string_view::npos) parts = 0;
      if (c == '\n') ++line_;
      ++at_;
    }
    return 0;
  }

 private:
  void skipString(char quote) {
    const std::string triple(3, quote);
    const bool multiline = text_.compare(at_, 3, triple) == 0;
    at_ += multiline ? 3 : 1;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\\' && quote == '"') {
        // The escaped character may be the end of a line.
        if (at_ + 1 < text_.size() && text_[at_ + 1] == '\n') ++line_;
        at_ += 2;
        continue;
      }
      if (c == '\n') {
        if (!multiline) return;
        ++line_;
      }
      if (multiline ? text_.compare(at_, 3, triple) == 0 : c == quote) {
        at_ += multiline ? 3 : 1;
        return;
      }
      ++at_;
    }
  }

  std::string_view text_;
  size_t at_ = 0;
  uint32_t line_ = 1;
};

class Converter {
 public:
  Converter(std::shared_ptr<const std::string> file, Problems& problems)
      : file_(std::move(file)), problems_(problems) {}

  Table table(const toml::table& source, size_t depth) {
    Table result;
    result.reserve(source.size());
    for (const auto& [key, value] : source)
      result.push_back({std::string(key.str()), locate(key.source().begin), node(value, depth)});
    return result;
  }

 private:
  Location locate(const toml::source_position& position) const {
    return {file_, position.line, position.column};
  }

  Node node(const toml::node& source, size_t depth) {
    Node result{locate(source.source().begin), Dated{}};
    if (depth >= kMaximumDepth && (source.is_table() || source.is_array())) {
      problems_.add(result.where, strCat("nested deeper than ", kMaximumDepth, " levels"));
      return result;
    }
    if (const toml::table* table = source.as_table()) {
      result.value = this->table(*table, depth + 1);
    } else if (const toml::array* array = source.as_array()) {
      Array elements;
      for (const toml::node& element : *array) elements.push_back(node(element, depth + 1));
      result.value = std::move(elements);
    } else if (const auto* text = source.as_string()) {
      result.value = text->get();
    } else if (const auto* number = source.as_integer()) {
      result.value = number->get();
    } else if (const auto* real = source.as_floating_point()) {
      result.value = real->get();
    } else if (const auto* flag = source.as_boolean()) {
      result.value = flag->get();
    }
    return result;
  }

  std::shared_ptr<const std::string> file_;
  Problems& problems_;
};

// Up to the line of that number, or up to the last line when there are no more.
std::string_view linesBefore(std::string_view text, uint32_t line) {
  size_t end = 0;
  for (uint32_t number = 1; number < line; ++number) {
    const size_t next = text.find('\n', end);
    if (next == std::string_view::npos || next + 1 == text.size()) break;
    end = next + 1;
  }
  return text.substr(0, end);
}

boost::json::value toJsonValue(const Node& node, const std::string& path, Problems& problems) {
  if (const Table* table = std::get_if<Table>(&node.value)) return toJson(*table, path, problems);
  if (const Array* array = std::get_if<Array>(&node.value)) {
    boost::json::array result;
    for (size_t i = 0; i < array->size(); ++i)
      result.push_back(toJsonValue((*array)[i], strCat(path, "[", i, "]"), problems));
    return result;
  }
  if (const auto* text = std::get_if<std::string>(&node.value)) return boost::json::value(*text);
  if (const auto* number = std::get_if<int64_t>(&node.value)) return *number;
  if (const auto* flag = std::get_if<bool>(&node.value)) return *flag;
  if (const auto* real = std::get_if<double>(&node.value); real != nullptr && std::isfinite(*real))
    return *real;
  problems.add(node.where, strCat(path, ": ", describe(node),
                                  " cannot be handed to a plugin; write it as a string"));
  return nullptr;
}

}  // namespace

std::string Location::text() const {
  if (file == nullptr) return "built-in default";
  return line == 0 ? *file : strCat(*file, ":", line, ":", column);
}

void Problems::add(const Location& where, std::string message) {
  problems_.push_back({where, std::move(message)});
}

absl::Status Problems::status() const {
  if (problems_.empty()) return absl::OkStatus();
  std::vector<const Problem*> sorted;
  for (const Problem& problem : problems_) sorted.push_back(&problem);
  const auto position = [](const Problem* problem) {
    const Location& where = problem->where;
    return std::tuple(where.file != nullptr ? std::string_view(*where.file) : std::string_view(),
                      where.line, where.column);
  };
  std::stable_sort(sorted.begin(), sorted.end(), [&position](const Problem* a, const Problem* b) {
    return position(a) < position(b);
  });
  std::string text;
  for (size_t i = 0; i < std::min(sorted.size(), kShownProblems); ++i) {
    if (i > 0) text += '\n';
    text += strCat(sorted[i]->where.text(), ": ", sorted[i]->message);
  }
  if (sorted.size() > kShownProblems)
    text += strCat("\nand ", sorted.size() - kShownProblems, " more");
  return common::refusal(absl::InvalidArgumentError(text));
}

std::optional<Table> parseDocument(std::string_view text, const std::string& file,
                                   Problems& problems) {
  const auto name = std::make_shared<const std::string>(file);
  if (const uint32_t line = KeyMeter(text).lineOfLongKey(); line != 0) {
    problems.add({name, line, 1}, strCat("a key of more than ", kMaximumKeyParts, " parts"));
    return std::nullopt;
  }
  try {
    const toml::table parsed = toml::parse(text, std::string_view(file));
    return Converter(name, problems).table(parsed, 0);
  } catch (const toml::parse_error& error) {
    const toml::source_position& at = error.source().begin;
    problems.add({name, at.line, at.column}, strCat("not valid TOML: ", error.description()));
    return std::nullopt;
  }
}

Table parseBeginning(std::string_view text, const std::string& file) {
  for (int tries = 0; tries < kMostLinesBefore; ++tries) {
    Problems problems;
    if (std::optional<Table> parsed = parseDocument(text, file, problems))
      return *std::move(parsed);
    text = linesBefore(text, problems.firstLine());
  }
  return {};
}

void merge(Table& base, Table over) {
  for (Entry& entry : over) {
    const auto found = std::find_if(base.begin(), base.end(), [&entry](const Entry& candidate) {
      return candidate.key == entry.key;
    });
    if (found == base.end()) {
      base.push_back(std::move(entry));
      continue;
    }
    Table* below = std::get_if<Table>(&found->value.value);
    Table* above = std::get_if<Table>(&entry.value.value);
    if (below != nullptr && above != nullptr) {
      merge(*below, std::move(*above));
    } else {
      *found = std::move(entry);
    }
  }
}

std::string describe(const Node& node) {
  struct Describer {
    std::string operator()(const Table&) const { return "a table"; }
    std::string operator()(const Array&) const { return "an array"; }
    std::string operator()(const std::string& text) const {
      constexpr size_t kShown = 64;
      return text.size() <= kShown ? "the string " + quote(text)
                                   : strCat("a string of ", text.size(), " bytes");
    }
    std::string operator()(int64_t number) const { return strCat("the integer ", number); }
    std::string operator()(double number) const { return "the number " + floatText(number); }
    std::string operator()(bool flag) const { return flag ? "true" : "false"; }
    std::string operator()(Dated) const { return "a date or time"; }
  };
  return std::visit(Describer(), node.value);
}

boost::json::object toJson(const Table& table, const std::string& path, Problems& problems) {
  boost::json::object result;
  for (const Entry& entry : table)
    result[entry.key] = toJsonValue(entry.value, joinKey(path, entry.key), problems);
  return result;
}

std::string joinKey(std::string_view parent, std::string_view key) {
  return parent.empty() ? keyText(key) : strCat(parent, ".", keyText(key));
}

}  // namespace berth::config
