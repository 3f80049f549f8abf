/* An image source that reads a folder of blobs. See README.md. */
#include <berth/helpers.h>
#include <berth/image_source.h>
#include <berth/plugin.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#define PIECE (256u << 10)
#define HEX_DIGITS 64
#define DIGEST "sha256:"

typedef struct dirsource {
  const berth_host* host;
  char path[PATH_MAX / 2];
  char* prefixes; /* a JSON array */
  size_t prefixes_size;
} dirsource;

static berth_code dirsource_create(const berth_host* host, void** instance, berth_error* error) {
  dirsource* self = host->allocate(host->context, sizeof *self);
  if (self == NULL) return berth_failf(error, BERTH_RESOURCE_EXHAUSTED, "out of memory");
  memset(self, 0, sizeof *self);
  self->host = host;
  *instance = self;
  return BERTH_OK;
}

static berth_code dirsource_configure(void* instance, berth_str options, berth_error* error) {
  dirsource* self = instance;
  if (!berth_json_string(options, "path", self->path, sizeof self->path) || self->path[0] != '/')
    return berth_failf(error, BERTH_INVALID_ARGUMENT, "option path: must be an absolute path");
  /* The options are lent for the call. */
  const berth_str prefixes = berth_json_member(options, "prefixes");
  self->prefixes = self->host->allocate(self->host->context, prefixes.size + 1);
  if (self->prefixes == NULL) return berth_failf(error, BERTH_RESOURCE_EXHAUSTED, "out of memory");
  if (prefixes.size > 0) memcpy(self->prefixes, prefixes.data, prefixes.size);
  self->prefixes_size = prefixes.size;
  return BERTH_OK;
}

static berth_code dirsource_start(void* instance, berth_error* error) {
  const dirsource* self = instance;
  struct stat info;
  if (stat(self->path, &info) == 0 && S_ISDIR(info.st_mode)) return BERTH_OK;
  return berth_failf(error, BERTH_FAILED_PRECONDITION, "option path: %s is no folder", self->path);
}

static void dirsource_stop(void* instance) {
  (void)instance; /* nothing runs between calls */
}

static void dirsource_destroy(void* instance) {
  dirsource* self = instance;
  self->host->release(self->host->context, self->prefixes);
  self->host->release(self->host->context, self);
}

static berth_code wanted(const berth_op* op, berth_error* error) {
  if (op->cancelled(op) == 0) return BERTH_OK;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const int late = now.tv_sec * INT64_C(1000000000) + now.tv_nsec >= op->deadline;
  return berth_failf(error, late ? BERTH_DEADLINE_EXCEEDED : BERTH_CANCELLED, "%s",
                     late ? "the deadline has passed" : "cancelled");
}

static int32_t serves(void* instance, berth_str reference) {
  const dirsource* self = instance;
  const berth_str prefixes = {self->prefixes, self->prefixes_size};
  berth_json all = berth_json_open(prefixes);
  berth_str prefix;
  int32_t any = 1;
  while (berth_json_next(&all, NULL, &prefix)) {
    char text[512];
    any = 0;
    if (berth_json_text(prefix, text, sizeof text) && strlen(text) <= reference.size &&
        memcmp(text, reference.data, strlen(text)) == 0)
      return 1;
  }
  return any;
}

/* Not 0 when it is "sha256:" and 64 hexadecimal digits. */
static int is_digest(berth_str text) {
  static const char digits[] = "0123456789abcdef";
  if (text.size != strlen(DIGEST) + HEX_DIGITS || memcmp(text.data, DIGEST, strlen(DIGEST)) != 0)
    return 0;
  for (size_t i = strlen(DIGEST); i < text.size; ++i)
    if (memchr(digits, text.data[i], sizeof digits - 1) == NULL) return 0;
  return 1;
}

static int open_blob(const dirsource* self, berth_str digest, uint64_t* size) {
  char path[PATH_MAX];
  struct stat info;
  berth_format(path, sizeof path, "%s/blobs/sha256/%.*s", self->path, HEX_DIGITS,
               digest.data + strlen(DIGEST));
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 || fstat(fd, &info) != 0) return fd;
  *size = (uint64_t)info.st_size;
  return fd;
}

