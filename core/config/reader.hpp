// Turns the merged document into a Config, by the declaration of the keys.
#pragma once

#include <map>
#include <string>

#include "config/config.hpp"
#include "config/document.hpp"

namespace berth::config {

class Reader {
 public:
  explicit Reader(Problems& problems);

  // Everything that is wrong goes to the problems; the result only counts if there are none.
  Config read(const Table& document);

 private:
  void readSection(std::string_view section, const Table& table);
  void readInstances(std::string_view section, const Table& table);
  void readInstance(std::string_view section, const Entry& entry);
  void readKey(const struct Key& key, const std::string& path, const Entry& entry, void* object);
  void addPlace(const std::string& path, const Location& where);
  void unknownKey(const std::string& path, std::string_view section, std::string_view instance,
                  const Entry& entry);
  void checkReferences();
  void checkStreaming();
  template <typename Instances>
  void checkReference(const std::string& path, const std::string& name, const Instances& instances,
                      std::string_view section);
  const Location& placeOf(const std::string& path) const;

  Problems& problems_;
  Config config_;
  std::map<std::string, Location> places_;  // of what the files give, by key
};

}  // namespace berth::config
