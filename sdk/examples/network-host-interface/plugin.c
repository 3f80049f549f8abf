/* A network that moves an interface of the host into the pod. See README.md. */
#include <berth/helpers.h>
#include <berth/network.h>
#include <berth/plugin.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include "netlink.h"
#include "record.h"

#define PORTS_LIMIT 256

typedef struct ports {
  const berth_host* host;
  char folder[PATH_MAX / 2]; /* records */
  char interfaces[PORTS_LIMIT][IF_NAMESIZE];
  size_t interface_count;
  bool has_gateway;
  port_address gateway;
  pthread_mutex_t choice; /* held from the choice of an interface until it is gone from the host */
} ports;

static berth_code ports_create(const berth_host* host, void** instance, berth_error* error) {
  ports* self = host->allocate(host->context, sizeof *self);
  if (self == NULL) return berth_failf(error, BERTH_RESOURCE_EXHAUSTED, "out of memory");
  memset(self, 0, sizeof *self);
  self->host = host;
  pthread_mutex_init(&self->choice, NULL);
  *instance = self;
  return BERTH_OK;
}

static berth_code ports_configure(void* instance, berth_str options, berth_error* error) {
  ports* self = instance;
  char gateway[64];
  berth_json all = berth_json_open(berth_json_member(options, "interfaces"));
  for (berth_str name; berth_json_next(&all, NULL, &name); ++self->interface_count)
    if (self->interface_count == PORTS_LIMIT ||
        !berth_json_text(name, self->interfaces[self->interface_count], IF_NAMESIZE))
      return berth_failf(error, BERTH_INVALID_ARGUMENT,
                         "option interfaces[%zu]: must be the name of a network interface",
                         self->interface_count);
  if (self->interface_count == 0)
    return berth_failf(error, BERTH_INVALID_ARGUMENT, "option interfaces: must name one at least");
  if (!berth_json_string(options, "gateway", gateway, sizeof gateway) ||
      (gateway[0] != 0 && !ports_parse(gateway, &self->gateway)))
    return berth_failf(error, BERTH_INVALID_ARGUMENT, "option gateway: must be an IP address");
  self->has_gateway = gateway[0] != 0;
  if (!berth_copy(self->folder, sizeof self->folder, self->host->state_directory))
    return berth_failf(error, BERTH_INVALID_ARGUMENT, "the instance's folder has no fit name");
  return BERTH_OK;
}

static berth_code ports_start(void* instance, berth_error* error) {
  (void)instance;
  (void)error;
  return BERTH_OK;
}

static void ports_stop(void* instance) {
  (void)instance; /* nothing runs between calls */
}

static void ports_destroy(void* instance) {
  ports* self = instance;
  pthread_mutex_destroy(&self->choice);
  self->host->release(self->host->context, self);
}

static berth_code failed(berth_error* error, const char* what, const char* on, int reason) {
  return berth_failf(error, BERTH_INTERNAL, "%s %s: %s", what, on, strerror(reason));
}

/* Whoever ends in `target` gets its addresses and is set up. */
static berth_code furnish(int socket, const port_record* record, berth_error* error) {
  const unsigned index = ports_find(socket, record->interface);
  for (size_t i = 0; i < record->address_count; ++i) {
    port_address address;
    if (!ports_parse(record->address[i], &address)) continue;
    int reason = ports_add_address(socket, index, &address);
    if (reason != 0) return failed(error, "give an address to", record->interface, reason);
  }
  int reason = record->up != 0 ? ports_set_up(socket, index) : 0;
  return reason == 0 ? BERTH_OK : failed(error, "set up", record->interface, reason);
}

/* From one namespace, by its socket, into another, by its path. */
static berth_code move(int socket, const char* interface, const char* path, berth_error* error) {
  int target = open(path, O_RDONLY | O_CLOEXEC);
  if (target < 0) return failed(error, "open", path, errno);
  int reason = ports_move(socket, ports_find(socket, interface), target);
  close(target);
  return reason == 0 ? BERTH_OK : failed(error, "move", interface, reason);
}

/* Brings the interface of a record back, from wherever it is. */
static berth_code bring_back(const port_record* record, berth_error* error) {
  int here = ports_open(NULL);
  if (here < 0) return failed(error, "open", "a route socket", errno);
  berth_code code = BERTH_OK;
  /* Without its namespace the kernel has brought it back. */
  int there = ports_find(here, record->interface) == 0 ? ports_open(record->namespace_path) : -1;
  if (there >= 0 && ports_find(there, record->interface) != 0)
    code = move(there, record->interface, "/proc/thread-self/ns/net", error);
  if (there >= 0) close(there);
  if (code == BERTH_OK && ports_find(here, record->interface) != 0)
    code = furnish(here, record, error);
  close(here);
  return code;
}

