#include "record.h"

#include <arpa/inet.h>
#include <berth/helpers.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <unistd.h>

static unsigned prefix_of(const struct sockaddr* mask) {
  const unsigned char* at =
      mask->sa_family == AF_INET6
          ? ((const struct sockaddr_in6*)(const void*)mask)->sin6_addr.s6_addr
          : (const void*)&((const struct sockaddr_in*)(const void*)mask)->sin_addr;
  unsigned bits = 0;
  for (size_t i = 0; i < (mask->sa_family == AF_INET6 ? 16u : 4u); ++i)
    for (unsigned byte = at[i]; byte != 0; byte >>= 1) bits += byte & 1u;
  return bits;
}

void ports_read_addresses(port_record* record) {
  struct ifaddrs* all = NULL;
  record->address_count = 0;
  if (getifaddrs(&all) != 0) return;
  for (const struct ifaddrs* one = all; one != NULL; one = one->ifa_next) {
    char text[INET6_ADDRSTRLEN];
    if (one->ifa_addr == NULL || one->ifa_netmask == NULL ||
        strcmp(one->ifa_name, record->interface) != 0 || record->address_count == PORTS_ADDRESSES)
      continue;
    const struct sockaddr_in* four = (const void*)one->ifa_addr;
    const struct sockaddr_in6* six = (const void*)one->ifa_addr;
    const int family = one->ifa_addr->sa_family;
    if (family != AF_INET && (family != AF_INET6 || IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr)))
      continue;
    const void* bytes = family == AF_INET ? (const void*)&four->sin_addr : &six->sin6_addr;
    if (inet_ntop(family, bytes, text, sizeof text) == NULL) continue;
    berth_format(record->address[record->address_count++], sizeof record->address[0], "%s/%u", text,
                 prefix_of(one->ifa_netmask));
  }
  freeifaddrs(all);
}

size_t ports_encode(const port_record* record, char* text, size_t capacity) {
  size_t used = (size_t)snprintf(text, capacity, "%s %d %s\n", record->interface, record->up,
                                 record->namespace_path);
  for (size_t i = 0; i < record->address_count && used < capacity; ++i)
    used += (size_t)snprintf(text + used, capacity - used, "%s\n", record->address[i]);
  return used < capacity ? used : capacity;
}

int ports_decode(berth_str text, port_record* record) {
  char copy[2 * PATH_MAX];
  memset(record, 0, sizeof *record);
  if (text.size == 0 || !berth_copy(copy, sizeof copy, text)) return 0;
  char* rest = copy;
  const char* first = strsep(&rest, "\n");
  if (sscanf(first, "%15s %d %4095[^\n]", record->interface, &record->up, record->namespace_path) !=
      3)
    return 0;
  for (const char* line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n"))
    if (*line != 0 && record->address_count < PORTS_ADDRESSES &&
        strlen(line) < sizeof record->address[0])
      memcpy(record->address[record->address_count++], line, strlen(line) + 1);
  return 1;
}

static void path_of(const char* folder, berth_str pod, const char* more, char* path) {
  berth_format(path, PATH_MAX, "%s/%.*s%s", folder, BERTH_ARG(pod), more);
}

berth_code ports_save(const char* folder, berth_str pod, const port_record* record,
                      berth_error* error) {
  char path[PATH_MAX];
  char fresh[PATH_MAX];
  char text[2 * PATH_MAX];
  const size_t size = ports_encode(record, text, sizeof text);
  path_of(folder, pod, "", path);
  path_of(folder, pod, ".new", fresh);
  int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const int written = fd >= 0 && write(fd, text, size) == (ssize_t)size;
  if (fd >= 0) close(fd);
  if (written && rename(fresh, path) == 0) return BERTH_OK;
  return berth_failf(error, BERTH_INTERNAL, "write %s: %s", path, strerror(errno));
}

int ports_load(const char* folder, berth_str pod, port_record* record) {
  char path[PATH_MAX];
  char text[2 * PATH_MAX];
  path_of(folder, pod, "", path);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t size = fd >= 0 ? read(fd, text, sizeof text) : -1;
  if (fd >= 0) close(fd);
  const berth_str found = {text, size > 0 ? (size_t)size : 0};
  return ports_decode(found, record);
}

void ports_forget(const char* folder, berth_str pod) {
  char path[PATH_MAX];
  path_of(folder, pod, "", path);
  unlink(path);
}
