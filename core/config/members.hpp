// Tables of files that other programs define, read member by member.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/document.hpp"

namespace berth::config {

// Members of another type than asked for are problems; what nobody has asked for is left. The
// table must outlive it.
class Members {
 public:
  Members(const Table& table, Problems& problems) : table_(table), problems_(problems) {}

  std::string text(std::string_view key);
  bool flag(std::string_view key);
  // A string counts as an array of one.
  std::vector<std::string> texts(std::string_view key);
  // In the order in which they are written.
  std::vector<const Table*> tables(std::string_view key);
  std::vector<const Entry*> entries(std::string_view key);
  // Null when it is not there.
  const Node* node(std::string_view key);
  // The keys that have not been asked for.
  std::vector<std::string> rest() const;

 private:
  void mismatch(const Node& node, std::string_view key, std::string_view expected);

  const Table& table_;
  Problems& problems_;
  std::set<std::string, std::less<>> asked_;
};

// In the order in which they are written, which parsing does not keep.
std::vector<const Entry*> inOrder(const Table& table);

}  // namespace berth::config
