#include "kata_plugin.hpp"

BERTH_PLUGIN(berth::kata::KataPlugin,
             {.name = "runtime-kata",
              .version = "0.1.0",
              .summary = "Runs pods through a containerd shim v2 (Kata Containers and others)",
              .threading = BERTH_THREADING_PARALLEL,
              .options = berth::kata::kOptionsDeclaration})
