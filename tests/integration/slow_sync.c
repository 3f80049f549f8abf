/* Preloaded: each sync takes as many milliseconds longer as the file $BERTH_SLOW_SYNC says. Without
 * the file, none does. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_for_the_disk(void) {
  const char* path = getenv("BERTH_SLOW_SYNC");
  FILE* file = path == NULL ? NULL : fopen(path, "re");
  long milliseconds = 0;
  if (file == NULL) return;
  if (fscanf(file, "%ld", &milliseconds) == 1) usleep((useconds_t)milliseconds * 1000);
  fclose(file);
}

/* As POSIX has it: ISO C knows no way from an object's address to a function's. */
#define SLOW(name)                            \
  int name(int fd) {                          \
    int (*real)(int) = NULL;                  \
    *(void**)&real = dlsym(RTLD_NEXT, #name); \
    wait_for_the_disk();                      \
    return real(fd);                          \
  }

SLOW(fsync)
SLOW(fdatasync)
SLOW(syncfs)
