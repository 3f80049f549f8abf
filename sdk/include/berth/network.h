/* Berth plugin ABI 1: networks. A network connects a pod's network namespace and releases what it
 * took.
 *
 * Objects for BERTH_THREADING_PER_OBJECT are pods. */
#pragma once

#include "berth/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_NETWORK_INTERFACE "berth.network/1"

/* An annotation of the request to detach, which the host alone sets: an operator has given the
 * attachment up. See detach. */
#define BERTH_NETWORK_ABANDONED "berth.network/abandoned"

typedef int32_t berth_protocol;
enum { BERTH_PROTOCOL_TCP = 0, BERTH_PROTOCOL_UDP = 1, BERTH_PROTOCOL_SCTP = 2 };

typedef struct berth_port_mapping {
  berth_protocol protocol;
  int32_t container_port;
  int32_t host_port;
  int32_t reserved;
  berth_str host_ip; /* empty: all addresses */
} berth_port_mapping;

typedef struct berth_network_request {
  size_t size;
  berth_str pod; /* the pod sandbox's id */
  berth_str name;
  berth_str pod_namespace;
  berth_str uid;
  berth_str namespace_path; /* of the network namespace; in detach empty when gone or unknown */
  berth_str cgroup_path;
  const berth_pair* annotations;
  size_t annotation_count;
  const berth_port_mapping* port_mappings; /* those with a host port */
  size_t port_mapping_count;
  uint64_t ingress_rate, ingress_burst; /* bits per second, bits; 0: not limited */
  uint64_t egress_rate, egress_burst;
  const berth_str* dns_servers;
  size_t dns_server_count;
  const berth_str* dns_searches;
  size_t dns_search_count;
  const berth_str* dns_options;
  size_t dns_option_count;
  const berth_str* ips; /* addresses asked for; may be NULL: CRI has no field for them */
  size_t ip_count;
  berth_str mac; /* asked for; may be empty, for the same reason */
} berth_network_request;

typedef struct berth_network_builder {
  size_t size;
  void* host;
  /* One of the pod's addresses, without prefix length; the first one is the pod's main address. The
   * call fails when it is none: it becomes a line of /etc/hosts. */
  void (*add_address)(struct berth_network_builder* builder, berth_str address);
  /* The whole result for people and tools: CNI result JSON (CNI spec 1.1, section 5) or similar. */
  void (*set_result)(struct berth_network_builder* builder, berth_str json);
  /* Opaque state that detach, check and gc need. */
  void (*set_state)(struct berth_network_builder* builder, berth_bytes state);
} berth_network_builder;

/* An attachment that is still wanted. */
typedef struct berth_attachment {
  size_t size;
  berth_str pod;
  berth_bytes state;
} berth_attachment;

typedef struct berth_network {
  size_t size;

  /* Brings up loopback and connects the namespace. On failure everything taken is given back. */
  berth_code (*attach)(void* instance, const berth_op* op, const berth_network_request* request,
                       berth_network_builder* out, berth_error* error);
  /* Releases what attach took. Idempotent; works from the request, the saved state, or both; also
   * after an attach that was cut off by a crash, and when the namespace is gone.
   * The host asks again until it succeeds. Only when an operator gives an attachment up does it ask
   * for the last time, with the annotation BERTH_NETWORK_ABANDONED: what cannot be released is to
   * be forgotten then. */
  berth_code (*detach)(void* instance, const berth_op* op, const berth_network_request* request,
                       berth_bytes state, berth_error* error);
  /* Still as attached? FAILED_PRECONDITION with what is wrong. */
  berth_code (*check)(void* instance, const berth_op* op, const berth_network_request* request,
                      berth_bytes state, berth_error* error);
  /* OK when pods can be attached now; else why not. Cheap: asked by each CRI Status call. */
  berth_code (*status)(void* instance, const berth_op* op, berth_error* error);
  /* Releases everything of attachments that are not in the list. */
  berth_code (*gc)(void* instance, const berth_op* op, const berth_attachment* attachments,
                   size_t attachment_count, berth_error* error);
  /* The node's pod address range became known (CRI UpdateRuntimeConfig). */
  berth_code (*set_pod_cidr)(void* instance, const berth_op* op, berth_str cidr,
                             berth_error* error);
} berth_network;

#ifdef __cplusplus
}
#endif