/* The record says where the interface goes before it goes. */
static berth_code take_one(ports* self, int here, const berth_network_request* request,
                           port_record* record, berth_error* error) {
  for (size_t i = 0; i < self->interface_count; ++i) {
    if (ports_find(here, self->interfaces[i]) == 0) continue;
    memcpy(record->interface, self->interfaces[i], IF_NAMESIZE);
    record->up = ports_is_up(here, record->interface);
    ports_read_addresses(record);
    berth_code code = ports_save(self->folder, request->pod, record, error);
    if (code == BERTH_OK) code = move(here, record->interface, record->namespace_path, error);
    return code;
  }
  return berth_failf(error, BERTH_RESOURCE_EXHAUSTED,
                     "none of the %zu interfaces is on the host: pods have them all",
                     self->interface_count);
}

static berth_code set_up_pod(const ports* self, int there, const port_record* record,
                             berth_error* error) {
  port_record wanted = *record;
  wanted.up = 1;
  int reason = ports_set_up(there, ports_find(there, "lo"));
  if (reason != 0) return failed(error, "set up", "lo", reason);
  berth_code code = furnish(there, &wanted, error);
  if (code != BERTH_OK || !self->has_gateway) return code;
  reason = ports_add_default_route(there, ports_find(there, record->interface), &self->gateway);
  return reason == 0 ? BERTH_OK
                     : failed(error, "set the default route by", record->interface, reason);
}

static berth_code attach(void* instance, const berth_op* op, const berth_network_request* request,
                         berth_network_builder* out, berth_error* error) {
  ports* self = instance;
  berth_network_request mine;
  port_record record;
  char text[2 * PATH_MAX];
  (void)op; /* nothing here waits for anybody */
  berth_known(&mine, sizeof mine, request);
  memset(&record, 0, sizeof record);
  if (!berth_copy(record.namespace_path, sizeof record.namespace_path, mine.namespace_path))
    return berth_failf(error, BERTH_INVALID_ARGUMENT, "the pod's namespace has no fit path");
  int here = ports_open(NULL);
  int there = ports_open(record.namespace_path);
  berth_code code =
      here >= 0 && there >= 0 ? BERTH_OK : failed(error, "enter", record.namespace_path, errno);
  if (code == BERTH_OK) {
    pthread_mutex_lock(&self->choice);
    code = take_one(self, here, &mine, &record, error);
    pthread_mutex_unlock(&self->choice);
  }
  if (code == BERTH_OK) code = set_up_pod(self, there, &record, error);
  if (here >= 0) close(here);
  if (there >= 0) close(there);
  if (code != BERTH_OK) {
    if (record.interface[0] != 0 && bring_back(&record, NULL) == BERTH_OK)
      ports_forget(self->folder, mine.pod);
    return code;
  }
  for (size_t i = 0; i < record.address_count; ++i) {
    const berth_str address = {record.address[i], strcspn(record.address[i], "/")};
    out->add_address(out, address);
  }
  const berth_bytes state = {text, ports_encode(&record, text, sizeof text)};
  out->set_state(out, state);
  return BERTH_OK;
}

static berth_code detach(void* instance, const berth_op* op, const berth_network_request* request,
                         berth_bytes state, berth_error* error) {
  ports* self = instance;
  berth_network_request mine;
  port_record record;
  const berth_str kept = {state.data, state.size};
  (void)op;
  berth_known(&mine, sizeof mine, request);
  /* The state is what the host has, the record also what an attach left that was cut off. */
  if (!ports_load(self->folder, mine.pod, &record) && !ports_decode(kept, &record)) return BERTH_OK;
  berth_code code = bring_back(&record, error);
  if (code == BERTH_OK) ports_forget(self->folder, mine.pod);
  return code;
}

