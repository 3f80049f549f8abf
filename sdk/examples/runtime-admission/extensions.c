/* The tables of the other runtime have functions that want its instance; these want this one's. */
#include <berth/helpers.h>

#include "inner.h"

static berth_code pause_container(void* instance, const berth_op* op, berth_str pod,
                                  berth_str container, berth_error* error) {
  admission* self = instance;
  return self->pause.pause(self->instance, op, pod, container, error);
}

static berth_code resume_container(void* instance, const berth_op* op, berth_str pod,
                                   berth_str container, berth_error* error) {
  admission* self = instance;
  return self->pause.resume(self->instance, op, pod, container, error);
}

static berth_code update_pod(void* instance, const berth_op* op, berth_str pod, berth_str resources,
                             berth_str overhead, berth_error* error) {
  admission* self = instance;
  return self->resources.update(self->instance, op, pod, resources, overhead, error);
}

static berth_code connect_port(void* instance, const berth_op* op, berth_str pod, uint16_t port,
                               int32_t* socket, berth_error* error) {
  admission* self = instance;
  return self->ports.connect(self->instance, op, pod, port, socket, error);
}

static berth_code check_checkpoints(void* instance, const berth_op* op, berth_error* error) {
  admission* self = instance;
  return self->checkpoints.check(self->instance, op, error);
}

static berth_code checkpoint(void* instance, const berth_op* op, const berth_checkpoint_spec* spec,
                             berth_error* error) {
  admission* self = instance;
  return self->checkpoints.checkpoint(self->instance, op, spec, error);
}

static berth_code restore(void* instance, const berth_op* op, const berth_restore_spec* spec,
                          berth_container_status* status, berth_error* error) {
  admission* self = instance;
  return self->checkpoints.restore(self->instance, op, spec, status, error);
}

static void find(const admission* self, const char* id, void* target, size_t size) {
  const void* found = self->description.get_extension != NULL
                          ? self->description.get_extension(self->instance, berth_string(id), 1)
                          : NULL;
  if (found != NULL) berth_known(target, size, found);
}

void admission_find_extensions(admission* self) {
  find(self, BERTH_EXTENSION_PAUSE, &self->pause, sizeof self->pause);
  find(self, BERTH_EXTENSION_POD_RESOURCES, &self->resources, sizeof self->resources);
  find(self, BERTH_EXTENSION_PORT_FORWARD, &self->ports, sizeof self->ports);
  find(self, BERTH_EXTENSION_CHECKPOINT, &self->checkpoints, sizeof self->checkpoints);
  self->offered_checkpoints = self->checkpoints;
  self->offered_checkpoints.check = check_checkpoints;
  self->offered_checkpoints.checkpoint = checkpoint;
  self->offered_checkpoints.restore = restore;
}

const void* admission_extension(void* instance, berth_str id, uint32_t revision) {
  static const berth_runtime_pause pause = {sizeof pause, pause_container, resume_container};
  static const berth_runtime_pod_resources resources = {sizeof resources, update_pod};
  static const berth_runtime_port_forward ports = {sizeof ports, connect_port};
  const admission* self = instance;
  if (revision != 1) return NULL;
  if (berth_equal(id, BERTH_EXTENSION_PAUSE) && self->pause.size != 0) return &pause;
  if (berth_equal(id, BERTH_EXTENSION_POD_RESOURCES) && self->resources.size != 0)
    return &resources;
  if (berth_equal(id, BERTH_EXTENSION_PORT_FORWARD) && self->ports.size != 0) return &ports;
  if (berth_equal(id, BERTH_EXTENSION_CHECKPOINT) && self->checkpoints.size != 0)
    return &self->offered_checkpoints;
  return NULL;
}
