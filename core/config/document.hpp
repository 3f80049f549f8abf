// TOML files as trees that know where each value was written.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

#include <absl/status/status.h>
#include <boost/json/value.hpp>

namespace berth::config {

struct Location {
  std::shared_ptr<const std::string> file;  // null for what is built in
  uint32_t line = 0;                        // both count from 1
  uint32_t column = 0;                      // in characters, not bytes
  std::string text() const;
};

// What is wrong with the files, collected so that all of it is told at once.
class Problems {
 public:
  void add(const Location& where, std::string message);
  bool empty() const { return problems_.empty(); }
  // Of the one that was added first; 0 when there are none.
  uint32_t firstLine() const { return problems_.empty() ? 0 : problems_.front().where.line; }
  // One line for each, in the order of files and lines; OK when there are none.
  absl::Status status() const;

 private:
  struct Problem {
    Location where;
    std::string message;
  };
  std::vector<Problem> problems_;
};

struct Entry;
struct Dated {};  // one of TOML's dates and times, which no key takes
using Array = std::vector<struct Node>;
using Table = std::vector<Entry>;

struct Node {
  Location where;
  std::variant<Table, Array, std::string, int64_t, double, bool, Dated> value;
};

struct Entry {
  std::string key;
  Location where;  // of the key
  Node value;
};

// Nothing when the text is no TOML; the reason is in `problems`.
std::optional<Table> parseDocument(std::string_view text, const std::string& file,
                                   Problems& problems);

// What stands before the first line that is no TOML.
Table parseBeginning(std::string_view text, const std::string& file);

// Tables key by key; anything else replaces what was there.
void merge(Table& base, Table over);

// "a table", "the string \"x\"", "the integer 7", ...: for messages.
std::string describe(const Node& node);

// For the options of plugins. Dates, infinities and NaN, which JSON lacks, are problems; `path` is
// the key's, for their messages.
boost::json::object toJson(const Table& table, const std::string& path, Problems& problems);

// "a.b" and "c" make "a.b.c"; an empty parent adds nothing; odd names are quoted as TOML has them.
std::string joinKey(std::string_view parent, std::string_view key);

}  // namespace berth::config
