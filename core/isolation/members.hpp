// What the ABI's structs consist of: one list for each. Each member is named, and their number is
// held against the struct's own, so that a member that is added to the ABI does not compile until
// it is described here.
#pragma once

#include <cstddef>
#include <tuple>

#include <boost/pfr/tuple_size.hpp>

#include "berth/extensions.h"
#include "berth/image_signatures.h"
#include "berth/image_source.h"
#include "berth/network.h"
#include "berth/plugin.h"
#include "berth/runtime.h"
#include "berth/snapshotter.h"
#include "berth/types.h"

namespace berth::isolation {

// A number, a text, bytes, or a small struct of numbers.
template <class S, class M>
struct Value {
  static constexpr size_t kMembers = 1;
  M S::*member;
};
// `items` are `count` elements.
template <class S, class E>
struct Array {
  static constexpr size_t kMembers = 2;
  const E* S::*items;
  size_t S::*count;
};
// Another struct, or NULL.
template <class S, class E>
struct Pointer {
  static constexpr size_t kMembers = 1;
  const E* S::*item;
};
// An open file, or -1.
template <class S>
struct Descriptor {
  static constexpr size_t kMembers = 1;
  int32_t S::*fd;
};

template <class S, class... M>
constexpr auto values(M S::*... members) {
  return std::tuple{Value<S, M>{members}...};
}
template <class S, class E>
constexpr auto array(const E* S::*items, size_t S::*count) {
  return std::tuple{Array<S, E>{items, count}};
}
template <class S, class E>
constexpr auto pointer(const E* S::*item) {
  return std::tuple{Pointer<S, E>{item}};
}
template <class S, class... D>
constexpr auto descriptors(D S::*... fds) {
  return std::tuple{Descriptor<S>{fds}...};
}

template <class S>
struct Members;

// A struct that is described here.
template <class S>
concept Described = requires {
  Members<S>::list();
};

// Structs of the ABI begin with their size; small value types, which never change, do not.
template <class S>
inline constexpr bool kSized = true;
template <>
inline constexpr bool kSized<berth_pair> = false;
template <>
inline constexpr bool kSized<berth_port_mapping> = false;

template <class... Lists>
constexpr auto joined(Lists... lists) {
  return std::tuple_cat(lists...);
}
template <class List>
struct CountOf;
template <class... M>
struct CountOf<std::tuple<M...>> {
  static constexpr size_t value = (size_t{0} + ... + M::kMembers);
};
template <class S>
inline constexpr bool kComplete = CountOf<decltype(Members<S>::list())>::value +
                                      (kSized<S> ? 1 : 0) ==
                                  boost::pfr::tuple_size_v<S>;

// BERTH_MEMBERS(struct, lists…), in which S is the struct.
#define BERTH_MEMBERS(Struct, ...)                               \
  template <>                                                    \
  struct Members<Struct> {                                       \
    using S = Struct;                                            \
    static constexpr auto list() { return joined(__VA_ARGS__); } \
  };                                                             \
  static_assert(kComplete<Struct>, "a member of " #Struct " is missing")

BERTH_MEMBERS(berth_pair, values(&S::key, &S::value));
BERTH_MEMBERS(berth_port_mapping,
              values(&S::protocol, &S::container_port, &S::host_port, &S::reserved, &S::host_ip));
BERTH_MEMBERS(berth_descriptor, values(&S::media_type, &S::digest, &S::blob_size),
              array(&S::urls, &S::url_count), array(&S::annotations, &S::annotation_count));
BERTH_MEMBERS(berth_credentials, values(&S::username, &S::password, &S::auth, &S::server_address,
                                        &S::identity_token, &S::registry_token));
BERTH_MEMBERS(berth_event, values(&S::kind, &S::flags, &S::pod, &S::container, &S::timestamp,
                                  &S::exit_code, &S::reserved, &S::message));
BERTH_MEMBERS(berth_finding, values(&S::kind, &S::reserved, &S::what, &S::detail));

BERTH_MEMBERS(
    berth_network_request,
    values(&S::pod, &S::name, &S::pod_namespace, &S::uid, &S::namespace_path, &S::cgroup_path),
    array(&S::annotations, &S::annotation_count), array(&S::port_mappings, &S::port_mapping_count),
    values(&S::ingress_rate, &S::ingress_burst, &S::egress_rate, &S::egress_burst),
    array(&S::dns_servers, &S::dns_server_count), array(&S::dns_searches, &S::dns_search_count),
    array(&S::dns_options, &S::dns_option_count), array(&S::ips, &S::ip_count), values(&S::mac));
BERTH_MEMBERS(berth_attachment, values(&S::pod, &S::state));

BERTH_MEMBERS(berth_image_request, values(&S::reference), pointer(&S::credentials));
BERTH_MEMBERS(berth_image_signature, values(&S::kind, &S::reserved, &S::payload, &S::signature));

BERTH_MEMBERS(berth_layer, values(&S::chain_id, &S::parent_chain_id, &S::diff_id));
BERTH_MEMBERS(berth_usage, values(&S::bytes, &S::inodes));
BERTH_MEMBERS(berth_snapshot_spec, values(&S::key), array(&S::layers, &S::layer_count),
              values(&S::read_only, &S::reserved), array(&S::uid_mappings, &S::uid_mapping_count),
              array(&S::gid_mappings, &S::gid_mapping_count), values(&S::selinux_label));

BERTH_MEMBERS(berth_pod_spec,
              values(&S::id, &S::name, &S::pod_namespace, &S::uid, &S::attempt, &S::new_namespaces,
                     &S::handler, &S::directory, &S::hostname, &S::cgroup_parent, &S::cgroup_driver,
                     &S::oom_score_adj),
              array(&S::sysctls, &S::sysctl_count), array(&S::uid_mappings, &S::uid_mapping_count),
              array(&S::gid_mappings, &S::gid_mapping_count), array(&S::labels, &S::label_count),
              array(&S::annotations, &S::annotation_count), values(&S::resources, &S::overhead),
              array(&S::default_annotations, &S::default_annotation_count));
BERTH_MEMBERS(berth_container_spec, values(&S::pod, &S::id, &S::name, &S::attempt, &S::flags,
                                           &S::directory, &S::rootfs, &S::spec, &S::log_path));
BERTH_MEMBERS(berth_container_status,
              values(&S::id, &S::state, &S::flags, &S::pid, &S::exit_code, &S::reserved,
                     &S::started_at, &S::finished_at, &S::message));
BERTH_MEMBERS(berth_interface_stats,
              values(&S::name, &S::rx_bytes, &S::rx_packets, &S::rx_errors, &S::rx_dropped,
                     &S::tx_bytes, &S::tx_packets, &S::tx_errors, &S::tx_dropped));
BERTH_MEMBERS(berth_disk_stats,
              values(&S::device, &S::major, &S::minor, &S::present, &S::reserved, &S::read_bytes,
                     &S::written_bytes, &S::discarded_bytes, &S::reads, &S::writes, &S::sync_bytes,
                     &S::async_bytes, &S::reads_merged, &S::writes_merged, &S::read_time,
                     &S::write_time, &S::queued, &S::cost_usage, &S::cost_wait, &S::cost_debt,
                     &S::cost_delay));
BERTH_MEMBERS(berth_hugepage_stats, values(&S::page_size, &S::usage, &S::max_usage, &S::failures));
BERTH_MEMBERS(berth_stats,
              values(&S::id, &S::timestamp, &S::present, &S::reserved, &S::cpu_usage, &S::cpu_user,
                     &S::cpu_system, &S::cpu_periods, &S::cpu_throttled_periods,
                     &S::cpu_throttled_time, &S::memory_usage, &S::memory_working_set,
                     &S::memory_rss, &S::memory_cache, &S::memory_mapped_file, &S::memory_kernel,
                     &S::memory_max_usage, &S::memory_failures, &S::memory_limit, &S::page_faults,
                     &S::major_page_faults, &S::swap_usage, &S::swap_limit, &S::processes,
                     &S::threads, &S::threads_limit, &S::file_descriptors, &S::sockets,
                     &S::io_read_bytes, &S::io_written_bytes, &S::io_reads, &S::io_writes,
                     &S::oom_events, &S::cpu_psi, &S::memory_psi, &S::io_psi),
              array(&S::interfaces, &S::interface_count),
              values(&S::cpu_burst_periods, &S::cpu_burst_time, &S::memory_active_file,
                     &S::memory_inactive_file, &S::memory_file_dirty, &S::memory_file_writeback,
                     &S::own_page_faults, &S::own_major_page_faults, &S::memory_high_events,
                     &S::memory_max_events, &S::pages_scanned, &S::pages_reclaimed,
                     &S::file_refaults, &S::anonymous_refaults, &S::open_files_limit,
                     &S::tasks_running, &S::tasks_sleeping, &S::tasks_stopped,
                     &S::tasks_uninterruptible),
              array(&S::disks, &S::disk_count), array(&S::hugepages, &S::hugepage_count));
BERTH_MEMBERS(berth_exec_spec, values(&S::pod, &S::container, &S::id, &S::process, &S::flags),
              descriptors(&S::stdin_fd, &S::stdout_fd, &S::stderr_fd),
              values(&S::rows, &S::columns));

BERTH_MEMBERS(berth_checkpoint_spec,
              values(&S::pod, &S::container, &S::image, &S::work, &S::flags, &S::reserved));
BERTH_MEMBERS(berth_restore_spec,
              values(&S::pod, &S::container, &S::image, &S::work, &S::flags, &S::reserved));

#undef BERTH_MEMBERS

// What it lends by a function of its own stays with whoever made it: see Role::kLender.
template <>
struct Members<berth_remote_layer> {
  using S = berth_remote_layer;
  static constexpr auto list() { return joined(values(&S::reference), pointer(&S::descriptor)); }
};
static_assert(boost::pfr::tuple_size_v<berth_remote_layer> == 5,
              "a member of berth_remote_layer is missing");

}  // namespace berth::isolation
