/* Berth plugin ABI 1: image sources. A source turns a reference into a manifest and fetches the
 * content the manifest names: registries, layouts, archives, peers.
 *
 * References are complete: "registry.example/library/app:1.0", "…@sha256:…", or both.
 * Objects for BERTH_THREADING_PER_OBJECT are references. */
#pragma once

#include "berth/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_IMAGE_SOURCE_INTERFACE "berth.image-source/1"

typedef struct berth_image_request {
  size_t size;
  berth_str reference;
  const berth_credentials* credentials; /* given with the request; NULL: the source's own */
} berth_image_request;

/* Receives the document behind a reference: an image manifest, an index, or an artifact. */
typedef struct berth_resolve_builder {
  size_t size;
  void* host;
  /* `descriptor` describes `document`, byte for byte as stored at the source; its digest has been
   * computed from the bytes, never taken from a header. Copies. */
  void (*set)(struct berth_resolve_builder* builder, const berth_descriptor* descriptor,
              berth_bytes document);
} berth_resolve_builder;

typedef struct berth_image_source {
  size_t size;

  /* Not 0 when this source may know the reference: a cheap answer from the name alone. The host
   * asks its sources in the configured order; NOT_FOUND from one lets it ask the next. */
  int32_t (*serves)(void* instance, berth_str reference);

  /* Finds the document a reference names. NOT_FOUND, PERMISSION_DENIED, UNAUTHENTICATED,
   * RESOURCE_EXHAUSTED (past `limit` bytes), UNAVAILABLE with every attempt in the message. */
  berth_code (*resolve)(void* instance, const berth_op* op, const berth_image_request* request,
                        uint64_t limit, berth_resolve_builder* out, berth_error* error);

  /* Writes a blob's or manifest's bytes from `offset` on into `out`, in order, in pieces of any
   * size. At most blob_size bytes in all. The host checks the digest. May be called for several
   * blobs at the same time. After a failure the host may call again with the offset reached. */
  berth_code (*fetch)(void* instance, const berth_op* op, const berth_image_request* request,
                      const berth_descriptor* descriptor, uint64_t offset, berth_sink* out,
                      berth_error* error);
} berth_image_source;

#ifdef __cplusplus
}
#endif
