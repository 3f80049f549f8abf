// The entry of the plugin.
#include "network.hpp"

BERTH_PLUGIN(berth::cni::CniNetwork, {.name = "network-cni",
                                      .version = "0.1.0",
                                      .summary = "Pod networks by CNI plugins (CNI spec 1.1)",
                                      .threading = BERTH_THREADING_PARALLEL,
                                      .options = berth::cni::kDeclaredOptions})
