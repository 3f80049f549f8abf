/* What a pod has: which interface, in which namespace, with which addresses. */
#ifndef PORTS_RECORD_H
#define PORTS_RECORD_H

#include <berth/types.h>
#include <limits.h>
#include <net/if.h>

#define PORTS_ADDRESSES 16

typedef struct port_record {
  char interface[IF_NAMESIZE];
  char namespace_path[PATH_MAX];
  int up;                            /* as it was on the host */
  char address[PORTS_ADDRESSES][64]; /* "192.0.2.7/24" */
  size_t address_count;
} port_record;

/* The addresses that an interface of the host has, but those that it makes for itself. */
void ports_read_addresses(port_record* record);

/* As text, and back. ports_decode gives 0 for what is none. */
size_t ports_encode(const port_record* record, char* text, size_t capacity);
int ports_decode(berth_str text, port_record* record);

/* In a folder, one file for each pod. ports_load gives 0 when there is none. */
berth_code ports_save(const char* folder, berth_str pod, const port_record* record,
                      berth_error* error);
int ports_load(const char* folder, berth_str pod, port_record* record);
void ports_forget(const char* folder, berth_str pod);

#endif
