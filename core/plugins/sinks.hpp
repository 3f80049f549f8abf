// The builders and sinks by which results leave plugin calls.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "berth/plugin.hpp"
#include "berth/snapshotter.h"
#include "plugins/taking.hpp"

namespace berth::plugins {

// Collects what is written, up to a bound.
class TextSink {
 public:
  explicit TextSink(size_t limit = 4u << 20) : limit_(limit) {}
  berth_sink* get() { return &sink_; }
  std::string& text() { return text_; }

 private:
  static berth_code write(berth_sink* sink, const void* data, size_t length) {
    auto& self = *static_cast<TextSink*>(sink->host);
    if (data == nullptr && length > 0) return BERTH_INVALID_ARGUMENT;
    if (length > self.limit_ - self.text_.size()) return BERTH_RESOURCE_EXHAUSTED;
    return detail::guard(nullptr, [&]() -> Status {
      self.text_.append(static_cast<const char*>(data), length);
      return {};
    });
  }

  const size_t limit_;
  std::string text_;
  berth_sink sink_{sizeof(berth_sink), this, &write};
};

// Collects names.
class NameCollector {
 public:
  berth_name_sink* get() { return &sink_; }
  std::vector<std::string>& names() { return names_; }
  const Taking& taking() const { return taking_; }

 private:
  static void add(berth_name_sink* sink, berth_str name) {
    auto& self = *static_cast<NameCollector*>(sink->host);
    self.taking_.take([&]() -> Status {
      self.names_.push_back(takenText(name));
      return {};
    });
  }

  Taking taking_;
  std::vector<std::string> names_;
  berth_name_sink sink_{sizeof(berth_name_sink), this, &add};
};

// The ABI's strings of a container of strings; borrowed.
template <class Container>
std::vector<berth_str> strings(const Container& items) {
  std::vector<berth_str> result;
  result.reserve(items.size());
  for (const auto& item : items) result.push_back(str(item));
  return result;
}

template <class Map>
std::vector<berth_pair> pairs(const Map& items) {
  std::vector<berth_pair> result;
  result.reserve(items.size());
  for (const auto& [key, value] : items) result.push_back({str(key), str(value)});
  return result;
}

}  // namespace berth::plugins