static berth_code check(void* instance, const berth_op* op, const berth_network_request* request,
                        berth_bytes state, berth_error* error) {
  ports* self = instance;
  berth_network_request mine;
  port_record record;
  const berth_str kept = {state.data, state.size};
  (void)op;
  berth_known(&mine, sizeof mine, request);
  if (!ports_load(self->folder, mine.pod, &record) && !ports_decode(kept, &record))
    return berth_failf(error, BERTH_FAILED_PRECONDITION, "the pod has no interface");
  /* What counts is where the pod is now. */
  if (mine.namespace_path.size != 0 &&
      !berth_copy(record.namespace_path, sizeof record.namespace_path, mine.namespace_path))
    return berth_failf(error, BERTH_INVALID_ARGUMENT, "the pod's namespace has no fit path");
  int there = ports_open(record.namespace_path);
  const bool up = there >= 0 && ports_is_up(there, record.interface);
  if (there >= 0) close(there);
  if (up) return BERTH_OK;
  return berth_failf(error, BERTH_FAILED_PRECONDITION, "%s is not in the pod, or not up",
                     record.interface);
}

static DIR* open_records(const ports* self) {
  return opendir(self->folder);
}

/* Pods that end give theirs back, so that it is no matter when all are taken. */
static berth_code status(void* instance, const berth_op* op, berth_error* error) {
  ports* self = instance;
  (void)op;
  int here = ports_open(NULL);
  bool found = false;
  for (size_t i = 0; here >= 0 && !found && i < self->interface_count; ++i)
    found = ports_find(here, self->interfaces[i]) != 0;
  if (here >= 0) close(here);
  DIR* records = found ? NULL : open_records(self);
  if (records != NULL) {
    for (const struct dirent* entry = readdir(records); entry != NULL; entry = readdir(records))
      found = found || entry->d_name[0] != '.';
    closedir(records);
  }
  if (found) return BERTH_OK;
  return berth_failf(error, BERTH_FAILED_PRECONDITION, "the host has none of the interfaces, as %s",
                     self->interfaces[0]);
}

static bool is_wanted(const berth_attachment* attachments, size_t count, const char* pod) {
  for (size_t i = 0; i < count; ++i) {
    berth_attachment one;
    berth_known(&one, sizeof one, berth_at(attachments, i));
    if (berth_equal(one.pod, pod)) return true;
  }
  return false;
}

static berth_code gc(void* instance, const berth_op* op, const berth_attachment* attachments,
                     size_t attachment_count, berth_error* error) {
  ports* self = instance;
  berth_code code = BERTH_OK;
  DIR* records = open_records(self);
  if (records == NULL) return BERTH_OK;
  for (const struct dirent* entry = readdir(records); entry != NULL; entry = readdir(records)) {
    berth_network_request request;
    const berth_bytes none = {NULL, 0};
    if (entry->d_name[0] == '.' || is_wanted(attachments, attachment_count, entry->d_name))
      continue;
    berth_known(&request, sizeof request, NULL);
    request.pod = berth_string(entry->d_name);
    berth_code one = detach(self, op, &request, none, error);
    if (code == BERTH_OK) code = one;
  }
  closedir(records);
  return code;
}

static berth_code set_pod_cidr(void* instance, const berth_op* op, berth_str cidr,
                               berth_error* error) {
  (void)instance;
  (void)op;
  (void)cidr; /* interfaces bring their addresses */
  (void)error;
  return BERTH_OK;
}

static const berth_network functions = {
    .size = sizeof(berth_network),
    .attach = attach,
    .detach = detach,
    .check = check,
    .status = status,
    .gc = gc,
    .set_pod_cidr = set_pod_cidr,
};

static const berth_plugin plugin = {
    .size = sizeof(berth_plugin),
    .abi_major = BERTH_ABI_MAJOR,
    .abi_minor = BERTH_ABI_MINOR,
    .threading = BERTH_THREADING_PER_OBJECT,
    .name = BERTH_STR_INIT("network-host-interface"),
    .version = BERTH_STR_INIT("1.0.0"),
    .summary = BERTH_STR_INIT("Moves a network interface of the host into each pod"),
    .interface_id = BERTH_STR_INIT(BERTH_NETWORK_INTERFACE),
    .functions = &functions,
    .options = BERTH_STR_INIT(
        "[{\"key\": \"interfaces\", \"type\": \"array\", \"example\": [\"eth1\"],"
        " \"help\": \"The interfaces that pods may get. A pod gets the first one that is on the "
        "host.\"},"
        " {\"key\": \"gateway\", \"type\": \"string\", \"default\": \"\","
        " \"example\": \"192.0.2.1\", \"help\": \"The default route of pods; empty: none.\"}]"),
    .create = ports_create,
    .configure = ports_configure,
    .start = ports_start,
    .stop = ports_stop,
    .destroy = ports_destroy,
};

const berth_plugin* berth_plugin_entry(uint32_t abi_major, uint32_t abi_minor) {
  (void)abi_minor;
  return abi_major == BERTH_ABI_MAJOR ? &plugin : NULL;
}
