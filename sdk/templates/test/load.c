/* load FILE EXPECTED [KEY=JSON]...: leads the plugin in FILE through its life, with these options.
 *
 * EXPECTED is "starts", "configured" when it is not to be started, or "refused:KEY" when it must
 * refuse the value of that option. */
#include <berth/helpers.h>
#include <berth/plugin.h>
#include <dlfcn.h>
#include <sys/stat.h>

static char refusal[1024];

static void on_log(void* context, berth_log_level level, berth_str message,
                   const berth_pair* fields, size_t field_count) {
  (void)context;
  (void)level;
  (void)fields;
  (void)field_count;
  printf("log: %.*s\n", BERTH_ARG(message));
}

static void* on_allocate(void* context, size_t bytes) {
  (void)context;
  return malloc(bytes);
}

static void on_release(void* context, void* memory) {
  (void)context;
  free(memory);
}

static void on_event(void* context, const berth_event* event) {
  (void)context;
  printf("event %d\n", (int)event->kind);
}

static berth_code on_state(void* context, berth_str object, berth_bytes state, berth_error* error) {
  (void)context;
  (void)object;
  (void)state;
  return berth_failf(error, BERTH_NOT_FOUND, "there are no records here");
}

static berth_code on_credentials(void* context, const berth_op* op, berth_str registry,
                                 void (*found)(void* user, const berth_credentials* credentials),
                                 void* user, berth_error* error) {
  (void)context;
  (void)op;
  (void)registry;
  (void)found;
  (void)user;
  return berth_failf(error, BERTH_NOT_FOUND, "there are no credentials here");
}

static const void* on_extension(void* context, berth_str id, uint32_t revision) {
  (void)context;
  (void)id;
  (void)revision;
  return NULL;
}

static void on_error(berth_error* error, berth_code code, berth_str message) {
  (void)error;
  printf("error %d: %.*s\n", (int)code, BERTH_ARG(message));
  berth_format(refusal, sizeof refusal, "%.*s", BERTH_ARG(message));
}

static int fail(const char* what) {
  fprintf(stderr, "%s\n", what);
  return 1;
}

/* The value that the command line has for an option; NULL when it has none. */
static const char* given(int argc, char** argv, const char* key) {
  for (int i = 3; i < argc; ++i)
    if (strncmp(argv[i], key, strlen(key)) == 0 && argv[i][strlen(key)] == '=')
      return argv[i] + strlen(key) + 1;
  return NULL;
}

/* As a host does it: what is not given has its default. 0 when something is missing. */
static int complete(berth_str declaration, int argc, char** argv, char* text, size_t capacity) {
  berth_json all = berth_json_open(declaration);
  berth_str option;
  size_t used = (size_t)snprintf(text, capacity, "{");
  while (berth_json_next(&all, NULL, &option)) {
    char key[256];
    if (!berth_json_string(option, "key", key, sizeof key)) return 0;
    const char* own = given(argc, argv, key);
    const berth_str value = own != NULL ? berth_string(own) : berth_json_member(option, "default");
    if (value.size == 0) return 0;
    used += (size_t)snprintf(text + used, capacity - used, "%s\"%s\": %.*s", used > 1 ? ", " : "",
                             key, BERTH_ARG(value));
    if (used >= capacity) return 0;
  }
  return snprintf(text + used, capacity - used, "}") == 1;
}

static int is_refused(const char* key) {
  char begin[256];
  berth_format(begin, sizeof begin, "option %s", key);
  return strncmp(refusal, begin, strlen(begin)) == 0;
}

static int lead(const berth_plugin* plugin, const berth_host* host, const char* expected,
                berth_str options) {
  berth_error error = {sizeof error, NULL, on_error};
  void* instance = NULL;
  if (plugin->create(host, &instance, &error) != BERTH_OK) return fail("create failed");
  const int configured = plugin->configure(instance, options, &error) == BERTH_OK;
  int result = 0;
  if (strncmp(expected, "refused:", 8) == 0) {
    if (configured || !is_refused(expected + 8)) result = fail("the option is not refused");
  } else if (!configured) {
    result = fail("configure failed");
  } else if (strcmp(expected, "starts") == 0) {
    if (plugin->start(instance, &error) == BERTH_OK)
      plugin->stop(instance);
    else
      result = fail("start failed");
  }
  plugin->destroy(instance);
  return result;
}

int main(int argc, char** argv) {
  char options[4096];
  berth_plugin plugin;
  berth_plugin_entry_function entry = NULL;
  const char* folder = "state";
  if (argc < 3) return fail("load FILE EXPECTED [KEY=JSON]...");
  void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  void* symbol = library != NULL ? dlsym(library, "berth_plugin_entry") : NULL;
  if (symbol == NULL) return fail(dlerror());
  memcpy(&entry, &symbol, sizeof entry);
  const berth_plugin* described = entry(BERTH_ABI_MAJOR, BERTH_ABI_MINOR);
  if (described == NULL) return fail("the plugin refuses this version of the ABI");
  berth_known(&plugin, sizeof plugin, described);
  if (!complete(plugin.options, argc, argv, options, sizeof options))
    return fail("an option without a default is not given");
  printf("%.*s %.*s: %s\n", BERTH_ARG(plugin.name), BERTH_ARG(plugin.version), options);
  mkdir(folder, 0700);
  char* path = realpath(folder, NULL);
  if (path == NULL) return fail("there is no folder for the plugin");
  const berth_host host = {.size = sizeof host,
                           .abi_major = BERTH_ABI_MAJOR,
                           .abi_minor = BERTH_ABI_MINOR,
                           .version = BERTH_STR_INIT("test"),
                           .instance = BERTH_STR_INIT("test"),
                           .log = on_log,
                           .allocate = on_allocate,
                           .release = on_release,
                           .emit_event = on_event,
                           .save_state = on_state,
                           .get_credentials = on_credentials,
                           .get_extension = on_extension,
                           .root_directory = berth_string(path),
                           .state_directory = berth_string(path)};
  const int result = lead(&plugin, &host, argv[2], berth_string(options));
  free(path);
  return result;
}
