/* A file written piece by piece that appears whole or not at all. */
#ifndef MSFL_BASE_OUTPUT_H
#define MSFL_BASE_OUTPUT_H

#include "medsecurefl/status.h"

/** Between a file's name and the number of who is writing it, process and count: "sum.msc.partial-4711000". */
#define MSFL_PARTIAL ".partial-"

typedef struct msfl_output msfl_output;

typedef enum msfl_output_mode {
    MSFL_OUTPUT_NEW = 0,     /**< ERR_EXISTS if `path` is there: at the beginning, and again at the end */
    MSFL_OUTPUT_REPLACE = 1, /**< takes the place of what is there */
    MSFL_OUTPUT_PRIVATE = 2  /**< to be combined: only the owner may read it (0600) instead of all (0644) */
} msfl_output_mode;

/** A new temporary file in the folder of `path`: never one that was there. `mode`: bits of msfl_output_mode. */
msfl_status msfl_output_open(const char *path, int mode, msfl_output **out) MSFL_NODISCARD;
msfl_status msfl_output_write(msfl_output *output, const void *bytes, size_t length) MSFL_NODISCARD;
/** fsync, rename, fsync of the folder: after OK the file is there under its name. On failure `path` is as it was. */
msfl_status msfl_output_commit(msfl_output *output) MSFL_NODISCARD;
/** Without a commit before, nothing of it remains. NULL is fine. */
void msfl_output_free(msfl_output *output);

/** rename, or link and unlink where the file system has no rename that refuses to replace. Then the folder is synced.
 */
msfl_status msfl_file_rename(const char *from, const char *to, bool replace) MSFL_NODISCARD;

/**
 * Tests only: the k-th of the steps that change files (create, write, fsync, rename) from now fails with an I/O error
 * (1 = the next one), or, with `die`, ends the process there and then as kill -9 would. 0 switches it off.
 */
void msfl_file_fault_at(long k, bool die);
/** Tests only: steps since the last call of msfl_file_fault_at. */
long msfl_file_steps(void);
/** A step of another module that makes something last. False, with errno set, where a test asked this one to fail. */
bool msfl_file_step(void) MSFL_NODISCARD;

#endif
