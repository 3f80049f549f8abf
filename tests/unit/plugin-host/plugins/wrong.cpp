// A plugin of the kind TEST_KIND, of the C ABI alone, that hands its host what it must not: the
// option "wrong" says what.
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <stdexcept>
#include <string_view>

#include "berth/extensions.h"
#include "berth/image_source.h"
#include "berth/network.h"
#include "berth/runtime.h"
#include "berth/snapshotter.h"

namespace {

struct Instance {
  const berth_host* host = nullptr;
  char wrong[64] = {};
};

bool is(void* instance, std::string_view what) {
  return what == static_cast<Instance*>(instance)->wrong;
}
berth_str text(const char* given) {
  return {given, std::strlen(given)};
}
// Longer than anything can be.
const berth_str kEndless = {"x", SIZE_MAX};
const berth_str kNoUtf8 = {"\xFF", 1};

// What every call may do.
berth_code general(void* instance) {
  if (is(instance, "throw")) throw std::runtime_error("out of a call");
  if (is(instance, "code")) return 4711;
  const berth_host* const host = static_cast<Instance*>(instance)->host;
  if (is(instance, "log")) host->log(host->context, BERTH_LOG_INFO, kEndless, nullptr, 0);
  if (is(instance, "fields")) host->log(host->context, 99, text("without fields"), nullptr, 3);
  if (is(instance, "event")) host->emit_event(host->context, nullptr);
  if (is(instance, "event text")) {
    berth_event event{};
    event.size = sizeof event;
    event.pod = kEndless;
    host->emit_event(host->context, &event);
  }
  if (is(instance, "credentials"))
    return host->get_credentials(host->context, nullptr, text("registry.example:5000"), nullptr,
                                 nullptr, nullptr);
  return BERTH_OK;
}
// Of a call that hands nothing else over.
template <class... A>
berth_code plain(void* instance, A...) {
  return general(instance);
}

berth_code create(const berth_host* host, void** instance, berth_error*) {
  auto* const made = new Instance;
  made->host = host;
  *instance = made;
  return BERTH_OK;
}
// {"wrong":"…"}
berth_code configure(void* instance, berth_str options, berth_error*) {
  std::string_view value(options.data, options.size);
  value.remove_prefix(value.find(":\"") + 2);
  value = value.substr(0, value.find('"'));
  value.copy(static_cast<Instance*>(instance)->wrong, sizeof Instance::wrong - 1);
  return BERTH_OK;
}

// Findings of all calls that have some.
berth_code find(void* instance, berth_finding_sink* out) {
  berth_finding finding{};
  finding.size = sizeof finding;
  finding.what = text("a finding");
  if (is(instance, "text")) finding.detail = kEndless;
  out->add(out, is(instance, "struct") ? nullptr : &finding);
  return general(instance);
}
berth_code examine(void* instance, const berth_op*, berth_finding_sink* out, berth_error*) {
  return find(instance, out);
}
void destroy(void* instance) {
  const bool throws = is(instance, "destroy");
  delete static_cast<Instance*>(instance);
  if (throws) throw 1;
}

berth_code attach(void* instance, const berth_op* op, const berth_network_request*,
                  berth_network_builder* out, berth_error* error) {
  if (is(instance, "stage")) op->stage(op, kEndless);
  if (is(instance, "message")) return berth_fail(error, BERTH_UNAVAILABLE, kEndless);
  if (is(instance, "message utf8")) return berth_fail(error, BERTH_UNAVAILABLE, kNoUtf8);
  if (is(instance, "text")) out->add_address(out, kEndless);
  if (is(instance, "no text")) out->add_address(out, {nullptr, 5});
  if (is(instance, "name")) out->add_address(out, BERTH_STR_INIT("localhost"));
  if (is(instance, "line")) out->add_address(out, BERTH_STR_INIT("192.0.2.1\n192.0.2.2"));
  if (is(instance, "nul")) out->add_address(out, BERTH_STR_INIT("192.0.2.1\0\n192.0.2.2"));
  if (is(instance, "result")) out->set_result(out, kEndless);
  if (is(instance, "state")) out->set_state(out, {"x", SIZE_MAX});
  return general(instance);
}

berth_code resolve(void* instance, const berth_op*, const berth_image_request*, uint64_t,
                   berth_resolve_builder* out, berth_error*) {
  berth_descriptor descriptor{};
  descriptor.size = sizeof descriptor;
  if (is(instance, "struct")) out->set(out, nullptr, {"{}", 2});
  if (is(instance, "text")) descriptor.digest = kEndless;
  if (is(instance, "document")) out->set(out, &descriptor, {"{", SIZE_MAX});
  if (is(instance, "size")) descriptor.size = 0;
  if (is(instance, "text") || is(instance, "size")) out->set(out, &descriptor, {"{}", 2});
  return general(instance);
}
berth_code write(void* instance, berth_sink* out) {
  if (is(instance, "data")) return out->write(out, nullptr, 5);
  if (is(instance, "endless data")) return out->write(out, "x", SIZE_MAX);
  return general(instance);
}
int32_t serves(void* instance, berth_str) {
  if (is(instance, "serves")) throw 1;
  return 7;
}
berth_code fetch(void* instance, const berth_op*, const berth_image_request*,
                 const berth_descriptor*, uint64_t, berth_sink* out, berth_error*) {
  return write(instance, out);
}

uint32_t flags(void* instance) {
  if (is(instance, "flags")) throw 1;
  return UINT32_MAX;
}
berth_code layerList(void* instance, const berth_op*, berth_name_sink* out, berth_error*) {
  if (is(instance, "text")) out->add(out, kEndless);
  if (is(instance, "utf8")) out->add(out, kNoUtf8);
  return general(instance);
}
berth_code layerApply(void* instance, const berth_op*, const berth_layer*, berth_stream* tar,
                      berth_usage*, berth_error*) {
  return is(instance, "piece") ? tar->next(tar, nullptr) : general(instance);
}
berth_code diff(void* instance, const berth_op*, berth_str, uint32_t, berth_sink* tar,
                berth_error*) {
  return write(instance, tar);
}
berth_code verify(void* instance, const berth_op*, const berth_layer*, uint32_t,
                  berth_finding_sink* out, berth_error*) {
  return find(instance, out);
}
berth_code verifySnapshot(void* instance, const berth_op*, berth_str, uint32_t,
                          berth_finding_sink* out, berth_error*) {
  return find(instance, out);
}
berth_code filesystem(void* instance, const berth_op*, berth_sink* path, berth_usage* usage,
                      berth_error*) {
  if (is(instance, "size")) usage->size = SIZE_MAX;
  return write(instance, path);
}

berth_code features(void* instance, berth_sink* json, berth_error*) {
  const berth_str document = is(instance, "json")         ? text("{\"ociVersion\": ")
                             : is(instance, "json array") ? text("[]")
                             : is(instance, "json text")  ? text("{\"a\": \"\xFF\"}")
                                                          : text("{}");
  return json->write(json, document.data, document.size);
}
berth_code podCreate(void* instance, const berth_op*, const berth_pod_spec*, berth_pod_builder* out,
                     berth_error*) {
  if (is(instance, "utf8")) out->set_namespace(out, BERTH_NAMESPACE_NETWORK, kNoUtf8);
  if (is(instance, "text")) out->set_namespace(out, BERTH_NAMESPACE_NETWORK, kEndless);
  return general(instance);
}
berth_code podRecover(void* instance, const berth_op*, berth_str, berth_str, berth_bytes,
                      berth_container_status_sink* out, berth_error*) {
  berth_container_status status{};
  status.size = is(instance, "size") ? 0 : sizeof status;
  status.id = text("container-1");
  status.state = is(instance, "state") ? 99 : BERTH_CONTAINER_EXITED;
  status.message = is(instance, "text") ? kEndless : text("");
  out->add(out, is(instance, "struct") ? nullptr : &status);
  return general(instance);
}
berth_code containerStart(void* instance, const berth_op*, berth_str, berth_str,
                          berth_container_status* status, berth_error*) {
  status->state = is(instance, "state") ? -7 : BERTH_CONTAINER_RUNNING;
  return general(instance);
}
berth_code podStats(void* instance, const berth_op*, berth_str, berth_stats_sink* out,
                    berth_error*) {
  berth_stats stats{};
  stats.size = sizeof stats;
  berth_interface_stats interfaces[2] = {};
  for (berth_interface_stats& one : interfaces) one.size = sizeof one;
  if (is(instance, "element")) interfaces[0].size = 0;
  if (is(instance, "large element")) interfaces[0].size = size_t{1} << 40;
  stats.interfaces = is(instance, "array") ? nullptr : interfaces;
  stats.interface_count = is(instance, "count") ? SIZE_MAX : 2;
  if (is(instance, "text")) interfaces[1].name = kEndless;
  out->add(out, is(instance, "struct") ? nullptr : &stats);
  return general(instance);
}

berth_code connectPort(void* instance, const berth_op*, berth_str, uint16_t, int32_t* socket,
                       berth_error*) {
  if (is(instance, "file")) *socket = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  return general(instance);
}
const void* getExtension(void* instance, berth_str id, uint32_t) {
  static const berth_runtime_port_forward ports = {sizeof ports, &connectPort};
  static const berth_runtime_pause pause = {sizeof pause, &plain, &plain};
  static const berth_runtime_checkpoint checkpoint = {sizeof checkpoint, kEndless, &plain, &plain,
                                                      &plain};
  static const berth_snapshotter_diff changes = {sizeof changes, &diff};
  static const berth_snapshotter_verify verification = {sizeof verification, &verify,
                                                        &verifySnapshot, &plain, &examine};
  if (is(instance, "extension")) throw 1;
  const std::string_view asked(id.data, id.size);
  if (asked == BERTH_EXTENSION_PORT_FORWARD) return &ports;
  if (asked == BERTH_EXTENSION_PAUSE) return &pause;
  if (asked == BERTH_EXTENSION_CHECKPOINT && is(instance, "format")) return &checkpoint;
  if (asked == BERTH_EXTENSION_DIFF) return &changes;
  if (asked == BERTH_EXTENSION_VERIFY) return &verification;
  return nullptr;
}

const berth_network network = {sizeof network, &attach, &plain, &plain, &plain, &plain, &plain};
const berth_image_source source = {sizeof source, &serves, &resolve, &fetch};
const berth_snapshotter snapshotter = {sizeof snapshotter,
                                       &flags,
                                       &layerApply,
                                       &plain,
                                       &plain,
                                       &layerList,
                                       &plain,
                                       &plain,
                                       &plain,
                                       &plain,
                                       &plain,
                                       &plain,
                                       &filesystem};
const berth_runtime runtime = {sizeof runtime, &features,   &podCreate, &plain,          &plain,
                               &plain,         &podRecover, &plain,     &containerStart, &plain,
                               &plain,         &plain,      &plain,     &plain,          &plain,
                               &podStats,      &plain,      &plain,     &plain,          &plain};

struct Kind {
  const char* interfaceId;
  const void* functions;
};
constexpr Kind kKinds[] = {{BERTH_NETWORK_INTERFACE, &network},
                           {BERTH_IMAGE_SOURCE_INTERFACE, &source},
                           {BERTH_SNAPSHOTTER_INTERFACE, &snapshotter},
                           {BERTH_RUNTIME_INTERFACE, &runtime}};

}  // namespace

extern "C" BERTH_EXPORT const berth_plugin* berth_plugin_entry(uint32_t, uint32_t) {
  static const berth_plugin plugin = {
      .size = sizeof plugin,
      .abi_major = BERTH_ABI_MAJOR,
      .abi_minor = BERTH_ABI_MINOR,
      .required_minor = 0,
      .threading = BERTH_THREADING_PARALLEL,
      .name = text("wrong"),
      .version = text("1.0.0"),
      .summary = text("for tests"),
      .interface_id = text(kKinds[TEST_KIND].interfaceId),
      .functions = kKinds[TEST_KIND].functions,
      .options = text(R"([{"key": "wrong", "type": "string"}])"),
      .create = &create,
      .configure = &configure,
      .start = [](void*, berth_error*) -> berth_code { return BERTH_OK; },
      .stop = [](void*) {},
      .destroy = &destroy,
      .get_extension = &getExtension,
      .examine = &examine};
  return &plugin;
}
