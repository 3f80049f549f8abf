/* A runtime that refuses pods and hands the others on. See README.md. */
#include <berth/helpers.h>
#include <berth/plugin.h>
#include <berth/runtime.h>

#include "inner.h"

static berth_code admission_create(const berth_host* host, void** instance, berth_error* error) {
  admission* self = host->allocate(host->context, sizeof *self);
  if (self == NULL) return berth_failf(error, BERTH_RESOURCE_EXHAUSTED, "out of memory");
  memset(self, 0, sizeof *self);
  self->host = host;
  *instance = self;
  return BERTH_OK;
}

static berth_code admission_configure(void* instance, berth_str options, berth_error* error) {
  admission* self = instance;
  char name[1024];
  if (!berth_json_string(options, "plugin", name, sizeof name) || name[0] == 0)
    return berth_failf(error, BERTH_INVALID_ARGUMENT, "option plugin: must name a plugin");
  if (!berth_json_string(options, "annotation", self->annotation, sizeof self->annotation))
    return berth_failf(error, BERTH_INVALID_ARGUMENT, "option annotation: is too long");
  /* The options are lent for the call. */
  const berth_str namespaces = berth_json_member(options, "namespaces");
  self->namespaces = self->host->allocate(self->host->context, namespaces.size + 1);
  if (self->namespaces == NULL)
    return berth_failf(error, BERTH_RESOURCE_EXHAUSTED, "out of memory");
  if (namespaces.size > 0) memcpy(self->namespaces, namespaces.data, namespaces.size);
  self->namespaces_size = namespaces.size;
  return admission_load(self, name, berth_json_member(options, "options"), error);
}

static berth_code admission_start(void* instance, berth_error* error) {
  admission* self = instance;
  berth_code code = self->description.start(self->instance, error);
  if (code == BERTH_OK) admission_find_extensions(self);
  return code;
}

static void admission_stop(void* instance) {
  admission* self = instance;
  self->description.stop(self->instance);
}

static void admission_destroy(void* instance) {
  admission* self = instance;
  if (self->instance != NULL) self->description.destroy(self->instance);
  self->host->release(self->host->context, self->namespaces);
  self->host->release(self->host->context, self);
}

static berth_code admission_examine(void* instance, const berth_op* op, berth_finding_sink* out,
                                    berth_error* error) {
  admission* self = instance;
  if (self->description.examine == NULL) return BERTH_OK;
  return self->description.examine(self->instance, op, out, error);
}

static int is_allowed(const admission* self, berth_str pod_namespace) {
  const berth_str namespaces = {self->namespaces, self->namespaces_size};
  berth_json all = berth_json_open(namespaces);
  berth_str one;
  int any = 1;
  while (berth_json_next(&all, NULL, &one)) {
    char text[256];
    any = 0;
    if (berth_json_text(one, text, sizeof text) && berth_equal(pod_namespace, text)) return 1;
  }
  return any;
}

static int has_annotation(const berth_pod_spec* spec, const char* name) {
  for (size_t i = 0; i < spec->annotation_count; ++i)
    if (berth_equal(spec->annotations[i].key, name)) return 1;
  return 0;
}

static berth_code pod_create(void* instance, const berth_op* op, const berth_pod_spec* spec,
                             berth_pod_builder* out, berth_error* error) {
  admission* self = instance;
  berth_pod_spec mine;
  berth_known(&mine, sizeof mine, spec);
  if (!is_allowed(self, mine.pod_namespace))
    return berth_failf(error, BERTH_PERMISSION_DENIED,
                       "pods of the namespace %.*s may not run here",
                       BERTH_ARG(mine.pod_namespace));
  if (self->annotation[0] != 0 && !has_annotation(&mine, self->annotation))
    return berth_failf(error, BERTH_PERMISSION_DENIED, "the pod has no annotation %s",
                       self->annotation);
  return self->calls.pod_create(self->instance, op, spec, out, error);
}

/* A call that is handed on as it came. */
#define HAND_ON(name, parameters, arguments) \
  static berth_code name parameters {        \
    admission* self = instance;              \
    return self->calls.name arguments;       \
  }
#define POD self->instance, op, pod
#define CONTAINER POD, container

HAND_ON(features, (void* instance, berth_sink* out, berth_error* error),
        (self->instance, out, error))
HAND_ON(pod_start, (void* instance, const berth_op* op, berth_str pod, berth_error* error),
        (POD, error))
HAND_ON(pod_stop, (void* instance, const berth_op* op, berth_str pod, berth_error* error),
        (POD, error))
HAND_ON(pod_remove, (void* instance, const berth_op* op, berth_str pod, berth_error* error),
        (POD, error))
HAND_ON(pod_recover,
        (void* instance, const berth_op* op, berth_str pod, berth_str directory, berth_bytes state,
         berth_container_status_sink* out, berth_error* error),
        (POD, directory, state, out, error))
HAND_ON(container_create,
        (void* instance, const berth_op* op, const berth_container_spec* spec, berth_error* error),
        (self->instance, op, spec, error))
