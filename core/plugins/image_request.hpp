// A request to an image source as the ABI has it.
#pragma once

#include "berth/image_source.h"
#include "berth/plugin.hpp"
#include "plugins/image_source.hpp"

namespace berth::plugins {

// berth_image_request and what it points to.
struct AbiRequest {
  explicit AbiRequest(const ImageRequest& request) {
    if (request.credentials != nullptr) {
      const Credentials& given = *request.credentials;
      credentials = {.size = sizeof(berth_credentials),
                     .username = str(given.username),
                     .password = str(given.password),
                     .auth = str(given.auth),
                     .server_address = str(given.serverAddress),
                     .identity_token = str(given.identityToken),
                     .registry_token = str(given.registryToken)};
    }
    abi = {.size = sizeof(berth_image_request),
           .reference = str(request.reference),
           .credentials = request.credentials != nullptr ? &credentials : nullptr};
  }
  AbiRequest(const AbiRequest&) = delete;
  AbiRequest& operator=(const AbiRequest&) = delete;

  berth_credentials credentials{};
  berth_image_request abi{};
};

}  // namespace berth::plugins
