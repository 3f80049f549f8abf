// Reads JSON objects of a format whose every member is known.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <boost/json.hpp>

namespace berth::common {

// Reads members by name and type, and collects the first thing that is wrong: INVALID_ARGUMENT
// with the member's path ("devices[0].name"). Members that are missing or null leave the target as
// it is. What was never asked for is unknown.
class JsonFields {
 public:
  enum class Texts {
    kStrict,  // strings alone
    // Numbers and booleans too: YAML makes those of a name like 0 that nobody quoted.
    kLoose,
  };
  using Read = std::function<void(JsonFields&)>;

  // The document and the status are borrowed.
  JsonFields(const boost::json::value& value, std::string path, Texts texts, absl::Status& status);
  JsonFields(boost::json::value&&, std::string, Texts, absl::Status&) = delete;
  // Complains of members that were not read.
  ~JsonFields();
  JsonFields(const JsonFields&) = delete;
  JsonFields& operator=(const JsonFields&) = delete;

  void text(std::string_view key, std::string& out);
  void texts(std::string_view key, std::vector<std::string>& out);
  void textMap(std::string_view key, std::map<std::string, std::string>& out);
  void flag(std::string_view key, std::optional<bool>& out);
  // In the range of its type.
  template <class Number>
  void number(std::string_view key, std::optional<Number>& out) {
    std::optional<int64_t> value;
    whole(key, std::numeric_limits<Number>::min(), std::numeric_limits<Number>::max(), value);
    if (value) out = static_cast<Number>(*value);
  }
  template <class Number>
  void numbers(std::string_view key, std::vector<Number>& out) {
    std::vector<int64_t> values;
    wholes(key, std::numeric_limits<Number>::min(), std::numeric_limits<Number>::max(), values);
    for (int64_t value : values) out.push_back(static_cast<Number>(value));
  }
  // An object, and each object of a list.
  void object(std::string_view key, const Read& read);
  void list(std::string_view key, const Read& read);

  const std::string& path() const { return path_; }
  bool ok() const { return status_.ok(); }
  // "<path>.<key> <problem>"; the first one stays.
  void wrong(std::string_view key, std::string_view problem);

 private:
  const boost::json::value* find(std::string_view key);
  std::string pathOf(std::string_view key) const;
  bool asText(const boost::json::value& value, std::string& out) const;
  void whole(std::string_view key, int64_t minimum, int64_t maximum, std::optional<int64_t>& out);
  void wholes(std::string_view key, int64_t minimum, int64_t maximum, std::vector<int64_t>& out);

  const boost::json::object* object_ = nullptr;  // null once something is wrong with it
  const std::string path_;
  const Texts texts_;
  absl::Status& status_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace berth::common
