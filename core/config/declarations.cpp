// Every key: its type, default, example, rule, and what it is for.
#include <type_traits>

#include "berth/support/status.hpp"
#include "common/installed_program.hpp"
#include "config/keys.hpp"
#include "config/rules.hpp"

namespace berth::config {
namespace {

using Strings = std::vector<std::string>;
using Options = boost::json::object;

constexpr int64_t kKiB = 1024;
constexpr int64_t kMiB = 1024 * kKiB;
constexpr int64_t kGiB = 1024 * kMiB;
constexpr int64_t kTiB = 1024 * kGiB;
constexpr int64_t kDaySeconds = 86'400;

template <typename Member>
struct MemberOf;
template <typename Type, typename Class>
struct MemberOf<Type Class::*> {
  using Owner = Class;
};

// Follows member pointers: reach<&Config::grpc, &Grpc::socket>(config).
template <auto First, auto... Rest, typename Object>
auto& reach(Object& object) {
  if constexpr (sizeof...(Rest) == 0) {
    return object.*First;
  } else {
    return reach<Rest...>(object.*First);
  }
}

template <auto First, auto... Rest>
struct At {
  using Owner = typename MemberOf<decltype(First)>::Owner;

  static Value get(const void* object) {
    const auto& member = reach<First, Rest...>(*static_cast<const Owner*>(object));
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(member)>, mode_t>) {
      return Mode{member};
    } else {
      return member;
    }
  }
  static void set(void* object, Value value) {
    auto& member = reach<First, Rest...>(*static_cast<Owner*>(object));
    using Type = std::remove_cvref_t<decltype(member)>;
    if constexpr (std::is_same_v<Type, mode_t>) {
      member = std::get<Mode>(value).bits;
    } else {
      member = std::get<Type>(std::move(value));
    }
  }
};

struct Declaration {
  std::string_view section;
  std::string_view name;
  Value standard;
  Value example;
  Rule rule;
  Reload reload;
  std::string_view doc;
};

template <auto... Path>
Key key(const Declaration& declaration) {
  return {.section = declaration.section,
          .name = declaration.name,
          .standard = declaration.standard,
          .example = declaration.example,
          .rule = declaration.rule,
          .reload = declaration.reload,
          .doc = declaration.doc,
          .get = &At<Path...>::get,
          .set = &At<Path...>::set};
}

// Where the plugins lie that came with this program, which may have been moved.
std::string ownPlugins() {
  return support::strCat(common::installedPrefix().value_or("/usr"), "/lib/berth/plugins");
}

void addTop(std::vector<Key>& all) {
  const auto restart = Reload::kRestart;
  all.push_back(key<&Config::root>(
      {"", "root", "/var/lib/berth", "/data/berth", absolutePath(), restart,
       "Records, images, snapshots. Must survive a reboot. Not to be changed with pods."}));
  all.push_back(key<&Config::state>(
      {"", "state", "/run/berth", "/run/berth-2", absolutePath(), restart,
       "What ends with a reboot: sockets, run folders. Not to be changed with pods."}));
  all.push_back(key<&Config::pluginDirs>(
      {"", "plugin_dirs", Strings{ownPlugins()},
       Strings{"/usr/lib/berth/plugins", "/opt/berth/plugins"}, listOf(absolutePath(), 1), restart,
       "Folders in which plugins are looked for, in this order. The default is where the program's "
       "own "
       "lie: those of /usr/bin/berth in /usr/lib/berth/plugins."}));
  all.push_back(key<&Config::defaultRuntime>(
      {"", "default_runtime", "runc", "kata", instanceName(), Reload::kLive,
       "The runtime of pods that name no runtime class: one of [runtimes]."}));
  all.push_back(key<&Config::network>({"", "network", "cni", "calico", instanceName(), restart,
                                       "What gives pods their network: one of [networks]."}));
}

void addGrpcAndLog(std::vector<Key>& all) {
  const auto restart = Reload::kRestart;
  all.push_back(key<&Config::grpc, &Grpc::socket>({"grpc", "socket", "/run/berth/berth.sock",
                                                   "/run/berth-2/berth.sock", socketPath(), restart,
                                                   "The Unix socket on which the CRI is served."}));
  all.push_back(key<&Config::grpc, &Grpc::socketMode>(
      {"grpc", "socket_mode", Mode{0660}, Mode{0600}, permissionBits(), restart,
       "Permissions of the socket, in octal. Who may write to it has the rights of root."}));
  all.push_back(key<&Config::grpc, &Grpc::socketGroup>(
      {"grpc", "socket_group", "", "adm", anyText(), restart,
       "Name or number of the group that owns the socket. Empty: the group of the daemon."}));
  all.push_back(key<&Config::grpc, &Grpc::maxMessageBytes>(
      {"grpc", "max_message_bytes", 16 * kMiB, 64 * kMiB, between(64 * kKiB, 2 * kGiB - 1), restart,
       "The largest request and the largest reply, in bytes."}));
  all.push_back(key<&Config::log, &Log::level>(
      {"log", "level", "info", "debug", oneOf({"trace", "debug", "info", "warn", "error"}),
       Reload::kLive, "The least severe messages that are logged."}));
  all.push_back(
      key<&Config::log, &Log::format>({"log", "format", "text", "json", oneOf({"text", "json"}),
                                       restart, "How a message is written."}));
  all.push_back(
      key<&Config::log, &Log::file>({"log", "file", "", "/var/log/berth.log", absolutePathOrEmpty(),
                                     restart, "The log file. Empty: standard error."}));
}

void addStreaming(std::vector<Key>& all) {
  const auto restart = Reload::kRestart;
  all.push_back(key<&Config::streaming, &Streaming::address>(
      {"streaming", "address", "127.0.0.1", "10.0.0.7", ipAddress(), restart,
       "The address on which exec, attach and port-forward are served. One that other hosts reach "
       "needs tls_cert and tls_key."}));
  all.push_back(key<&Config::streaming, &Streaming::port>(
      {"streaming", "port", int64_t{0}, int64_t{10'010}, between(0, 65'535), restart,
       "The port there. 0: the kernel chooses one at each start."}));
  all.push_back(key<&Config::streaming, &Streaming::idleTimeoutSeconds>(
      {"streaming", "idle_timeout_seconds", int64_t{4} * 3600, int64_t{900},
       between(0, 7 * kDaySeconds), restart,
       "A session that carries nothing for so long is ended. 0: never."}));
  all.push_back(key<&Config::streaming, &Streaming::tokenLifetimeSeconds>(
      {"streaming", "token_lifetime_seconds", int64_t{60}, int64_t{30}, between(1, 3600), restart,
       "How long the URL of a session can be used, which works once."}));
  all.push_back(key<&Config::streaming, &Streaming::maxSessions>(
      {"streaming", "max_sessions", int64_t{1024}, int64_t{64}, between(1, 65'536), restart,
       "Sessions at the same time."}));
  all.push_back(key<&Config::streaming, &Streaming::tlsCert>(
      {"streaming", "tls_cert", "", "/etc/berth/streaming.crt", absolutePathOrEmpty(), restart,
       "The server's certificate, with those above it, as a PEM file; read again when it changes. "
       "Empty: no TLS."}));
  all.push_back(key<&Config::streaming, &Streaming::tlsKey>(
      {"streaming", "tls_key", "", "/etc/berth/streaming.key", absolutePathOrEmpty(), restart,
       "The private key of tls_cert, as a PEM file."}));
  all.push_back(key<&Config::streaming, &Streaming::tlsClientCa>(
      {"streaming", "tls_client_ca", "", "/etc/berth/clients-ca.crt", absolutePathOrEmpty(),
       restart,
       "Certificates, one of which must have signed the client's, as a PEM file. Empty: clients "
       "need none."}));
}

void addMetrics(std::vector<Key>& all) {
  const auto restart = Reload::kRestart;
  all.push_back(key<&Config::metrics, &Metrics::address>(
      {"metrics", "address", "127.0.0.1", "10.0.0.7", ipAddress(), restart,
       "The address on which metrics for Prometheus are served, over HTTP at /metrics, to everyone "
       "who reaches it."}));
  all.push_back(key<&Config::metrics, &Metrics::port>(
      {"metrics", "port", int64_t{0}, int64_t{9464}, between(0, 65'535), restart,
       "The port there. 0: no metrics are counted."}));
}

void addCgroup(std::vector<Key>& all) {
  const auto restart = Reload::kRestart;
  all.push_back(key<&Config::cgroup, &Cgroup::driver>(
      {"cgroup", "driver", "auto", "systemd", oneOf({"auto", "systemd", "cgroupfs"}), restart,
       "Who makes cgroups. \"auto\": systemd where it runs the host. The kubelet is told."}));
}

void addImages(std::vector<Key>& all) {
  const auto restart = Reload::kRestart;
  all.push_back(key<&Config::images, &Images::sources>(
      {"images", "sources", Strings{"registry"}, Strings{"layout", "registry"},
       listOf(instanceName(), 1), restart,
       "Where images come from: names of [sources], in the order in which they are asked."}));
  all.push_back(key<&Config::images, &Images::snapshotter>(
      {"images", "snapshotter", "overlay", "nvme", instanceName(), restart,
       "Keeps the layers of images for runtimes that name no other: one of [snapshotters]."}));
  all.push_back(key<&Config::images, &Images::pinned>(
      {"images", "pinned", Strings{},
       Strings{"registry.example/kube-proxy:v1.33.0", "registry.example/base/*"},
       listOf(nonEmptyText()), restart,
       "Images that the kubelet is asked to keep when the disk gets full: their full names, or "
       "shell patterns for them, such as \"registry.example/base/*\"."}));
  all.push_back(key<&Config::images, &Images::platform>(
      {"images", "platform", "", "linux/arm64/v8", platformOrEmpty(), restart,
       "Which image of an index is taken, as os/architecture[/variant], for runtimes that name no "
       "platform. Empty: the host's."}));
  all.push_back(key<&Config::images, &Images::maxConcurrentDownloads>(
      {"images", "max_concurrent_downloads", int64_t{6}, int64_t{3}, between(1, 256), restart,
       "Layers that are fetched from one registry at the same time, over all pulls."}));
  all.push_back(key<&Config::images, &Images::maxConcurrentUnpacks>(
      {"images", "max_concurrent_unpacks", int64_t{0}, int64_t{2}, between(0, 256), restart,
       "Layers that are unpacked, not waited for, at the same time. 0: as many as CPUs."}));
  all.push_back(key<&Config::images, &Images::maxWriteBytesPerSecond>(
      {"images", "max_write_bytes_per_second", int64_t{0}, 50 * kMiB, between(0, kTiB),
       Reload::kLive,
       "What all pulls and imports together write to the disk in a second: the bytes of layers, as "
       "they are unpacked (what is downloaded is not kept in another form). Keeps room for "
       "what pods read and write. 0: as fast as they can."}));
  all.push_back(key<&Config::images, &Images::pullDeadlineSeconds>(
      {"images", "pull_deadline_seconds", int64_t{0}, int64_t{1800}, between(0, 7 * kDaySeconds),
       restart, "A pull that takes longer fails. 0: only the caller's own deadline counts."}));
  all.push_back(key<&Config::images, &Images::maxLayerBytes>(
      {"images", "max_layer_bytes", 64 * kGiB, 10 * kGiB, between(kMiB, 16 * kTiB), restart,
       "The largest layer, decompressed, in bytes."}));
  all.push_back(key<&Config::images, &Images::maxManifestBytes>(
      {"images", "max_manifest_bytes", 4 * kMiB, 8 * kMiB, between(64 * kKiB, 64 * kMiB), restart,
       "The largest manifest, index or image configuration, in bytes."}));
  all.push_back(key<&Config::images, &Images::signaturePolicy>(
      {"images", "signature_policy", "", "/etc/containers/policy.json", absolutePathOrEmpty(),
       Reload::kLive,
       "The file that says who must have signed an image for it to be pulled and run "
       "(containers-policy.json(5)); read with the keys that it names at the start and at each "
       "reload. Empty: every image is accepted."}));
  all.push_back(key<&Config::images, &Images::searchRegistries>(
      {"images", "unqualified_search_registries", Strings{"docker.io"},
       Strings{"registry.example:5000", "docker.io"}, searchRegistries(), Reload::kLive,
       "Where an image is looked for whose name has no registry: the next one is asked when one "
       "does not have the image, not when it fails. Credentials that come with such a name go to "
       "docker.io alone, unless they name their server. Empty: such images are not pulled."}));
  all.push_back(key<&Config::images, &Images::shortNames>(
      {"images", "short_names", Strings{}, Strings{"busybox=registry.example/base/busybox"},
       shortNames(), Reload::kLive,
       "What names without a registry stand for, before they are looked for anywhere, as "
       "\"name=registry/repository\"; a tag or digest is taken over."}));
}

void addContainers(std::vector<Key>& all) {
  const auto live = Reload::kLive;
  const auto restart = Reload::kRestart;
  all.push_back(key<&Config::containers, &Containers::seccompProfile>(
      {"containers", "seccomp_profile", "", "/etc/berth/seccomp.json", absolutePathOrEmpty(), live,
       "The RuntimeDefault seccomp profile: the path of one in JSON. Empty: the built-in one."}));
  all.push_back(key<&Config::containers, &Containers::seccompWhenUnset>(
      {"containers", "seccomp_when_unset", "unconfined", "runtime/default",
       oneOf({"unconfined", "runtime/default"}), live,
       "The seccomp profile of a container that asks for none."}));
  all.push_back(key<&Config::containers, &Containers::apparmorProfile>(
      {"containers", "apparmor_profile", "berth-default", "site-containers", anyText(), live,
       "The AppArmor profile that RuntimeDefault stands for. \"berth-default\" is built in and "
       "loaded when it is needed; any other must have been loaded. Empty: none."}));
  all.push_back(key<&Config::containers, &Containers::deviceOwnership>(
      {"containers", "device_ownership", "host", "security-context",
       oneOf({"host", "security-context"}), live,
       "Who owns the devices that a container asks for: as on the host, or the user and group of "
       "its security context."}));
  all.push_back(key<&Config::containers, &Containers::cdiDirs>(
      {"containers", "cdi_dirs", Strings{"/etc/cdi", "/run/cdi"},
       Strings{"/etc/cdi", "/run/cdi", "/opt/devices/cdi"}, listOf(absolutePath()), restart,
       "Folders with files of the Container Device Interface. Of a device in several, the last "
       "counts. Changes in them are seen at once."}));
  all.push_back(key<&Config::containers, &Containers::hooksDirs>(
      {"containers", "hooks_dirs", Strings{},
       Strings{"/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d"},
       listOf(absolutePath()), restart,
       "Folders with files that ask for OCI hooks (oci-hooks(5)), such as "
       "\"/usr/share/containers/oci/hooks.d\". Of files with one name, the last folder's counts. "
       "Changes in them are seen at once."}));
  all.push_back(key<&Config::containers, &Containers::pidsLimit>(
      {"containers", "pids_limit", int64_t{0}, int64_t{4096}, between(0, 4'194'304), live,
       "Processes and threads that a container may have at most. 0: no limit."}));
  all.push_back(key<&Config::containers, &Containers::defaultCapabilities>(
      {"containers", "default_capabilities",
       Strings{"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID",
               "CAP_KILL", "CAP_MKNOD", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP",
               "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT"},
       Strings{"CAP_CHOWN", "CAP_NET_BIND_SERVICE", "CAP_SETGID", "CAP_SETUID"}, capabilities(),
       live, "Capabilities of a container that is not privileged."}));
  all.push_back(key<&Config::containers, &Containers::defaultUlimits>(
      {"containers", "default_ulimits", Strings{}, Strings{"nofile=1024:4096", "core=0"}, ulimits(),
       live, "Resource limits, as \"name=soft:hard\". Others are those of the daemon."}));
  all.push_back(key<&Config::containers, &Containers::defaultEnv>(
      {"containers", "default_env", Strings{}, Strings{"HTTP_PROXY=http://proxy.example:3128"},
       environment(), live,
       "Environment variables, as \"NAME=value\", where image and pod set none of that name."}));
  all.push_back(key<&Config::containers, &Containers::defaultSysctls>(
      {"containers", "default_sysctls",
       Strings{"net.ipv4.ip_unprivileged_port_start=0", "net.ipv4.ping_group_range=0 2147483647"},
       Strings{"net.ipv4.ip_unprivileged_port_start=1024"}, sysctls(), restart,
       "Kernel parameters of pods that do not set them, as \"name=value\", where the pod has the "
       "namespace they belong to for itself. Those built in let any user ping and listen on any "
       "port."}));
  all.push_back(key<&Config::containers, &Containers::imageVolumes>(
      {"containers", "image_volumes", "bind", "ignore", oneOf({"bind", "mkdir", "ignore"}), restart,
       "What becomes of the volumes that an image declares. \"bind\": directories of their own, "
       "filled from the image and removed with the container. \"mkdir\": directories in the "
       "container's root filesystem. A mount of the pod at or above such a path replaces it."}));
  all.push_back(key<&Config::containers, &Containers::execSyncOutputBytes>(
      {"containers", "exec_sync_output_bytes", 16 * kMiB, kMiB, between(kKiB, kGiB), live,
       "How much output of a command ExecSync returns, of both streams together; the rest is "
       "dropped. It is never more than grpc.max_message_bytes lets through."}));
}

template <auto Isolation, auto Capabilities>
void addIsolation(std::vector<Key>& all, std::string_view section) {
  const auto restart = Reload::kRestart;
  all.push_back(key<Isolation>(
      {section, "isolation", "none", "process", oneOf({"none", "process"}), restart,
       "Where the plugin runs. \"none\": in the daemon. \"process\": in a process of its own, with "
       "the rights that its kind needs; when that ends, calls fail with UNAVAILABLE until it has "
       "been started again, and the daemon and the pods go on."}));
  all.push_back(key<Capabilities>({section, "isolation_capabilities", Strings{},
                                   Strings{"CAP_DAC_OVERRIDE", "CAP_NET_ADMIN", "CAP_SYS_ADMIN"},
                                   capabilities(), restart,
                                   "Capabilities that the plugin's own process keeps, with "
                                   "isolation = \"process\", in place of those that plugins of "
                                   "its kind keep. Empty: those."}));
}

void addInstances(std::vector<Key>& all) {
  const auto restart = Reload::kRestart;
  constexpr std::string_view kPluginDoc = "The plugin that does it: berth-NAME.so in plugin_dirs.";
  constexpr std::string_view kOptionsDoc = "Handed to the plugin, which checks them.";
  const auto required = [&all](Key declared) {
    declared.required = true;
    all.push_back(std::move(declared));
  };
  required(key<&Runtime::plugin>(
      {"runtimes", "plugin", "", "runtime-kata", pluginName(), restart, kPluginDoc}));
  all.push_back(key<&Runtime::snapshotter>({"runtimes", "snapshotter", "", "nvme",
                                            instanceNameOrEmpty(), restart,
                                            "Gives the root filesystems. Empty: "
                                            "images.snapshotter."}));
  all.push_back(key<&Runtime::platform>(
      {"runtimes", "platform", "", "wasi/wasm", platformOrEmpty(), restart,
       "Which image of an index the pods of this runtime get, as os/architecture[/variant]. A name "
       "may mean one image for each platform on this node. Empty: images.platform."}));
  all.push_back(key<&Runtime::annotations>(
      {"runtimes", "annotations", Strings{}, Strings{"io.katacontainers.", "*.example.org/*"},
       listOf(nonEmptyText()), Reload::kLive,
       "Annotations of pods and containers that reach this runtime and its hooks as annotations of "
       "the OCI specification: beginnings of their names, or shell patterns for the whole name."}));
  all.push_back(key<&Runtime::defaultAnnotations>(
      {"runtimes", "default_annotations", Strings{},
       Strings{"io.katacontainers.config.hypervisor.default_memory=512"}, annotationEntries(),
       Reload::kLive,
       "Annotations that pods of this runtime have where they set none of that name, as "
       "\"name=value\"; they reach the runtime, its hooks and the OCI specifications of the pod's "
       "containers, whether or not pods may set them, and are not shown as the pod's own."}));
  all.push_back(key<&Runtime::privilegedDevices>(
      {"runtimes", "privileged_devices", "all", "none", oneOf({"all", "none"}), Reload::kLive,
       "What privileged containers find in /dev: all devices of the host, or none beyond those "
       "that they ask for."}));
  addIsolation<&Runtime::isolation, &Runtime::isolationCapabilities>(all, "runtimes");
  all.push_back(key<&Runtime::options>({"runtimes", "options", Options{}, Options{{"debug", true}},
                                        tableOfOptions(), restart, kOptionsDoc}));
  struct Example {
    std::string_view section;
    std::string plugin;
    Options options;
  };
  const Example examples[] = {
      {"snapshotters", "snapshotter-overlay", {{"root", "/mnt/nvme/layers"}}},
      {"sources", "source-oci-layout", {{"paths", {"/var/lib/berth/images"}}}},
      {"networks", "network-cni", {{"network_name", "k8s-pod-network"}}}};
  for (const Example& example : examples) {
    required(key<&Plugin::plugin>(
        {example.section, "plugin", "", example.plugin, pluginName(), restart, kPluginDoc}));
    addIsolation<&Plugin::isolation, &Plugin::isolationCapabilities>(all, example.section);
    all.push_back(key<&Plugin::options>({example.section, "options", Options{}, example.options,
                                         tableOfOptions(), restart, kOptionsDoc}));
  }
}

}  // namespace

const std::vector<Key>& keys() {
  static const std::vector<Key> all = [] {
    std::vector<Key> result;
    addTop(result);
    addGrpcAndLog(result);
    addStreaming(result);
    addMetrics(result);
    addCgroup(result);
    addImages(result);
    addContainers(result);
    addInstances(result);
    return result;
  }();
  return all;
}

}  // namespace berth::config
