/* Interfaces of a network namespace. Functions return 0, or an errno value. */
#ifndef PORTS_NETLINK_H
#define PORTS_NETLINK_H

#include <stdint.h>

typedef struct port_address {
  int family; /* AF_INET, AF_INET6 */
  unsigned char bytes[16];
  unsigned char prefix;
} port_address;

/* A route socket of the namespace at `path`, or of the caller's own for NULL; to be closed. The
 * calling thread stays where it is. Returns -1 with errno. */
int ports_open(const char* path);

/* The index of an interface; 0 when there is none. */
unsigned ports_find(int socket, const char* name);
int ports_is_up(int socket, const char* name);
int ports_set_up(int socket, unsigned index);
/* Moves an interface into the namespace that the descriptor `target` stands for. */
int ports_move(int socket, unsigned index, int target);
/* An address that is there is added. */
int ports_add_address(int socket, unsigned index, const port_address* address);
int ports_add_default_route(int socket, unsigned index, const port_address* gateway);

/* "192.0.2.7/24", or without a prefix. Not 0 when it is one. */
int ports_parse(const char* text, port_address* address);

#endif
