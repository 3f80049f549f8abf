// The entry of the plugin.
#include "source.hpp"

BERTH_PLUGIN(berth::layout::LayoutSource,
             {.name = "source-oci-layout",
              .version = "0.1.0",
              .summary = "Images from OCI layouts and archives on this node",
              .threading = BERTH_THREADING_PARALLEL,
              .options = berth::layout::kDeclaredOptions})
