// What the commands print. Much of it was written by others: plugins, images, registries, pods.
#pragma once

namespace berth::program {

// As printf(3), to standard output; what a terminal would obey is shown (common::forTerminal).
[[gnu::format(printf, 1, 2)]] void print(const char* format, ...);
// The same to standard error.
[[gnu::format(printf, 1, 2)]] void printError(const char* format, ...);

}  // namespace berth::program
