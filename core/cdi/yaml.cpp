#include "cdi/yaml.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <yaml.h>

#include "berth/support/status.hpp"
#include "common/text.hpp"

namespace berth::cdi {
namespace {

namespace bj = boost::json;
using support::strCat;

constexpr int kMaximumDepth = 64;
constexpr size_t kMaximumValues = 1'000'000;

template <size_t Size>
bool isOneOf(std::string_view text, const std::array<std::string_view, Size>& words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

constexpr std::array<std::string_view, 5> kNull = {"", "~", "null", "Null", "NULL"};
constexpr std::array<std::string_view, 3> kTrue = {"true", "True", "TRUE"};
constexpr std::array<std::string_view, 3> kFalse = {"false", "False", "FALSE"};

std::optional<int64_t> wholeNumber(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
  int base = 10;
  if (common::consumePrefix(text, "0x")) {
    base = 16;
  } else if (common::consumePrefix(text, "0o") || (text.size() > 1 && text.front() == '0')) {
    base = 8;
  }
  const std::optional<uint64_t> value = common::parseNumber<uint64_t>(text, base);
  if (!value || *value > uint64_t{INT64_MAX}) return std::nullopt;
  return negative ? -static_cast<int64_t>(*value) : static_cast<int64_t>(*value);
}

bj::value plainScalar(std::string_view text) {
  if (isOneOf(text, kNull)) return nullptr;
  if (isOneOf(text, kTrue)) return true;
  if (isOneOf(text, kFalse)) return false;
  if (const auto number = wholeNumber(text)) return *number;
  return bj::string(text.data(), text.size());
}

// An event of the parser, freed with its owner.
class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { yaml_event_delete(&event_); }

  bool next(yaml_parser_t& parser) {
    yaml_event_delete(&event_);
    event_ = {};
    return yaml_parser_parse(&parser, &event_) != 0;
  }
  const yaml_event_t& get() const { return event_; }

 private:
  yaml_event_t event_{};
};

std::string textOf(const yaml_char_t* text) {
  return text != nullptr ? reinterpret_cast<const char*>(text) : "";
}

size_t countValues(const bj::value& value) {
  size_t count = 1;
  if (const bj::array* array = value.if_array())
    for (const bj::value& element : *array) count += countValues(element);
  if (const bj::object* object = value.if_object())
    for (const auto& member : *object) count += countValues(member.value());
  return count;
}

class Reader {
 public:
  Reader(std::string_view text, std::string_view what) : what_(what) {
    yaml_parser_initialize(&parser_);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { yaml_parser_delete(&parser_); }

  absl::StatusOr<bj::value> document() {
    BERTH_RETURN_IF_ERROR(expect(YAML_STREAM_START_EVENT));
    BERTH_RETURN_IF_ERROR(advance());
    if (type() == YAML_STREAM_END_EVENT) return bj::value();
    BERTH_RETURN_IF_ERROR(advance());
    BERTH_ASSIGN_OR_RETURN(bj::value result, value(0));
    BERTH_RETURN_IF_ERROR(expect(YAML_DOCUMENT_END_EVENT));
    BERTH_RETURN_IF_ERROR(advance());
    if (type() != YAML_STREAM_END_EVENT) return wrong("there is more than one document");
    return result;
  }

 private:
  yaml_event_type_t type() const { return event_.get().type; }

  absl::Status advance() {
    if (event_.next(parser_)) return absl::OkStatus();
    const char* const problem = parser_.problem != nullptr ? parser_.problem : "no YAML";
    return at(parser_.problem_mark, problem);
  }

  absl::Status expect(yaml_event_type_t wanted) {
    BERTH_RETURN_IF_ERROR(advance());
    if (type() == wanted) return absl::OkStatus();
    return wrong("this does not belong here");
  }

  absl::Status at(const yaml_mark_t& mark, std::string_view problem) const {
    return absl::InvalidArgumentError(
        strCat(what_, ":", mark.line + 1, ":", mark.column + 1, ": ", problem));
  }
  absl::Status wrong(std::string_view problem) const {
    return at(event_.get().start_mark, problem);
  }

  // The value that begins with the current event.
  absl::StatusOr<bj::value> value(int depth) {
    if (depth > kMaximumDepth) return wrong(strCat("nested deeper than ", kMaximumDepth));
    if (++values_ > kMaximumValues) return wrong(strCat("more than ", kMaximumValues, " values"));
    switch (type()) {
      case YAML_SCALAR_EVENT:
        return scalar();
      case YAML_SEQUENCE_START_EVENT:
        return sequence(depth);
      case YAML_MAPPING_START_EVENT:
        return mapping(depth);
      case YAML_ALIAS_EVENT:
        return alias();
      default:
        return wrong("a value is missing here");
    }
  }

  absl::StatusOr<bj::value> scalar() {
    const auto& scalar = event_.get().data.scalar;
    const std::string_view text(reinterpret_cast<const char*>(scalar.value), scalar.length);
    const std::string tag = textOf(scalar.tag);
    bj::value result;
    if (tag == YAML_STR_TAG || tag == "!" ||
        (tag.empty() && scalar.quoted_implicit != 0 && scalar.plain_implicit == 0)) {
      result = bj::string(text.data(), text.size());
    } else if (tag.empty()) {
      result = scalar.style == YAML_PLAIN_SCALAR_STYLE
                   ? plainScalar(text)
                   : bj::value(bj::string(text.data(), text.size()));
    } else {
      return wrong(strCat("the tag ", tag, " is not supported"));
    }
    remember(textOf(scalar.anchor), result);
    return result;
  }

  absl::StatusOr<bj::value> sequence(int depth) {
    const std::string anchor = textOf(event_.get().data.sequence_start.anchor);
    bj::array array;
    for (;;) {
      BERTH_RETURN_IF_ERROR(advance());
      if (type() == YAML_SEQUENCE_END_EVENT) break;
      BERTH_ASSIGN_OR_RETURN(bj::value element, value(depth + 1));
      array.push_back(std::move(element));
    }
    remember(anchor, array);
    return bj::value(std::move(array));
  }

  absl::StatusOr<bj::value> mapping(int depth) {
    const std::string anchor = textOf(event_.get().data.mapping_start.anchor);
    bj::object object;
    for (;;) {
      BERTH_RETURN_IF_ERROR(advance());
      if (type() == YAML_MAPPING_END_EVENT) break;
      if (type() != YAML_SCALAR_EVENT) return wrong("a key must be text");
      const auto& scalar = event_.get().data.scalar;
      const bj::string key(reinterpret_cast<const char*>(scalar.value), scalar.length);
      if (object.contains(key))
        return wrong(
            strCat("the key ", std::string_view(key.data(), key.size()), " is given twice"));
      BERTH_RETURN_IF_ERROR(advance());
      BERTH_ASSIGN_OR_RETURN(object[key], value(depth + 1));
    }
    remember(anchor, object);
    return bj::value(std::move(object));
  }

  absl::StatusOr<bj::value> alias() {
    const std::string name = textOf(event_.get().data.alias.anchor);
    const auto found = anchors_.find(name);
    if (found == anchors_.end()) return wrong(strCat("there is no anchor ", name, " before this"));
    // An alias of aliases of aliases grows without bound.
    values_ += found->second.size;
    if (values_ > kMaximumValues) return wrong(strCat("more than ", kMaximumValues, " values"));
    return found->second.value;
  }

  void remember(const std::string& anchor, const bj::value& value) {
    if (!anchor.empty()) anchors_[anchor] = {value, countValues(value)};
  }

  struct Anchor {
    bj::value value;
    size_t size = 0;
  };

  const std::string_view what_;
  yaml_parser_t parser_{};
  Event event_;
  size_t values_ = 0;
  std::map<std::string, Anchor> anchors_;
};

}  // namespace

absl::StatusOr<bj::value> parseYaml(std::string_view text, std::string_view what) {
  return Reader(text, what).document();
}

}  // namespace berth::cdi
