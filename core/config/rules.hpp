// The rules that values are checked by.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/keys.hpp"

namespace berth::config {

Rule anyText();
Rule nonEmptyText();
Rule absolutePath();
Rule absolutePathOrEmpty();
Rule socketPath();
Rule ipAddress();
Rule oneOf(std::vector<std::string> choices);
Rule between(int64_t minimum, int64_t maximum);
Rule permissionBits();
Rule platformOrEmpty();
Rule pluginName();
Rule instanceName();  // of a table, or of what a key refers to
Rule instanceNameOrEmpty();
Rule tableOfOptions();

// The same rule for each element of a list of at least `minimum` elements.
Rule listOf(Rule element, int64_t minimum = 0);
Rule capabilities();
Rule ulimits();
Rule environment();
Rule sysctls();
Rule annotationEntries();
Rule searchRegistries();
Rule shortNames();

// Whether an address that ipAddress() takes is only reached from this host.
bool isLoopback(std::string_view address);

}  // namespace berth::config
