#include "signatures/strict_json.hpp"

#include <set>
#include <string>
#include <vector>

#include <boost/json/basic_parser_impl.hpp>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"

namespace berth::signatures {

namespace json = boost::json;

namespace {

// Looks at names alone (Boost.JSON, "basic_parser").
class NameHandler {
 public:
  using Error = boost::system::error_code;
  static constexpr size_t max_object_size = static_cast<size_t>(-1);
  static constexpr size_t max_array_size = static_cast<size_t>(-1);
  static constexpr size_t max_key_size = static_cast<size_t>(-1);
  static constexpr size_t max_string_size = static_cast<size_t>(-1);

  const std::string& twice() const { return twice_; }

  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }
  bool on_object_begin(Error&) {
    names_.emplace_back();
    return true;
  }
  bool on_object_end(size_t, Error&) {
    names_.pop_back();
    return true;
  }
  bool on_array_begin(Error&) { return true; }
  bool on_array_end(size_t, Error&) { return true; }
  bool on_key_part(json::string_view part, size_t, Error&) {
    name_.append(part.data(), part.size());
    return true;
  }
  bool on_key(json::string_view part, size_t, Error& error) {
    name_.append(part.data(), part.size());
    if (names_.back().insert(name_).second) {
      name_.clear();
      return true;
    }
    twice_ = name_;
    error = json::error::extra_data;
    return false;
  }
  bool on_string_part(json::string_view, size_t, Error&) { return true; }
  bool on_string(json::string_view, size_t, Error&) { return true; }
  bool on_number_part(json::string_view, Error&) { return true; }
  bool on_int64(int64_t, json::string_view, Error&) { return true; }
  bool on_uint64(uint64_t, json::string_view, Error&) { return true; }
  bool on_double(double, json::string_view, Error&) { return true; }
  bool on_bool(bool, Error&) { return true; }
  bool on_null(Error&) { return true; }
  bool on_comment_part(json::string_view, Error&) { return true; }
  bool on_comment(json::string_view, Error&) { return true; }

 private:
  std::vector<std::set<std::string>> names_;  // of the objects that are open
  std::string name_;
  std::string twice_;
};

}  // namespace

absl::StatusOr<json::value> parseStrictJson(std::string_view text, std::string_view what) {
  // Has bounded the nesting before names are looked at.
  BERTH_ASSIGN_OR_RETURN(json::value value, support::parseJson(text, what));
  json::parse_options options;
  options.max_depth = 64;
  json::basic_parser<NameHandler> parser(options);
  boost::system::error_code error;
  parser.write_some(false, text.data(), text.size(), error);
  if (!parser.handler().twice().empty())
    return absl::InvalidArgumentError(support::strCat(
        "parse ", what, ": the member \"", parser.handler().twice(), "\" is there twice"));
  if (error)
    return absl::InvalidArgumentError(support::strCat("parse ", what, ": ", error.message()));
  return value;
}

}  // namespace berth::signatures
