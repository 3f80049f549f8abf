/* Helpers for plugins that have no library for these things: messages of errors, structs of other
 * sizes, the JSON that options come as, and the folder of the plugin's own file. Nothing in here
 * crosses the ABI. */
#pragma once

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
#endif

#include "berth/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As berth_fail, with a message made as printf(3) makes it, at most 1 KiB. A berth_str is printed
 * with "%.*s" and BERTH_ARG(text). */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static inline berth_code
berth_failf(berth_error* error, berth_code code, const char* format, ...) {
  char text[1024];
  berth_str message = {text, 0};
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (length > 0) message.size = BERTH_CAST(size_t, length);
  if (message.size >= sizeof text) message.size = sizeof text - 1;
  return berth_fail(error, code, message);
}
#define BERTH_ARG(text) BERTH_CAST(int, (text).size), (text).data

/* As snprintf(3). Not 0 when it all fits. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static inline int
berth_format(char* target, size_t capacity, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(target, capacity, format, arguments);
  va_end(arguments);
  return length >= 0 && BERTH_CAST(size_t, length) < capacity;
}

/* A struct of the other side as this one knows it: `target` gets what `source` has of it, and zeros
 * for the rest. `source` may be NULL. */
static inline void berth_known(void* target, size_t target_size, const void* source) {
  memset(target, 0, target_size);
  if (source) {
    size_t theirs = *BERTH_CAST(const size_t*, source);
    memcpy(target, source, theirs < target_size ? theirs : target_size);
  }
  memcpy(target, &target_size, sizeof target_size);
}

/* Fills a struct of the caller as far as the caller knows it; its size stays. */
static inline void berth_give(void* target, const void* value, size_t value_size) {
  size_t theirs = *BERTH_CAST(const size_t*, target);
  memcpy(target, value, theirs < value_size ? theirs : value_size);
  memcpy(target, &theirs, sizeof theirs);
}

static inline berth_str berth_string(const char* text) {
  berth_str result = {text, strlen(text)};
  return result;
}

static inline int berth_equal(berth_str text, const char* other) {
  return text.size == strlen(other) && (text.size == 0 || memcmp(text.data, other, text.size) == 0);
}

/* Copies with a NUL at the end. Not 0 when it fits and has no NUL within. */
static inline int berth_copy(char* target, size_t capacity, berth_str text) {
  if (text.size >= capacity || (text.size != 0 && memchr(text.data, 0, text.size))) return 0;
  if (text.size != 0) memcpy(target, text.data, text.size);
  target[text.size] = 0;
  return 1;
}

/* JSON. The host hands over what is well formed; of other text these find something or nothing, and
 * never read past its end. Values are the text between commas: "{…}", "\"…\"", "17". */

static inline const char* berth_json_blank(const char* at, const char* end) {
  while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) ++at;
  return at;
}

/* The end of the value that begins at `at`. */
static inline const char* berth_json_skip(const char* at, const char* end) {
  size_t depth = 0;
  int quoted = 0;
  for (; at < end; ++at) {
    if (quoted) {
      if (*at == '\\' && at + 1 < end) {
        ++at;
      } else if (*at == '"') {
        quoted = 0;
        if (depth == 0) return at + 1;
      }
    } else if (*at == '"') {
      quoted = 1;
    } else if (*at == '{' || *at == '[') {
      ++depth;
    } else if (*at == '}' || *at == ']') {
      if (depth == 0) return at;
      if (--depth == 0) return at + 1;
    } else if (depth == 0 && (*at == ',' || *at == ' ' || *at == '\n' || *at == '\t')) {
      return at;
    }
  }
  return end;
}

/* Goes through the members of an object or the elements of an array. */
typedef struct berth_json {
  const char* at;
  const char* end;
  int object;
} berth_json;

static inline berth_json berth_json_open(berth_str value) {
  const char* end = value.data + value.size;
  const char* at = value.size == 0 ? end : berth_json_blank(value.data, end);
  berth_json result = {end, end, 0};
  if (at < end && (*at == '{' || *at == '[')) {
    result.object = *at == '{';
    result.at = at + 1;
  }
  return result;
}

/* 0 at the end. `key` is what stands between quotes, empty in an array; either may be NULL. */
static inline int berth_json_next(berth_json* json, berth_str* key, berth_str* value) {
  const char* at = berth_json_blank(json->at, json->end);
  if (at < json->end && *at == ',') at = berth_json_blank(at + 1, json->end);
  if (at >= json->end || *at == '}' || *at == ']') return 0;
  berth_str name = {at, 0};
  if (json->object) {
    const char* after = berth_json_skip(at, json->end);
    if (after - at >= 2) {
      name.data = at + 1;
      name.size = BERTH_CAST(size_t, after - at - 2);
    }
    at = berth_json_blank(after, json->end);
    if (at < json->end && *at == ':') at = berth_json_blank(at + 1, json->end);
  }
  const char* after = berth_json_skip(at, json->end);
  berth_str found = {at, BERTH_CAST(size_t, after - at)};
  if (key) *key = name;
  if (value) *value = found;
  if (after == at && after < json->end) ++after; /* no JSON: come to an end all the same */
  json->at = after;
  return 1;
}