HAND_ON(container_start,
        (void* instance, const berth_op* op, berth_str pod, berth_str container,
         berth_container_status* status, berth_error* error),
        (CONTAINER, status, error))
HAND_ON(container_kill,
        (void* instance, const berth_op* op, berth_str pod, berth_str container, int32_t signal,
         int32_t all, berth_error* error),
        (CONTAINER, signal, all, error))
HAND_ON(container_wait,
        (void* instance, const berth_op* op, berth_str pod, berth_str container,
         berth_container_status* status, berth_error* error),
        (CONTAINER, status, error))
HAND_ON(container_remove,
        (void* instance, const berth_op* op, berth_str pod, berth_str container,
         berth_error* error),
        (CONTAINER, error))
HAND_ON(container_update,
        (void* instance, const berth_op* op, berth_str pod, berth_str container,
         berth_str resources, berth_error* error),
        (CONTAINER, resources, error))
HAND_ON(container_reopen_log,
        (void* instance, const berth_op* op, berth_str pod, berth_str container,
         berth_error* error),
        (CONTAINER, error))
HAND_ON(container_stats,
        (void* instance, const berth_op* op, berth_str pod, const berth_str* containers,
         size_t container_count, berth_stats_sink* out, berth_error* error),
        (POD, containers, container_count, out, error))
HAND_ON(pod_stats,
        (void* instance, const berth_op* op, berth_str pod, berth_stats_sink* out,
         berth_error* error),
        (POD, out, error))
HAND_ON(exec_start,
        (void* instance, const berth_op* op, const berth_exec_spec* spec, berth_error* error),
        (self->instance, op, spec, error))
HAND_ON(exec_wait,
        (void* instance, const berth_op* op, berth_str pod, berth_str container, berth_str exec,
         int32_t* exit_code, berth_error* error),
        (CONTAINER, exec, exit_code, error))
HAND_ON(resize,
        (void* instance, const berth_op* op, berth_str pod, berth_str container, berth_str exec,
         uint32_t rows, uint32_t columns, berth_error* error),
        (CONTAINER, exec, rows, columns, error))
HAND_ON(attach,
        (void* instance, const berth_op* op, berth_str pod, berth_str container, int32_t stdin_fd,
         int32_t stdout_fd, int32_t stderr_fd, berth_error* error),
        (CONTAINER, stdin_fd, stdout_fd, stderr_fd, error))

static const berth_runtime functions = {
    .size = sizeof(berth_runtime),
    .features = features,
    .pod_create = pod_create,
    .pod_start = pod_start,
    .pod_stop = pod_stop,
    .pod_remove = pod_remove,
    .pod_recover = pod_recover,
    .container_create = container_create,
    .container_start = container_start,
    .container_kill = container_kill,
    .container_wait = container_wait,
    .container_remove = container_remove,
    .container_update = container_update,
    .container_reopen_log = container_reopen_log,
    .container_stats = container_stats,
    .pod_stats = pod_stats,
    .exec_start = exec_start,
    .exec_wait = exec_wait,
    .resize = resize,
    .attach = attach,
};

static const berth_plugin plugin = {
    .size = sizeof(berth_plugin),
    .abi_major = BERTH_ABI_MAJOR,
    .abi_minor = BERTH_ABI_MINOR,
    .threading = BERTH_THREADING_PARALLEL,
    .name = BERTH_STR_INIT("runtime-admission"),
    .version = BERTH_STR_INIT("1.0.0"),
    .summary = BERTH_STR_INIT("Refuses pods before another runtime runs them"),
    .interface_id = BERTH_STR_INIT(BERTH_RUNTIME_INTERFACE),
    .functions = &functions,
    .options = BERTH_STR_INIT(
        "[{\"key\": \"plugin\", \"type\": \"string\", \"example\": \"runtime-runc\","
        " \"help\": \"The runtime that runs the pods: a plugin in the same folder, or a path.\"},"
        " {\"key\": \"options\", \"type\": \"table\", \"default\": {},"
        " \"help\": \"The options of that plugin.\"},"
        " {\"key\": \"namespaces\", \"type\": \"array\", \"default\": [],"
        " \"example\": [\"kube-system\"],"
        " \"help\": \"Namespaces whose pods may run; none: all.\"},"
        " {\"key\": \"annotation\", \"type\": \"string\", \"default\": \"\","
        " \"example\": \"example.com/reviewed\","
        " \"help\": \"An annotation that pods must have; empty: none.\"}]"),
    .create = admission_create,
    .configure = admission_configure,
    .start = admission_start,
    .stop = admission_stop,
    .destroy = admission_destroy,
    .get_extension = admission_extension,
    .examine = admission_examine,
};

const berth_plugin* berth_plugin_entry(uint32_t abi_major, uint32_t abi_minor) {
  (void)abi_minor;
  return abi_major == BERTH_ABI_MAJOR ? &plugin : NULL;
}
