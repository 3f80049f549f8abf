/* Another plugin, within this one. */
#ifndef ADMISSION_INNER_H
#define ADMISSION_INNER_H

#include <berth/extensions.h>
#include <berth/plugin.h>
#include <berth/runtime.h>

typedef struct admission {
  const berth_host* host;
  /* The other runtime. */
  berth_plugin description;
  berth_runtime calls;
  void* instance; /* NULL: none yet */
  /* What it offers, as far as it is handed on; all zeros when it does not. */
  berth_runtime_pause pause;
  berth_runtime_pod_resources resources;
  berth_runtime_port_forward ports;
  berth_runtime_checkpoint checkpoints;
  berth_runtime_checkpoint offered_checkpoints; /* with this plugin's functions */
  /* The rules. */
  char* namespaces; /* a JSON array */
  size_t namespaces_size;
  char annotation[320];
} admission;

/* Loads the plugin called `name`, makes an instance and configures it. `options`: what the
 * configuration has for it, a JSON object. */
berth_code admission_load(admission* self, const char* name, berth_str options, berth_error* error);

/* After the start of the other one. */
void admission_find_extensions(admission* self);
const void* admission_extension(void* instance, berth_str id, uint32_t revision);

#endif