/* The value of a member, empty when there is none. */
static inline berth_str berth_json_member(berth_str object, const char* key) {
  berth_json json = berth_json_open(object);
  berth_str name;
  berth_str value;
  while (json.object && berth_json_next(&json, &name, &value))
    if (berth_equal(name, key)) return value;
  memset(&value, 0, sizeof value);
  return value;
}

static inline size_t berth_json_utf8(unsigned long code, char* out) {
  if (code < 0x80) {
    out[0] = BERTH_CAST(char, code);
    return 1;
  }
  size_t more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  static const unsigned char lead[4] = {0, 0xC0, 0xE0, 0xF0};
  out[0] = BERTH_CAST(char, lead[more] | (code >> (6 * more)));
  for (size_t i = 1; i <= more; ++i)
    out[i] = BERTH_CAST(char, 0x80 | ((code >> (6 * (more - i))) & 0x3F));
  return more + 1;
}

/* The code of four hexadecimal digits, else U+FFFD. */
static inline unsigned long berth_json_hex(const char* at, const char* end) {
  char digits[5] = {0};
  char* after = digits;
  if (end - at < 4) return 0xFFFD;
  memcpy(digits, at, 4);
  unsigned long code = strtoul(digits, &after, 16);
  return after == digits + 4 ? code : 0xFFFD;
}

/* The text of a string value, with a NUL at the end. Not 0 when it is one, fits and has no NUL. */
static inline int berth_json_text(berth_str value, char* target, size_t capacity) {
  if (value.size < 2 || value.data[0] != '"') return 0;
  const char* end = value.data + value.size - 1;
  size_t used = 0;
  for (const char* at = value.data + 1; at < end; ++at) {
    unsigned long code = BERTH_CAST(unsigned char, *at);
    int escaped = 0;
    if (*at == '\\' && at + 1 < end) {
      static const char names[] = "bfnrt";
      static const char meant[] = "\b\f\n\r\t";
      ++at;
      const char* name = BERTH_CAST(const char*, memchr(names, *at, sizeof names - 1));
      code = BERTH_CAST(unsigned char, name ? meant[name - names] : *at);
      if (*at == 'u') {
        escaped = 1;
        code = berth_json_hex(at + 1, end);
        at += end - at > 4 ? 4 : 0;
        if (code >= 0xD800 && code < 0xDC00 && end - at > 6 && at[1] == '\\' && at[2] == 'u') {
          code = 0x10000 + ((code - 0xD800) << 10) + (berth_json_hex(at + 3, end) & 0x3FF);
          at += 6;
        }
      }
    }
    if (code == 0 || used + 5 > capacity) return 0;
    if (escaped) {
      used += berth_json_utf8(code, target + used);
    } else {
      target[used++] = BERTH_CAST(char, code);
    }
  }
  if (used >= capacity) return 0;
  target[used] = 0;
  return 1;
}

/* The value of a member that is a string, as berth_json_text; 0 also when it is missing. */
static inline int berth_json_string(berth_str object, const char* key, char* target,
                                    size_t capacity) {
  return berth_json_text(berth_json_member(object, key), target, capacity);
}

static inline int64_t berth_json_integer(berth_str object, const char* key, int64_t otherwise) {
  char digits[32];
  berth_str value = berth_json_member(object, key);
  if (value.size == 0 || !berth_copy(digits, sizeof digits, value)) return otherwise;
  char* end = digits;
  long long number = strtoll(digits, &end, 10);
  return end != digits && *end == 0 ? BERTH_CAST(int64_t, number) : otherwise;
}

static inline int berth_json_boolean(berth_str object, const char* key) {
  return berth_equal(berth_json_member(object, key), "true");
}

#ifdef _GNU_SOURCE /* which dladdr(3) needs; a compiler of C++ has it */
/* Of a file by the name that the loader has for it: that is one of a descriptor where another file
 * has taken the place of the one that is loaded. */
static inline int berth_folder_of_loaded(const char* name, char* folder, size_t capacity) {
  size_t length = strlen(name);
  if (strncmp(name, "/proc/self/fd/", 14) == 0) {
    ssize_t read = readlink(name, folder, capacity);
    if (read < 0 || BERTH_CAST(size_t, read) >= capacity) return 0;
    length = BERTH_CAST(size_t, read);
  } else {
    if (length >= capacity) return 0;
    memcpy(folder, name, length);
  }
  folder[length] = 0;
  char* slash = strrchr(folder, '/');
  if (!slash || folder[0] != '/') return 0;
  *slash = 0;
  return 1;
}

/* Where the file lies that `code`, or a static variable, was loaded from: what is installed with a
 * plugin is found beside it. Not 0 when that is known, and fits with the file's name. */
static inline int berth_own_folder(const void* code, char* folder, size_t capacity) {
  Dl_info own;
  return dladdr(code, &own) != 0 && own.dli_fname &&
         berth_folder_of_loaded(own.dli_fname, folder, capacity);
}
#endif

#ifdef __cplusplus
}
#endif
