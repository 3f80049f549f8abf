#include "runtime_plugin.hpp"

BERTH_PLUGIN(berth::runc::RuntimePlugin,
             {.name = "runtime-runc",
              .version = "0.1.0",
              .summary = "Runs pods with Linux namespaces and an OCI runtime binary (runc, crun)",
              .threading = BERTH_THREADING_PARALLEL,
              .options = berth::runc::kOptionsDeclaration})
