/* A snapshotter that copies. See README.md. */
#include <berth/helpers.h>
#include <berth/plugin.h>
#include <berth/snapshotter.h>

#include "store.h"
#include "tree.h"

static berth_code native_create(const berth_host* host, void** instance, berth_error* error) {
  native* self = host->allocate(host->context, sizeof *self);
  if (self == NULL) return berth_failf(error, BERTH_RESOURCE_EXHAUSTED, "out of memory");
  memset(self, 0, sizeof *self);
  self->host = host;
  self->lock = -1;
  pthread_rwlock_init(&self->layers_in_use, NULL);
  *instance = self;
  return BERTH_OK;
}

static berth_code native_configure(void* instance, berth_str options, berth_error* error) {
  native* self = instance;
  if (!berth_json_string(options, "root", self->root, sizeof self->root))
    return berth_failf(error, BERTH_INVALID_ARGUMENT, "option root: is too long");
  if (self->root[0] == 0 && !berth_copy(self->root, sizeof self->root, self->host->root_directory))
    return berth_failf(error, BERTH_INVALID_ARGUMENT, "the instance's own folder has no fit name");
  if (self->root[0] != '/')
    return berth_failf(error, BERTH_INVALID_ARGUMENT, "option root: must be an absolute path");
  return BERTH_OK;
}

static berth_code native_start(void* instance, berth_error* error) {
  return native_open(instance, error);
}

static void native_stop(void* instance) {
  native_close(instance); /* nothing runs between calls */
}

static void native_destroy(void* instance) {
  native* self = instance;
  pthread_rwlock_destroy(&self->layers_in_use);
  self->host->release(self->host->context, self);
}

static uint32_t flags(void* instance) {
  (void)instance;
  return BERTH_SNAPSHOTTER_INDEPENDENT_LAYERS;
}

static berth_code layer_apply(void* instance, const berth_op* op, const berth_layer* layer,
                              berth_stream* tar, berth_usage* usage, berth_error* error) {
  berth_layer mine;
  berth_usage used = {sizeof used, 0, 0};
  berth_known(&mine, sizeof mine, layer);
  berth_code code = native_layer_apply(instance, op, &mine, tar, &used, error);
  if (code == BERTH_OK) berth_give(usage, &used, sizeof used);
  return code;
}

static berth_code layer_usage(void* instance, const berth_op* op, const berth_layer* layer,
                              berth_usage* usage, berth_error* error) {
  berth_layer mine;
  berth_usage used = {sizeof used, 0, 0};
  (void)op;
  berth_known(&mine, sizeof mine, layer);
  berth_code code = native_layer_usage(instance, &mine, &used, error);
  if (code == BERTH_OK) berth_give(usage, &used, sizeof used);
  return code;
}

static berth_code layer_remove(void* instance, const berth_op* op, const berth_layer* layer,
                               berth_error* error) {
  berth_layer mine;
  (void)op;
  berth_known(&mine, sizeof mine, layer);
  return native_layer_remove(instance, &mine, error);
}

static berth_code layer_list(void* instance, const berth_op* op, berth_name_sink* out,
                             berth_error* error) {
  (void)op;
  return native_list(instance, "layers", out, error);
}

static berth_code snapshot_prepare(void* instance, const berth_op* op,
                                   const berth_snapshot_spec* spec, berth_error* error) {
  berth_snapshot_spec mine;
  berth_known(&mine, sizeof mine, spec);
  return native_prepare(instance, op, &mine, error);
}

static berth_code snapshot_mount(void* instance, const berth_op* op, berth_str key,
                                 berth_str target, berth_error* error) {
  (void)op;
  return native_mount(instance, key, target, error);
}

static berth_code snapshot_unmount(void* instance, const berth_op* op, berth_str key,
                                   berth_str target, berth_error* error) {
  (void)op;
  return native_unmount(instance, key, target, error);
}

static berth_code snapshot_usage(void* instance, const berth_op* op, berth_str key,
                                 berth_usage* usage, berth_error* error) {
  berth_usage used = {sizeof used, 0, 0};
  berth_code code = native_snapshot_usage(instance, op, key, &used, error);
  if (code == BERTH_OK) berth_give(usage, &used, sizeof used);
  return code;
}

static berth_code snapshot_remove(void* instance, const berth_op* op, berth_str key,
                                  berth_error* error) {
  (void)op;
  return native_snapshot_remove(instance, key, error);
}

static berth_code snapshot_list(void* instance, const berth_op* op, berth_name_sink* out,
                                berth_error* error) {
  (void)op;
  return native_list(instance, "snapshots", out, error);
}

static berth_code filesystem(void* instance, const berth_op* op, berth_sink* path,
                             berth_usage* usage, berth_error* error) {
  const native* self = instance;
  berth_usage used = {sizeof used, 0, 0};
  berth_code code = native_measure(op, self->root, &used, error);
  if (code == BERTH_OK) code = path->write(path, self->root, strlen(self->root));
  if (code == BERTH_OK) berth_give(usage, &used, sizeof used);
  return code;
}

static const berth_snapshotter functions = {
    .size = sizeof(berth_snapshotter),
    .flags = flags,
    .layer_apply = layer_apply,
    .layer_usage = layer_usage,
    .layer_remove = layer_remove,
    .layer_list = layer_list,
    .snapshot_prepare = snapshot_prepare,
    .snapshot_mount = snapshot_mount,
    .snapshot_unmount = snapshot_unmount,
    .snapshot_usage = snapshot_usage,
    .snapshot_remove = snapshot_remove,
    .snapshot_list = snapshot_list,
    .filesystem = filesystem,
};

static const berth_plugin plugin = {
    .size = sizeof(berth_plugin),
    .abi_major = BERTH_ABI_MAJOR,
    .abi_minor = BERTH_ABI_MINOR,
    .threading = BERTH_THREADING_PER_OBJECT,
    .name = BERTH_STR_INIT("snapshotter-native"),
    .version = BERTH_STR_INIT("1.0.0"),
    .summary = BERTH_STR_INIT("Copies layers into a directory for each snapshot"),
    .interface_id = BERTH_STR_INIT(BERTH_SNAPSHOTTER_INTERFACE),
    .functions = &functions,
    .options = BERTH_STR_INIT("[{\"key\": \"root\", \"type\": \"string\", \"default\": \"\","
                              " \"example\": \"/srv/native\","
                              " \"help\": \"Where layers and snapshots are kept; empty: the "
                              "instance's own folder.\"}]"),
    .create = native_create,
    .configure = native_configure,
    .start = native_start,
    .stop = native_stop,
    .destroy = native_destroy,
};

const berth_plugin* berth_plugin_entry(uint32_t abi_major, uint32_t abi_minor) {
  (void)abi_minor;
  return abi_major == BERTH_ABI_MAJOR ? &plugin : NULL;
}