/* The digest that a reference has, or the one that its tag is kept with. */
static berth_code find_digest(const dirsource* self, berth_str reference, char* digest,
                              berth_error* error) {
  char name[1024];
  char path[PATH_MAX];
  if (!berth_copy(name, sizeof name, reference) || strstr(name, "..") != NULL)
    return berth_failf(error, BERTH_INVALID_ARGUMENT, "%.*s is no reference", BERTH_ARG(reference));
  char* at = strchr(name, '@');
  if (at != NULL) {
    const berth_str given = berth_string(at + 1);
    if (!is_digest(given))
      return berth_failf(error, BERTH_INVALID_ARGUMENT, "%s is no digest of sha256", at + 1);
    memcpy(digest, given.data, given.size + 1);
    return BERTH_OK;
  }
  char* tag = strrchr(name, ':');
  if (tag == NULL || strchr(tag, '/') != NULL)
    return berth_failf(error, BERTH_INVALID_ARGUMENT, "%s has no tag", name);
  *tag = '/';
  berth_format(path, sizeof path, "%s/refs/%s", self->path, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t size = fd >= 0 ? read(fd, digest, strlen(DIGEST) + HEX_DIGITS) : -1;
  if (fd >= 0) close(fd);
  const berth_str found = {digest, size > 0 ? (size_t)size : 0};
  digest[found.size] = 0;
  if (is_digest(found)) return BERTH_OK;
  return berth_failf(error, fd < 0 ? BERTH_NOT_FOUND : BERTH_DATA_LOSS, "%s: %s", path,
                     fd < 0 ? "there is none" : "holds no digest");
}

static int matches(const void* data, size_t size, const char* digest) {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  char text[2 * EVP_MAX_MD_SIZE + 1];
  unsigned length = 0;
  if (EVP_Digest(data, size, bytes, &length, EVP_sha256(), NULL) != 1) return 0;
  for (size_t i = 0; i < length; ++i) snprintf(text + 2 * i, 3, "%02x", bytes[i]);
  return strcmp(text, digest + strlen(DIGEST)) == 0;
}

static berth_code read_document(const dirsource* self, const char* digest, uint64_t limit,
                                char** document, size_t* size, berth_error* error) {
  uint64_t length = 0;
  int fd = open_blob(self, berth_string(digest), &length);
  if (fd < 0)
    return berth_failf(error, BERTH_NOT_FOUND, "there is no blob %s: %s", digest, strerror(errno));
  if (length > limit) {
    close(fd);
    return berth_failf(error, BERTH_RESOURCE_EXHAUSTED, "%s is no manifest: it has %llu bytes",
                       digest, (unsigned long long)length);
  }
  *document = malloc((size_t)length + 1);
  const ssize_t got = *document != NULL ? read(fd, *document, (size_t)length) : -1;
  close(fd);
  if (got == (ssize_t)length && matches(*document, (size_t)got, digest)) {
    *size = (size_t)got;
    return BERTH_OK;
  }
  free(*document);
  return berth_failf(error, BERTH_DATA_LOSS, "the blob %s has another digest", digest);
}

static berth_code resolve(void* instance, const berth_op* op, const berth_image_request* request,
                          uint64_t limit, berth_resolve_builder* out, berth_error* error) {
  const dirsource* self = instance;
  char digest[sizeof DIGEST + HEX_DIGITS];
  char type[256] = "application/vnd.oci.image.manifest.v1+json";
  char* document = NULL;
  berth_image_request mine;
  berth_bytes bytes = {NULL, 0};
  berth_known(&mine, sizeof mine, request);
  op->stage(op, mine.reference);
  berth_code code = find_digest(self, mine.reference, digest, error);
  if (code == BERTH_OK) code = read_document(self, digest, limit, &document, &bytes.size, error);
  if (code != BERTH_OK) return code;
  const berth_str text = {document, bytes.size};
  if (berth_json_member(text, "manifests").size != 0)
    strcpy(type, "application/vnd.oci.image.index.v1+json");
  berth_json_string(text, "mediaType", type, sizeof type);
  berth_descriptor described;
  berth_known(&described, sizeof described, NULL);
  described.media_type = berth_string(type);
  described.digest = berth_string(digest);
  described.blob_size = bytes.size;
  bytes.data = document;
  out->set(out, &described, bytes);
  free(document);
  return BERTH_OK;
}

static berth_code fetch(void* instance, const berth_op* op, const berth_image_request* request,
                        const berth_descriptor* descriptor, uint64_t offset, berth_sink* out,
                        berth_error* error) {
  const dirsource* self = instance;
  berth_descriptor mine;
  uint64_t size = 0;
  (void)request;
  berth_known(&mine, sizeof mine, descriptor);
  if (!is_digest(mine.digest))
    return berth_failf(error, BERTH_INVALID_ARGUMENT, "%.*s is no digest of sha256",
                       BERTH_ARG(mine.digest));
  int fd = open_blob(self, mine.digest, &size);
  if (fd < 0)
    return berth_failf(error, BERTH_NOT_FOUND, "there is no blob %.*s: %s", BERTH_ARG(mine.digest),
                       strerror(errno));
  op->stage(op, mine.digest);
  char* piece = malloc(PIECE);
  berth_code code =
      piece != NULL ? BERTH_OK : berth_failf(error, BERTH_RESOURCE_EXHAUSTED, "out of memory");
  /* No more than was asked for, should the file be longer. */
  while (code == BERTH_OK && offset < mine.blob_size) {
    const uint64_t left = mine.blob_size - offset;
    const ssize_t got = pread(fd, piece, left < PIECE ? (size_t)left : PIECE, (off_t)offset);
    if (got < 0) code = berth_failf(error, BERTH_UNAVAILABLE, "read a blob: %s", strerror(errno));
    if (got == 0)
      code = berth_failf(error, BERTH_DATA_LOSS, "the blob %.*s has only %llu bytes",
                         BERTH_ARG(mine.digest), (unsigned long long)size);
    if (got > 0 && (code = wanted(op, error)) == BERTH_OK) {
      code = out->write(out, piece, (size_t)got);
      if (code != BERTH_OK) berth_failf(error, code, "the host takes no more bytes");
      offset += (uint64_t)got;
      op->progress(op, offset, mine.blob_size);
    }
  }
  free(piece);
  close(fd);
  return code;
}

static const berth_image_source functions = {
    .size = sizeof(berth_image_source),
    .serves = serves,
    .resolve = resolve,
    .fetch = fetch,
};

static const berth_plugin plugin = {
    .size = sizeof(berth_plugin),
    .abi_major = BERTH_ABI_MAJOR,
    .abi_minor = BERTH_ABI_MINOR,
    .threading = BERTH_THREADING_PARALLEL,
    .name = BERTH_STR_INIT("source-directory"),
    .version = BERTH_STR_INIT("1.0.0"),
    .summary = BERTH_STR_INIT("Reads images from a folder of blobs"),
    .interface_id = BERTH_STR_INIT(BERTH_IMAGE_SOURCE_INTERFACE),
    .functions = &functions,
    .options =
        BERTH_STR_INIT("[{\"key\": \"path\", \"type\": \"string\", \"example\": \"/srv/images\","
                       " \"help\": \"The folder with blobs and refs.\"},"
                       " {\"key\": \"prefixes\", \"type\": \"array\", \"default\": [],"
                       " \"example\": [\"registry.example/team/\"],"
                       " \"help\": \"Beginnings of references it is asked for; none: all.\"}]"),
    .create = dirsource_create,
    .configure = dirsource_configure,
    .start = dirsource_start,
    .stop = dirsource_stop,
    .destroy = dirsource_destroy,
};

const berth_plugin* berth_plugin_entry(uint32_t abi_major, uint32_t abi_minor) {
  (void)abi_minor;
  return abi_major == BERTH_ABI_MAJOR ? &plugin : NULL;
}
