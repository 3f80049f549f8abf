#include "inner.h"

#include <berth/helpers.h>
#include <dlfcn.h>
#include <limits.h>
#include <stddef.h>

/* Names are looked for where this plugin's own file is. */
static void find_file(const char* name, char* path) {
  static const int here = 0;
  char folder[PATH_MAX];
  if (strchr(name, '/') == NULL && berth_own_folder(&here, folder, sizeof folder))
    berth_format(path, PATH_MAX, "%s/berth-%s.so", folder, name);
  else
    berth_format(path, PATH_MAX, "%s", name);
}

static berth_code load_file(admission* self, const char* path, berth_error* error) {
  berth_plugin_entry_function entry = NULL;
  /* Never unloaded: its threads and statics may outlive the instance. */
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  void* symbol = library != NULL ? dlsym(library, "berth_plugin_entry") : NULL;
  if (symbol == NULL)
    return berth_failf(error, BERTH_FAILED_PRECONDITION, "option plugin: %s", dlerror());
  memcpy(&entry, &symbol, sizeof entry);
  const berth_plugin* given = entry(self->host->abi_major, self->host->abi_minor);
  if (given == NULL)
    return berth_failf(error, BERTH_FAILED_PRECONDITION, "option plugin: %s refuses this host",
                       path);
  berth_known(&self->description, sizeof self->description, given);
  return BERTH_OK;
}

/* Every function of the table is mandatory; they follow the size. */
static int is_complete(const berth_runtime* calls) {
  for (size_t at = offsetof(berth_runtime, features); at < sizeof *calls; at += sizeof(void*)) {
    void* function = NULL;
    memcpy(&function, (const char*)calls + at, sizeof function);
    if (function == NULL) return 0;
  }
  return 1;
}

static berth_code check(admission* self, const char* path, berth_error* error) {
  const berth_plugin* other = &self->description;
  const char* problem = NULL;
  if (other->abi_major != BERTH_ABI_MAJOR || other->required_minor > self->host->abi_minor)
    problem = "is built for another version of the ABI";
  else if (!berth_equal(other->interface_id, BERTH_RUNTIME_INTERFACE))
    problem = "is no runtime";
  else if (other->threading != BERTH_THREADING_PARALLEL)
    problem = "does not bear parallel calls, which this plugin declares to";
  if (problem == NULL) {
    berth_known(&self->calls, sizeof self->calls, other->functions);
    if (other->functions == NULL || !is_complete(&self->calls)) problem = "lacks functions";
  }
  if (problem == NULL) return BERTH_OK;
  return berth_failf(error, BERTH_FAILED_PRECONDITION, "option plugin: %s %s", path, problem);
}

/* The host has seen to this plugin's options; to the other one's, it is this plugin that has to:
 * unknown keys are errors, defaults are filled in. */
static berth_code complete(const berth_plugin* other, berth_str given, FILE* out,
                           berth_error* error) {
  char key[256];
  berth_str name;
  berth_str declared;
  size_t known = 0;
  size_t members = 0;
  const char* comma = "";
  berth_json all = berth_json_open(other->options);
  fputc('{', out);
  while (berth_json_next(&all, NULL, &declared)) {
    if (!berth_json_string(declared, "key", key, sizeof key)) continue;
    berth_str value = berth_json_member(given, key);
    if (value.size != 0) ++known;
    if (value.size == 0) value = berth_json_member(declared, "default");
    if (value.size == 0)
      return berth_failf(error, BERTH_INVALID_ARGUMENT, "option options.%s: is required", key);
    fprintf(out, "%s\"%s\": %.*s", comma, key, BERTH_ARG(value));
    comma = ", ";
  }
  fputc('}', out);
  berth_json them = berth_json_open(given);
  while (berth_json_next(&them, &name, NULL)) ++members;
  if (members == known) return BERTH_OK;
  return berth_failf(error, BERTH_INVALID_ARGUMENT,
                     "option options: has a key that %.*s does not know", BERTH_ARG(other->name));
}

static berth_code configure(admission* self, berth_str given, berth_error* error) {
  char* text = NULL;
  size_t size = 0;
  FILE* out = open_memstream(&text, &size);
  if (out == NULL) return berth_failf(error, BERTH_RESOURCE_EXHAUSTED, "out of memory");
  berth_code code = complete(&self->description, given, out, error);
  fclose(out);
  const berth_str options = {text, size};
  if (code == BERTH_OK) code = self->description.configure(self->instance, options, error);
  free(text);
  return code;
}

berth_code admission_load(admission* self, const char* name, berth_str options,
                          berth_error* error) {
  char path[PATH_MAX];
  find_file(name, path);
  berth_code code = load_file(self, path, error);
  if (code == BERTH_OK) code = check(self, path, error);
  if (code == BERTH_OK) code = self->description.create(self->host, &self->instance, error);
  if (code == BERTH_OK) code = configure(self, options, error);
  return code;
}
