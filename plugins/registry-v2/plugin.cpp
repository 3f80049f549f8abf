// The entry of the plugin.
#include "source.hpp"

BERTH_PLUGIN(berth::registry::RegistrySource,
             {.name = "registry-v2",
              .version = "0.1.0",
              .summary = "Images from OCI distribution and Docker Registry V2 servers",
              .threading = BERTH_THREADING_PARALLEL,
              .options = berth::registry::kDeclaredOptions})
