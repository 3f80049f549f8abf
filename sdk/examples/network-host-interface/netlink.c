#include "netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct opening {
  const char* path;
  int socket;
  int reason;
} opening;

/* A socket stays in the namespace in which it was made. */
static void* open_there(void* argument) {
  opening* self = argument;
  int target = self->path != NULL ? open(self->path, O_RDONLY | O_CLOEXEC) : -1;
  if (self->path == NULL || (target >= 0 && setns(target, CLONE_NEWNET) == 0))
    self->socket = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  self->reason = errno;
  if (target >= 0) close(target);
  return NULL;
}

int ports_open(const char* path) {
  opening self = {path, -1, 0};
  pthread_t thread;
  /* The host's thread must not leave its namespace, not for a moment: one of our own does. */
  int failed = pthread_create(&thread, NULL, open_there, &self);
  if (failed == 0) pthread_join(thread, NULL);
  errno = failed != 0 ? failed : self.reason;
  return self.socket;
}

static int ask(int socket, unsigned long what, const char* name, struct ifreq* request) {
  memset(request, 0, sizeof *request);
  if (strlen(name) >= sizeof request->ifr_name) return -1;
  memcpy(request->ifr_name, name, strlen(name));
  return ioctl(socket, what, request);
}

unsigned ports_find(int socket, const char* name) {
  struct ifreq request;
  return ask(socket, SIOCGIFINDEX, name, &request) == 0 ? (unsigned)request.ifr_ifindex : 0;
}

int ports_is_up(int socket, const char* name) {
  struct ifreq request;
  return ask(socket, SIOCGIFFLAGS, name, &request) == 0 && (request.ifr_flags & IFF_UP) != 0;
}

/* One request: the header, the fixed part, attributes. */
typedef struct message {
  struct nlmsghdr header;
  char body[256];
} message;

static void* begin(message* self, unsigned short type, unsigned short flags, size_t fixed) {
  memset(self, 0, sizeof *self);
  self->header.nlmsg_len = (unsigned)NLMSG_LENGTH(fixed);
  self->header.nlmsg_type = type;
  self->header.nlmsg_flags = (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags);
  return NLMSG_DATA(&self->header);
}

static void add(message* self, unsigned short type, const void* data, size_t size) {
  struct rtattr* attribute = (void*)((char*)self + NLMSG_ALIGN(self->header.nlmsg_len));
  attribute->rta_type = type;
  attribute->rta_len = (unsigned short)RTA_LENGTH(size);
  memcpy(RTA_DATA(attribute), data, size);
  self->header.nlmsg_len =
      (unsigned)(NLMSG_ALIGN(self->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len));
}

/* The kernel handles a request within send(2), so the answer is there already. */
static int carry_out(int socket, const message* self) {
  struct {
    struct nlmsghdr header;
    struct nlmsgerr error;
  } answer;
  if (send(socket, self, self->header.nlmsg_len, 0) < 0) return errno;
  memset(&answer, 0, sizeof answer);
  if (recv(socket, &answer, sizeof answer, MSG_TRUNC) < 0) return errno;
  return answer.header.nlmsg_type == NLMSG_ERROR ? -answer.error.error : EPROTO;
}

int ports_set_up(int socket, unsigned index) {
  message request;
  struct ifinfomsg* link = begin(&request, RTM_NEWLINK, 0, sizeof *link);
  link->ifi_index = (int)index;
  link->ifi_flags = IFF_UP;
  link->ifi_change = IFF_UP;
  return carry_out(socket, &request);
}

int ports_move(int socket, unsigned index, int target) {
  message request;
  struct ifinfomsg* link = begin(&request, RTM_NEWLINK, 0, sizeof *link);
  link->ifi_index = (int)index;
  add(&request, IFLA_NET_NS_FD, &target, sizeof target);
  return carry_out(socket, &request);
}

static size_t address_size(const port_address* address) {
  return address->family == AF_INET ? 4 : 16;
}

int ports_add_address(int socket, unsigned index, const port_address* address) {
  message request;
  struct ifaddrmsg* fixed =
      begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof *fixed);
  fixed->ifa_family = (unsigned char)address->family;
  fixed->ifa_prefixlen = address->prefix;
  fixed->ifa_index = index;
  if (address->family == AF_INET6) fixed->ifa_flags = IFA_F_NODAD;
  add(&request, IFA_LOCAL, address->bytes, address_size(address));
  add(&request, IFA_ADDRESS, address->bytes, address_size(address));
  return carry_out(socket, &request);
}

int ports_add_default_route(int socket, unsigned index, const port_address* gateway) {
  message request;
  struct rtmsg* route = begin(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof *route);
  route->rtm_family = (unsigned char)gateway->family;
  route->rtm_table = RT_TABLE_MAIN;
  route->rtm_protocol = RTPROT_STATIC;
  route->rtm_scope = RT_SCOPE_UNIVERSE;
  route->rtm_type = RTN_UNICAST;
  add(&request, RTA_GATEWAY, gateway->bytes, address_size(gateway));
  add(&request, RTA_OIF, &index, sizeof index);
  return carry_out(socket, &request);
}

int ports_parse(const char* text, port_address* address) {
  char copy[64];
  if (strlen(text) >= sizeof copy) return 0;
  memcpy(copy, text, strlen(text) + 1);
  char* slash = strchr(copy, '/');
  if (slash != NULL) *slash = 0;
  memset(address, 0, sizeof *address);
  address->family = strchr(copy, ':') != NULL ? AF_INET6 : AF_INET;
  const long longest = address->family == AF_INET ? 32 : 128;
  const long prefix = slash != NULL ? strtol(slash + 1, NULL, 10) : longest;
  address->prefix = (unsigned char)prefix;
  return inet_pton(address->family, copy, address->bytes) == 1 && prefix >= 0 && prefix <= longest;
}
