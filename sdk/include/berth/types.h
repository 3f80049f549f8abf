/* Berth plugin ABI 1: types that every kind of plugin shares.
 *
 * Rules that hold for the whole ABI
 *
 * Structs. Every struct starts with `size`, set by the side that fills it to sizeof of the struct
 * as that side knows it. Structs grow only at their end within ABI major 1. The reader copies the
 * smaller of both sizes into a zeroed struct of its own, so a member the writer did not know reads
 * as zero. In an array of such structs the step to the next element is the `size` of the first, not
 * sizeof: use berth_at. Small value types (berth_str, berth_bytes, berth_pair, berth_id_mapping,
 * berth_psi, berth_port_mapping) have no size and never change.
 *
 * Ownership. What one side passes to the other is borrowed for the length of the call, unless the
 * function says otherwise. No side frees memory of the other: results leave a call through
 * builders and sinks that the caller owns, which copy what they are given. File descriptors are
 * borrowed too: a callee that needs one after the call duplicates it.
 *
 * Text is UTF-8 unless it is a path, which is bytes without NUL; neither needs a terminating NUL.
 * A berth_str with data == NULL or size == 0 is "not given".
 *
 * Errors. A function that can fail returns a berth_code; anything but BERTH_OK also sets the
 * call's berth_error. Codes mean what the gRPC canonical codes mean (grpc/status.h), because they
 * reach the kubelet as such. The message says what was being done, to what, and what to do.
 *
 * Exceptions never cross a call, in either direction.
 *
 * Threads. The host calls a plugin from any of its threads, as often at once as the plugin's
 * declared `berth_threading` allows. Builders, sinks, streams, errors and operations belong to
 * their call: they may be used by several threads of the plugin during the call only where said.
 *
 * Units. Times are nanoseconds in int64_t: deadlines on CLOCK_MONOTONIC, timestamps on
 * CLOCK_REALTIME since 1970. Sizes are bytes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_ABI_MAJOR 1u
#define BERTH_ABI_MINOR 1u

#if defined(__GNUC__)
#define BERTH_EXPORT __attribute__((visibility("default")))
#else
#define BERTH_EXPORT
#endif

/* For what these headers define themselves: users may have warnings against C's casts in C++ on. */
#ifdef __cplusplus
#define BERTH_CAST(type, value) static_cast<type>(value)
#else
#define BERTH_CAST(type, value) ((type)(value))
#endif

typedef struct berth_str {
  const char* data;
  size_t size;
} berth_str;

typedef struct berth_bytes {
  const void* data;
  size_t size;
} berth_bytes;

/* Initialiser of a static berth_str from a literal. */
#define BERTH_STR_INIT(literal) \
  { (literal), sizeof(literal) - 1 }

typedef struct berth_pair {
  berth_str key;
  berth_str value;
} berth_pair;

/* A range of user or group ids (OCI runtime spec, "User namespace mappings"). */
typedef struct berth_id_mapping {
  uint32_t container_id;
  uint32_t host_id;
  uint32_t length;
} berth_id_mapping;

/* Element `index` of an array of sized structs, as the side that made it laid it out. */
static inline const void* berth_at(const void* array, size_t index) {
  return BERTH_CAST(const char*, array) + index * *BERTH_CAST(const size_t*, array);
}

/* gRPC canonical codes. */
typedef int32_t berth_code;
enum {
  BERTH_OK = 0,
  BERTH_CANCELLED = 1,
  BERTH_UNKNOWN = 2,
  BERTH_INVALID_ARGUMENT = 3,
  BERTH_DEADLINE_EXCEEDED = 4,
  BERTH_NOT_FOUND = 5,
  BERTH_ALREADY_EXISTS = 6,
  BERTH_PERMISSION_DENIED = 7,
  BERTH_RESOURCE_EXHAUSTED = 8,
  BERTH_FAILED_PRECONDITION = 9,
  BERTH_ABORTED = 10,
  BERTH_OUT_OF_RANGE = 11,
  BERTH_UNIMPLEMENTED = 12,
  BERTH_INTERNAL = 13,
  BERTH_UNAVAILABLE = 14,
  BERTH_DATA_LOSS = 15,
  BERTH_UNAUTHENTICATED = 16
};

/* Where a failing call leaves its message. Owned by the caller; valid during the call. Setting it
 * again replaces the message. The caller may pass NULL: the functions below cope. */
typedef struct berth_error {
  size_t size;
  void* host;
  void (*set)(struct berth_error* error, berth_code code, berth_str message);
} berth_error;

/* Sets `error` and returns `code`, so that a plugin can end with `return berth_fail(…)`. */
static inline berth_code berth_fail(berth_error* error, berth_code code, berth_str message) {
  if (error && error->set) error->set(error, code, message);
  return code;
}

/* One long call, seen by the plugin: how long it may take, whether it is still wanted, and where
 * the plugin says what it is doing. Functions may be called from any thread during the call, and
 * never block. After cancellation or the deadline the plugin returns within a second with
 * BERTH_CANCELLED or BERTH_DEADLINE_EXCEEDED, leaving nothing half-made. */
typedef struct berth_op {
  size_t size;
  void* host;
  int64_t deadline;  /* CLOCK_MONOTONIC, nanoseconds; INT64_MAX: none */
  int32_t cancel_fd; /* becomes readable on cancellation, for poll(2); never read from it */
  int32_t (*cancelled)(const struct berth_op* op); /* not 0: cancelled or past the deadline */
  /* Names the stage the call is in ("fetch sha256:…"): shown when it hangs and in traces. */
  void (*stage)(const struct berth_op* op, berth_str name);
  /* How much is done, in bytes; total 0 when it is not known. */
  void (*progress)(const struct berth_op* op, uint64_t done, uint64_t total);
} berth_op;

/* Where a call writes bytes or a document. `write` copies or consumes before it returns and may
 * block; anything but BERTH_OK tells the plugin to stop and return that code. One thread at a
 * time. */
typedef struct berth_sink {
  size_t size;
  void* host;
  berth_code (*write)(struct berth_sink* sink, const void* data, size_t length);
} berth_sink;

/* Where a call reads bytes. `next` lends the next piece, valid until the following `next` or the
 * end of the call; a piece of size 0 is the end. It blocks; anything but BERTH_OK tells the plugin
 * to stop and return that code. One thread at a time. */
typedef struct berth_stream {
  size_t size;
  void* host;
  berth_code (*next)(struct berth_stream* stream, berth_bytes* piece);
} berth_stream;

/* Content in a registry or layout (OCI image spec, "Content Descriptors"). */
typedef struct berth_descriptor {
  size_t size;
  berth_str media_type;
  berth_str digest;      /* "sha256:…" */
  uint64_t blob_size;    /* bytes */
  const berth_str* urls; /* further places to fetch it from; may be NULL */
  size_t url_count;
  const berth_pair* annotations; /* may be NULL */
  size_t annotation_count;
} berth_descriptor;

/* What proves the right to a registry (CRI AuthConfig). Empty members are not given. Never log
 * them and keep them no longer than the call. */
typedef struct berth_credentials {
  size_t size;
  berth_str username;
  berth_str password;
  berth_str auth; /* base64 of "username:password" */
  berth_str server_address;
  berth_str identity_token; /* OAuth2 refresh token */
  berth_str registry_token; /* bearer token for the registry itself */
} berth_credentials;

#ifdef __cplusplus
}
#endif
