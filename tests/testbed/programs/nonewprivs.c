// Installed set-user-ID root: shows whether the engine's no_new_privs setting stopped the change of
// user.
#include <stdio.h>
#include <unistd.h>

int main(void) {
  return printf("Effective uid: %ld\n", (long)geteuid()) < 0;
}
