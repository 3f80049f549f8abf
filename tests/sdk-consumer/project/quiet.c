/* A network in C that connects nothing and always succeeds: the least a plugin can be. */
#include <berth/network.h>
#include <berth/plugin.h>

typedef struct quiet {
  const berth_host* host;
} quiet;

static berth_code quiet_attach(void* instance, const berth_op* op,
                               const berth_network_request* request, berth_network_builder* out,
                               berth_error* error) {
  static const berth_str address = BERTH_STR_INIT("192.0.2.1");
  (void)instance;
  (void)error;
  op->stage(op, request->pod);
  out->add_address(out, address);
  return BERTH_OK;
}

static berth_code quiet_with_state(void* instance, const berth_op* op,
                                   const berth_network_request* request, berth_bytes state,
                                   berth_error* error) {
  (void)instance;
  (void)op;
  (void)request;
  (void)state;
  (void)error;
  return BERTH_OK;
}

static berth_code quiet_status(void* instance, const berth_op* op, berth_error* error) {
  (void)instance;
  (void)op;
  (void)error;
  return BERTH_OK;
}

static berth_code quiet_gc(void* instance, const berth_op* op, const berth_attachment* attachments,
                           size_t attachment_count, berth_error* error) {
  (void)instance;
  (void)op;
  (void)attachments;
  (void)attachment_count;
  (void)error;
  return BERTH_OK;
}

static berth_code quiet_set_pod_cidr(void* instance, const berth_op* op, berth_str cidr,
                                     berth_error* error) {
  (void)instance;
  (void)op;
  (void)cidr;
  (void)error;
  return BERTH_OK;
}

static berth_code quiet_create(const berth_host* host, void** instance, berth_error* error) {
  static const berth_str no_memory = BERTH_STR_INIT("create the network: no memory");
  quiet* self = host->allocate(host->context, sizeof *self);
  if (self == NULL) return berth_fail(error, BERTH_RESOURCE_EXHAUSTED, no_memory);
  self->host = host;
  *instance = self;
  return BERTH_OK;
}

static berth_code quiet_configure(void* instance, berth_str options, berth_error* error) {
  (void)instance;
  (void)options;
  (void)error;
  return BERTH_OK;
}

static berth_code quiet_start(void* instance, berth_error* error) {
  static const berth_str message = BERTH_STR_INIT("pods get no network");
  const quiet* self = instance;
  (void)error;
  self->host->log(self->host->context, BERTH_LOG_INFO, message, NULL, 0);
  return BERTH_OK;
}

static void quiet_stop(void* instance) {
  (void)instance;
}

static void quiet_destroy(void* instance) {
  quiet* self = instance;
  self->host->release(self->host->context, self);
}

static const berth_network functions = {
    .size = sizeof(berth_network),
    .attach = quiet_attach,
    .detach = quiet_with_state,
    .check = quiet_with_state,
    .status = quiet_status,
    .gc = quiet_gc,
    .set_pod_cidr = quiet_set_pod_cidr,
};

static const berth_plugin plugin = {
    .size = sizeof(berth_plugin),
    .abi_major = BERTH_ABI_MAJOR,
    .abi_minor = BERTH_ABI_MINOR,
    .required_minor = 0,
    .threading = BERTH_THREADING_PARALLEL,
    .name = BERTH_STR_INIT("quiet-c"),
    .version = BERTH_STR_INIT("1.0.0"),
    .summary = BERTH_STR_INIT("A network that connects nothing, in C"),
    .interface_id = BERTH_STR_INIT(BERTH_NETWORK_INTERFACE),
    .functions = &functions,
    .create = quiet_create,
    .configure = quiet_configure,
    .start = quiet_start,
    .stop = quiet_stop,
    .destroy = quiet_destroy,
};

const berth_plugin* berth_plugin_entry(uint32_t abi_major, uint32_t abi_minor) {
  (void)abi_minor;
  return abi_major == BERTH_ABI_MAJOR ? &plugin : NULL;
}
