// The layout of the ABI on 64-bit machines (x86_64 and aarch64 agree), as it was published: a
// member that moves breaks every plugin that was built before. New members are added at the end of
// a struct, here with a line of their own and with the struct's new size.
#include <cstddef>

#include "berth/extensions.h"
#include "berth/image_signatures.h"
#include "berth/image_source.h"
#include "berth/network.h"
#include "berth/plugin.h"
#include "berth/snapshotter.h"
#include "berth/types.h"

#define BERTH_SIZE(type, bytes) static_assert(sizeof(type) == (bytes), "size of " #type)
#define BERTH_AT(type, member, bytes) \
  static_assert(offsetof(type, member) == (bytes), #type "." #member)

#if defined(__LP64__)

BERTH_SIZE(berth_str, 16);
BERTH_AT(berth_str, data, 0);
BERTH_AT(berth_str, size, 8);

BERTH_SIZE(berth_bytes, 16);
BERTH_AT(berth_bytes, data, 0);
BERTH_AT(berth_bytes, size, 8);

BERTH_SIZE(berth_pair, 32);
BERTH_AT(berth_pair, key, 0);
BERTH_AT(berth_pair, value, 16);

BERTH_SIZE(berth_id_mapping, 12);
BERTH_AT(berth_id_mapping, container_id, 0);
BERTH_AT(berth_id_mapping, host_id, 4);
BERTH_AT(berth_id_mapping, length, 8);

BERTH_SIZE(berth_error, 24);
BERTH_AT(berth_error, size, 0);
BERTH_AT(berth_error, host, 8);
BERTH_AT(berth_error, set, 16);

BERTH_SIZE(berth_op, 56);
BERTH_AT(berth_op, size, 0);
BERTH_AT(berth_op, host, 8);
BERTH_AT(berth_op, deadline, 16);
BERTH_AT(berth_op, cancel_fd, 24);
BERTH_AT(berth_op, cancelled, 32);
BERTH_AT(berth_op, stage, 40);
BERTH_AT(berth_op, progress, 48);

BERTH_SIZE(berth_sink, 24);
BERTH_AT(berth_sink, size, 0);
BERTH_AT(berth_sink, host, 8);
BERTH_AT(berth_sink, write, 16);

BERTH_SIZE(berth_stream, 24);
BERTH_AT(berth_stream, size, 0);
BERTH_AT(berth_stream, host, 8);
BERTH_AT(berth_stream, next, 16);

BERTH_SIZE(berth_descriptor, 80);
BERTH_AT(berth_descriptor, size, 0);
BERTH_AT(berth_descriptor, media_type, 8);
BERTH_AT(berth_descriptor, digest, 24);
BERTH_AT(berth_descriptor, blob_size, 40);
BERTH_AT(berth_descriptor, urls, 48);
BERTH_AT(berth_descriptor, url_count, 56);
BERTH_AT(berth_descriptor, annotations, 64);
BERTH_AT(berth_descriptor, annotation_count, 72);

BERTH_SIZE(berth_credentials, 104);
BERTH_AT(berth_credentials, size, 0);
BERTH_AT(berth_credentials, username, 8);
BERTH_AT(berth_credentials, password, 24);
BERTH_AT(berth_credentials, auth, 40);
BERTH_AT(berth_credentials, server_address, 56);
BERTH_AT(berth_credentials, identity_token, 72);
BERTH_AT(berth_credentials, registry_token, 88);

BERTH_SIZE(berth_event, 80);
BERTH_AT(berth_event, size, 0);
BERTH_AT(berth_event, kind, 8);
BERTH_AT(berth_event, flags, 12);
BERTH_AT(berth_event, pod, 16);
BERTH_AT(berth_event, container, 32);
BERTH_AT(berth_event, timestamp, 48);
BERTH_AT(berth_event, exit_code, 56);
BERTH_AT(berth_event, reserved, 60);
BERTH_AT(berth_event, message, 64);

BERTH_SIZE(berth_host, 144);
BERTH_AT(berth_host, size, 0);
BERTH_AT(berth_host, abi_major, 8);
BERTH_AT(berth_host, abi_minor, 12);
BERTH_AT(berth_host, version, 16);
BERTH_AT(berth_host, instance, 32);
BERTH_AT(berth_host, context, 48);
BERTH_AT(berth_host, log, 56);
BERTH_AT(berth_host, allocate, 64);
BERTH_AT(berth_host, release, 72);
BERTH_AT(berth_host, emit_event, 80);
BERTH_AT(berth_host, save_state, 88);
BERTH_AT(berth_host, get_credentials, 96);
BERTH_AT(berth_host, get_extension, 104);
BERTH_AT(berth_host, root_directory, 112);
BERTH_AT(berth_host, state_directory, 128);

BERTH_SIZE(berth_plugin, 168);
BERTH_AT(berth_plugin, size, 0);
BERTH_AT(berth_plugin, abi_major, 8);
BERTH_AT(berth_plugin, abi_minor, 12);
BERTH_AT(berth_plugin, required_minor, 16);
BERTH_AT(berth_plugin, threading, 20);
BERTH_AT(berth_plugin, name, 24);
BERTH_AT(berth_plugin, version, 40);
BERTH_AT(berth_plugin, summary, 56);
BERTH_AT(berth_plugin, interface_id, 72);
BERTH_AT(berth_plugin, functions, 88);
BERTH_AT(berth_plugin, options, 96);
BERTH_AT(berth_plugin, create, 112);
BERTH_AT(berth_plugin, configure, 120);
BERTH_AT(berth_plugin, start, 128);
BERTH_AT(berth_plugin, stop, 136);
BERTH_AT(berth_plugin, destroy, 144);
BERTH_AT(berth_plugin, get_extension, 152);
BERTH_AT(berth_plugin, examine, 160);  // 1.1

BERTH_SIZE(berth_finding, 48);
BERTH_AT(berth_finding, size, 0);
BERTH_AT(berth_finding, kind, 8);
BERTH_AT(berth_finding, what, 16);
BERTH_AT(berth_finding, detail, 32);

BERTH_SIZE(berth_finding_sink, 24);
BERTH_AT(berth_finding_sink, size, 0);
BERTH_AT(berth_finding_sink, host, 8);
BERTH_AT(berth_finding_sink, add, 16);

BERTH_SIZE(berth_layer, 56);
BERTH_AT(berth_layer, size, 0);
BERTH_AT(berth_layer, chain_id, 8);
BERTH_AT(berth_layer, parent_chain_id, 24);
BERTH_AT(berth_layer, diff_id, 40);

BERTH_SIZE(berth_usage, 24);
BERTH_AT(berth_usage, size, 0);
BERTH_AT(berth_usage, bytes, 8);
BERTH_AT(berth_usage, inodes, 16);

BERTH_SIZE(berth_name_sink, 24);
BERTH_AT(berth_name_sink, size, 0);
BERTH_AT(berth_name_sink, host, 8);
BERTH_AT(berth_name_sink, add, 16);

BERTH_SIZE(berth_snapshot_spec, 96);
BERTH_AT(berth_snapshot_spec, size, 0);
BERTH_AT(berth_snapshot_spec, key, 8);
BERTH_AT(berth_snapshot_spec, layers, 24);
BERTH_AT(berth_snapshot_spec, layer_count, 32);
BERTH_AT(berth_snapshot_spec, read_only, 40);
BERTH_AT(berth_snapshot_spec, reserved, 44);
BERTH_AT(berth_snapshot_spec, uid_mappings, 48);
BERTH_AT(berth_snapshot_spec, uid_mapping_count, 56);
BERTH_AT(berth_snapshot_spec, gid_mappings, 64);
BERTH_AT(berth_snapshot_spec, gid_mapping_count, 72);
BERTH_AT(berth_snapshot_spec, selinux_label, 80);

BERTH_SIZE(berth_snapshotter, 104);
BERTH_AT(berth_snapshotter, size, 0);
BERTH_AT(berth_snapshotter, flags, 8);
BERTH_AT(berth_snapshotter, layer_apply, 16);
BERTH_AT(berth_snapshotter, layer_usage, 24);
BERTH_AT(berth_snapshotter, layer_remove, 32);
BERTH_AT(berth_snapshotter, layer_list, 40);
BERTH_AT(berth_snapshotter, snapshot_prepare, 48);
BERTH_AT(berth_snapshotter, snapshot_mount, 56);
BERTH_AT(berth_snapshotter, snapshot_unmount, 64);
BERTH_AT(berth_snapshotter, snapshot_usage, 72);
BERTH_AT(berth_snapshotter, snapshot_remove, 80);
BERTH_AT(berth_snapshotter, snapshot_list, 88);
BERTH_AT(berth_snapshotter, filesystem, 96);

BERTH_SIZE(berth_image_request, 32);
BERTH_AT(berth_image_request, size, 0);
BERTH_AT(berth_image_request, reference, 8);
BERTH_AT(berth_image_request, credentials, 24);

BERTH_SIZE(berth_resolve_builder, 24);
BERTH_AT(berth_resolve_builder, size, 0);
BERTH_AT(berth_resolve_builder, host, 8);
BERTH_AT(berth_resolve_builder, set, 16);

BERTH_SIZE(berth_image_source, 32);
BERTH_AT(berth_image_source, size, 0);
BERTH_AT(berth_image_source, serves, 8);
BERTH_AT(berth_image_source, resolve, 16);
BERTH_AT(berth_image_source, fetch, 24);

BERTH_SIZE(berth_image_origin_builder, 24);
BERTH_AT(berth_image_origin_builder, size, 0);
BERTH_AT(berth_image_origin_builder, host, 8);
BERTH_AT(berth_image_origin_builder, set, 16);

BERTH_SIZE(berth_image_signature, 48);
BERTH_AT(berth_image_signature, size, 0);
BERTH_AT(berth_image_signature, kind, 8);
BERTH_AT(berth_image_signature, reserved, 12);
BERTH_AT(berth_image_signature, payload, 16);
BERTH_AT(berth_image_signature, signature, 32);
static_assert(BERTH_SIGNATURE_SIMPLE == 1 && BERTH_SIGNATURE_SIGSTORE == 2);

BERTH_SIZE(berth_image_signature_builder, 24);
BERTH_AT(berth_image_signature_builder, size, 0);
BERTH_AT(berth_image_signature_builder, host, 8);
BERTH_AT(berth_image_signature_builder, add, 16);

BERTH_SIZE(berth_image_signatures, 24);
BERTH_AT(berth_image_signatures, size, 0);
BERTH_AT(berth_image_signatures, origin, 8);
BERTH_AT(berth_image_signatures, signatures, 16);

BERTH_SIZE(berth_port_mapping, 32);
BERTH_AT(berth_port_mapping, protocol, 0);
BERTH_AT(berth_port_mapping, container_port, 4);
BERTH_AT(berth_port_mapping, host_port, 8);
BERTH_AT(berth_port_mapping, reserved, 12);
BERTH_AT(berth_port_mapping, host_ip, 16);

BERTH_SIZE(berth_network_request, 248);
BERTH_AT(berth_network_request, size, 0);
BERTH_AT(berth_network_request, pod, 8);
BERTH_AT(berth_network_request, name, 24);
BERTH_AT(berth_network_request, pod_namespace, 40);
BERTH_AT(berth_network_request, uid, 56);
BERTH_AT(berth_network_request, namespace_path, 72);
BERTH_AT(berth_network_request, cgroup_path, 88);
BERTH_AT(berth_network_request, annotations, 104);
BERTH_AT(berth_network_request, annotation_count, 112);
BERTH_AT(berth_network_request, port_mappings, 120);
BERTH_AT(berth_network_request, port_mapping_count, 128);
BERTH_AT(berth_network_request, ingress_rate, 136);
BERTH_AT(berth_network_request, ingress_burst, 144);
BERTH_AT(berth_network_request, egress_rate, 152);
BERTH_AT(berth_network_request, egress_burst, 160);
BERTH_AT(berth_network_request, dns_servers, 168);
BERTH_AT(berth_network_request, dns_server_count, 176);
BERTH_AT(berth_network_request, dns_searches, 184);
BERTH_AT(berth_network_request, dns_search_count, 192);
BERTH_AT(berth_network_request, dns_options, 200);
BERTH_AT(berth_network_request, dns_option_count, 208);
BERTH_AT(berth_network_request, ips, 216);
BERTH_AT(berth_network_request, ip_count, 224);
BERTH_AT(berth_network_request, mac, 232);

BERTH_SIZE(berth_network_builder, 40);
BERTH_AT(berth_network_builder, size, 0);
BERTH_AT(berth_network_builder, host, 8);
BERTH_AT(berth_network_builder, add_address, 16);
BERTH_AT(berth_network_builder, set_result, 24);
BERTH_AT(berth_network_builder, set_state, 32);

BERTH_SIZE(berth_attachment, 40);
BERTH_AT(berth_attachment, size, 0);
BERTH_AT(berth_attachment, pod, 8);
BERTH_AT(berth_attachment, state, 24);

BERTH_SIZE(berth_network, 56);
BERTH_AT(berth_network, size, 0);
BERTH_AT(berth_network, attach, 8);
BERTH_AT(berth_network, detach, 16);
BERTH_AT(berth_network, check, 24);
BERTH_AT(berth_network, status, 32);
BERTH_AT(berth_network, gc, 40);
BERTH_AT(berth_network, set_pod_cidr, 48);

BERTH_SIZE(berth_runtime_pause, 24);
BERTH_AT(berth_runtime_pause, size, 0);
BERTH_AT(berth_runtime_pause, pause, 8);
BERTH_AT(berth_runtime_pause, resume, 16);

BERTH_SIZE(berth_checkpoint_spec, 80);
BERTH_AT(berth_checkpoint_spec, size, 0);
BERTH_AT(berth_checkpoint_spec, pod, 8);
BERTH_AT(berth_checkpoint_spec, container, 24);
BERTH_AT(berth_checkpoint_spec, image, 40);
BERTH_AT(berth_checkpoint_spec, work, 56);
BERTH_AT(berth_checkpoint_spec, flags, 72);
BERTH_AT(berth_checkpoint_spec, reserved, 76);

BERTH_SIZE(berth_restore_spec, 80);
BERTH_AT(berth_restore_spec, size, 0);
BERTH_AT(berth_restore_spec, pod, 8);
BERTH_AT(berth_restore_spec, container, 24);
BERTH_AT(berth_restore_spec, image, 40);
BERTH_AT(berth_restore_spec, work, 56);
BERTH_AT(berth_restore_spec, flags, 72);
BERTH_AT(berth_restore_spec, reserved, 76);

BERTH_SIZE(berth_runtime_checkpoint, 48);
BERTH_AT(berth_runtime_checkpoint, size, 0);
BERTH_AT(berth_runtime_checkpoint, format, 8);
BERTH_AT(berth_runtime_checkpoint, check, 24);
BERTH_AT(berth_runtime_checkpoint, checkpoint, 32);
BERTH_AT(berth_runtime_checkpoint, restore, 40);

BERTH_SIZE(berth_snapshotter_diff, 16);
BERTH_AT(berth_snapshotter_diff, size, 0);
BERTH_AT(berth_snapshotter_diff, diff, 8);

BERTH_SIZE(berth_snapshotter_verify, 40);
BERTH_AT(berth_snapshotter_verify, size, 0);
BERTH_AT(berth_snapshotter_verify, layer_verify, 8);
BERTH_AT(berth_snapshotter_verify, snapshot_verify, 16);
BERTH_AT(berth_snapshotter_verify, layer_drop, 24);
BERTH_AT(berth_snapshotter_verify, set_aside, 32);
static_assert(BERTH_VERIFY_QUICK == 1);

BERTH_SIZE(berth_runtime_pod_resources, 16);
BERTH_AT(berth_runtime_pod_resources, size, 0);
BERTH_AT(berth_runtime_pod_resources, update, 8);

BERTH_SIZE(berth_runtime_port_forward, 16);
BERTH_AT(berth_runtime_port_forward, size, 0);
BERTH_AT(berth_runtime_port_forward, connect, 8);

BERTH_SIZE(berth_remote_layer, 48);
BERTH_AT(berth_remote_layer, size, 0);
BERTH_AT(berth_remote_layer, reference, 8);
BERTH_AT(berth_remote_layer, descriptor, 24);
BERTH_AT(berth_remote_layer, user, 32);
BERTH_AT(berth_remote_layer, credentials, 40);

BERTH_SIZE(berth_snapshotter_remote_layers, 16);
BERTH_AT(berth_snapshotter_remote_layers, size, 0);
BERTH_AT(berth_snapshotter_remote_layers, layer_adopt, 8);

BERTH_SIZE(berth_snapshotter_quota, 16);
BERTH_AT(berth_snapshotter_quota, size, 0);
BERTH_AT(berth_snapshotter_quota, set, 8);

#endif
