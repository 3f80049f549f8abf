/* A runtime for pods that keep to themselves: it is runtime-runc, but for pods that ask for the
 * host's network or IPC, which it refuses. */
#include <berth/helpers.h>
#include <berth/plugin.h>
#include <berth/runtime.h>
#include <dlfcn.h>

/* What runtime-runc brings, and what this one gives the host. Only the entry writes them. */
static berth_runtime inner;
static berth_runtime functions;
static berth_plugin plugin;

static berth_code pod_create(void* instance, const berth_op* op, const berth_pod_spec* spec,
                             berth_pod_builder* out, berth_error* error) {
  const uint32_t own = BERTH_NAMESPACE_NETWORK | BERTH_NAMESPACE_IPC;
  berth_pod_spec mine;
  berth_known(&mine, sizeof mine, spec);
  if ((mine.new_namespaces & own) != own)
    return berth_failf(error, BERTH_PERMISSION_DENIED,
                       "pod %.*s asks for the host's network or IPC; give it another runtime class",
                       BERTH_ARG(mine.name));
  return inner.pod_create(instance, op, spec, out, error);
}

/* Instances are runtime-runc's own, so every function but one can be handed on as it is, those of
 * the life cycle, extensions and examine too. */
const berth_plugin* berth_plugin_entry(uint32_t abi_major, uint32_t abi_minor) {
  berth_plugin_entry_function entry = NULL;
  void* library = dlopen(RUNTIME_RUNC, RTLD_NOW | RTLD_LOCAL); /* never unloaded */
  void* symbol = library != NULL ? dlsym(library, "berth_plugin_entry") : NULL;
  memcpy(&entry, &symbol, sizeof entry);
  const berth_plugin* other = entry != NULL ? entry(abi_major, abi_minor) : NULL;
  if (other == NULL || abi_major != BERTH_ABI_MAJOR) return NULL;
  berth_known(&plugin, sizeof plugin, other);
  berth_known(&inner, sizeof inner, plugin.functions);
  functions = inner;
  functions.pod_create = pod_create;
  plugin.abi_major = BERTH_ABI_MAJOR;
  plugin.abi_minor = BERTH_ABI_MINOR;
  plugin.name = berth_string("small-runtime");
  plugin.version = berth_string("1.0.0");
  plugin.summary = berth_string("Refuses pods that share the host's network or IPC");
  plugin.functions = &functions;
  return &plugin;
}
