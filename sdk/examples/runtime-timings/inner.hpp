// Another runtime plugin, within this one: loaded and led through its life as a host does it.
#pragma once

#include <berth/plugin.hpp>
#include <berth/runtime.h>
#include <string>
#include <string_view>

namespace timed {

class Inner {
 public:
  Inner() = default;
  Inner(const Inner&) = delete;
  Inner& operator=(const Inner&) = delete;
  ~Inner();

  // Loads the plugin called `name`, makes an instance with the host's own table and configures it.
  // `options`: what the configuration has for it, a JSON object.
  berth::Status load(const berth::Host& host, const std::string& name, std::string_view options);
  berth::Status start();
  void stop();
  berth::Status examine(const berth::Op& op, berth_finding_sink* out) const;

  const berth_runtime& calls() const { return calls_; }
  void* instance() const { return instance_; }
  // As the other one knows it; its `size` is 0 when it is not offered.
  template <class Table>
  Table extension(std::string_view id) const {
    const void* found = description_.get_extension != nullptr
                            ? description_.get_extension(instance_, berth::str(id), 1)
                            : nullptr;
    return found != nullptr ? berth::detail::known(static_cast<const Table*>(found)) : Table{};
  }

 private:
  berth::Status open(const berth::Host& host, const std::string& path);
  berth::Status complete(std::string_view given, std::string& options) const;

  berth_plugin description_{};
  berth_runtime calls_{};
  void* instance_ = nullptr;
};

}  // namespace timed
