// The limit of open files (RLIMIT_NOFILE) that children get.
//
// A host that has raised its own soft limit must not hand it on: what it starts may use select(2),
// or visit each descriptor up to the limit (getrlimit(2)). It defines `berth_child_open_files`, the
// soft limit that it was started with; 0, or no such symbol, has children inherit.
#pragma once

#include <cstdint>

// Weak, so that it may be missing; visible, so that a plugin finds the program's. Written before
// there are threads.
extern "C" __attribute__((weak, visibility("default"))) uint64_t berth_child_open_files;

namespace berth::support {

inline uint64_t childOpenFiles() {
  return &berth_child_open_files != nullptr ? berth_child_open_files : 0;
}

}  // namespace berth::support
