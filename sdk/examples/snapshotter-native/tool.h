/* Runs a program on behalf of a call. */
#ifndef NATIVE_TOOL_H
#define NATIVE_TOOL_H

#include <berth/types.h>

/* Runs argv[0] (searched in PATH) and waits for it. With `input` the program reads that from its
 * standard input. It is killed when `op` is cancelled, and when the host is; until it has ended it
 * holds the descriptor `lock`. `refused` is the code for an exit status of
 * the program's that is not 0; the message has its own words. */
berth_code native_run(const berth_op* op, const char* const* argv, int lock, berth_stream* input,
                      berth_code refused, berth_error* error);

/* BERTH_OK while the call is wanted. */
berth_code native_wanted(const berth_op* op, berth_error* error);

#endif
