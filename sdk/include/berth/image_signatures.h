/* Berth plugin ABI 1: an extension of image sources, by which a host judges images before it uses
 * them: where they come from and who has signed them. The source judges nothing: what it hands out
 * is as little trusted as an image's layers.
 *
 * Of a source without it, or without one of its functions, a host takes for granted that images
 * come from a registry (the transport "docker"), and that nobody has signed them. */
#pragma once

#include "berth/image_source.h"
#include "berth/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_EXTENSION_IMAGE_SIGNATURES "berth.image-source.signatures"

/* Receives the place. Call it once. */
typedef struct berth_image_origin_builder {
  size_t size;
  void* host;
  /* `transport` in the terms of containers-transports(5): "docker", "oci", "oci-archive",
   * "docker-archive", "dir". `location` is the absolute path of the folder or archive with links
   * resolved; empty for "docker", whose images are told apart by their references. Copies. */
  void (*set)(struct berth_image_origin_builder* builder, berth_str transport, berth_str location);
} berth_image_origin_builder;

typedef uint32_t berth_signature_kind;
enum {
  /* "Simple signing": an OpenPGP message that holds what is signed. */
  BERTH_SIGNATURE_SIMPLE = 1,
  /* sigstore, as cosign attaches it: what is signed, and a signature of it. */
  BERTH_SIGNATURE_SIGSTORE = 2
};

typedef struct berth_image_signature {
  size_t size;
  berth_signature_kind kind;
  uint32_t reserved;
  berth_bytes payload;
  berth_str signature; /* of sigstore: in base64, as its annotation has it; otherwise empty */
} berth_image_signature;

/* Receives the signatures, in any order. */
typedef struct berth_image_signature_builder {
  size_t size;
  void* host;
  /* RESOURCE_EXHAUSTED when the host takes no more, or none of that size: end the call with what
   * this returns. Copies. */
  berth_code (*add)(struct berth_image_signature_builder* builder,
                    const berth_image_signature* signature);
} berth_image_signature_builder;

typedef struct berth_image_signatures {
  size_t size;

  /* Where the document comes from that `resolve` has given for this request, and whose digest is
   * `digest`. NOT_FOUND when it is not there any more. */
  berth_code (*origin)(void* instance, const berth_op* op, const berth_image_request* request,
                       berth_str digest, berth_image_origin_builder* out, berth_error* error);

  /* All signatures of the manifest or index `digest` of the request's repository. BERTH_OK without
   * any when there are none, or nowhere to look for them; a failure when that cannot be known.
   * Errors as those of `resolve`. */
  berth_code (*signatures)(void* instance, const berth_op* op, const berth_image_request* request,
                           berth_str digest, berth_image_signature_builder* out,
                           berth_error* error);
} berth_image_signatures;

#ifdef __cplusplus
}
#endif
