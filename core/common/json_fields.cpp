#include "common/json_fields.hpp"

#include <algorithm>

#include "berth/support/status.hpp"

namespace berth::common {
namespace {

namespace bj = boost::json;
using support::strCat;

std::optional<int64_t> wholeNumber(const bj::value& value) {
  if (const int64_t* number = value.if_int64()) return *number;
  // What does not fit is more than any member may be.
  return std::nullopt;
}

}  // namespace

JsonFields::JsonFields(const bj::value& value, std::string path, Texts texts, absl::Status& status)
    : object_(value.if_object()), path_(std::move(path)), texts_(texts), status_(status) {
  if (object_ == nullptr) wrong("", "must be an object");
}

JsonFields::~JsonFields() {
  if (object_ == nullptr || !status_.ok()) return;
  for (const auto& [key, value] : *object_) {
    const std::string_view name(key.data(), key.size());
    if (!known_.contains(name)) wrong(name, "is unknown");
  }
}

std::string JsonFields::pathOf(std::string_view key) const {
  if (key.empty()) return path_.empty() ? "the document" : path_;
  return path_.empty() ? std::string(key) : strCat(path_, ".", key);
}

void JsonFields::wrong(std::string_view key, std::string_view problem) {
  if (status_.ok()) status_ = absl::InvalidArgumentError(strCat(pathOf(key), " ", problem));
}

const bj::value* JsonFields::find(std::string_view key) {
  known_.emplace(key);
  if (object_ == nullptr) return nullptr;
  const bj::value* value = object_->if_contains({key.data(), key.size()});
  return value == nullptr || value->is_null() ? nullptr : value;
}

bool JsonFields::asText(const bj::value& value, std::string& out) const {
  if (const bj::string* text = value.if_string()) {
    out.assign(text->data(), text->size());
    return true;
  }
  if (texts_ != Texts::kLoose || value.is_structured()) return false;
  out = bj::serialize(value);
  return true;
}

void JsonFields::text(std::string_view key, std::string& out) {
  const bj::value* value = find(key);
  if (value != nullptr && !asText(*value, out)) wrong(key, "must be a string");
}

void JsonFields::texts(std::string_view key, std::vector<std::string>& out) {
  const bj::value* value = find(key);
  if (value == nullptr) return;
  const bj::array* array = value->if_array();
  if (array == nullptr) return wrong(key, "must be an array of strings");
  for (const bj::value& element : *array) {
    std::string text;
    if (!asText(element, text)) return wrong(key, "must be an array of strings");
    out.push_back(std::move(text));
  }
}

void JsonFields::textMap(std::string_view key, std::map<std::string, std::string>& out) {
  const bj::value* value = find(key);
  if (value == nullptr) return;
  const bj::object* object = value->if_object();
  if (object == nullptr) return wrong(key, "must be an object of strings");
  for (const auto& [name, element] : *object) {
    std::string text;
    if (!asText(element, text)) return wrong(key, "must be an object of strings");
    out[std::string(name.data(), name.size())] = std::move(text);
  }
}

void JsonFields::flag(std::string_view key, std::optional<bool>& out) {
  const bj::value* value = find(key);
  if (value == nullptr) return;
  if (!value->is_bool()) return wrong(key, "must be true or false");
  out = value->get_bool();
}

void JsonFields::whole(std::string_view key, int64_t minimum, int64_t maximum,
                       std::optional<int64_t>& out) {
  const bj::value* value = find(key);
  if (value == nullptr) return;
  const std::optional<int64_t> number = wholeNumber(*value);
  if (!number || *number < minimum || *number > maximum)
    return wrong(key, strCat("must be a whole number from ", minimum, " to ", maximum));
  out = number;
}

void JsonFields::wholes(std::string_view key, int64_t minimum, int64_t maximum,
                        std::vector<int64_t>& out) {
  const bj::value* value = find(key);
  if (value == nullptr) return;
  const bj::array* array = value->if_array();
  const auto fits = [&](const bj::value& element) {
    const std::optional<int64_t> number = wholeNumber(element);
    return number && *number >= minimum && *number <= maximum;
  };
  if (array == nullptr || !std::all_of(array->begin(), array->end(), fits))
    return wrong(key, strCat("must be an array of whole numbers from ", minimum, " to ", maximum));
  for (const bj::value& element : *array) out.push_back(element.get_int64());
}

void JsonFields::object(std::string_view key, const Read& read) {
  const bj::value* value = find(key);
  if (value == nullptr) return;
  JsonFields fields(*value, pathOf(key), texts_, status_);
  if (fields.object_ != nullptr) read(fields);
}

void JsonFields::list(std::string_view key, const Read& read) {
  const bj::value* value = find(key);
  if (value == nullptr) return;
  const bj::array* array = value->if_array();
  if (array == nullptr) return wrong(key, "must be an array of objects");
  for (size_t i = 0; i < array->size() && status_.ok(); ++i) {
    JsonFields fields((*array)[i], strCat(pathOf(key), "[", i, "]"), texts_, status_);
    if (fields.object_ != nullptr) read(fields);
  }
}

}  // namespace berth::common
