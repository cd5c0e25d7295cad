/* What is set aside on the disk while a process needs it: rows of one size, appended in order and read at any place. */
#ifndef MSFL_BASE_SPILL_H
#define MSFL_BASE_SPILL_H

#include "medsecurefl/status.h"

typedef struct msfl_spill msfl_spill;

/**
 * Rows of `row_bytes`, in a file of `folder` that has no name: nobody else can open it, and it is gone with the
 * process, however that ends. What lies in it is encrypted (ChaCha20) under a key that is drawn for it and never kept,
 * so that what the disk may still hold afterwards tells nothing. It is not authenticated: who can write to a process's
 * open files can write to its memory as well.
 *
 * The last rows stay in memory, in a buffer of 64 KiB; fewer never become a file. ERR_LIMIT: `row_bytes` is 0 or above
 * that.
 */
msfl_status msfl_spill_new(const char *folder, size_t row_bytes, msfl_spill **out) MSFL_NODISCARD;
/** Another row. Not while others read. ERR_IO on a full disk; then what was added before can still be read. */
msfl_status msfl_spill_add(msfl_spill *spill, const void *row) MSFL_NODISCARD;
/** Rows `first` to first + n into `out` of n x row_bytes; ERR_LIMIT if there are not as many. Thread-safe. */
msfl_status msfl_spill_read(const msfl_spill *spill, void *out, size_t first, size_t n) MSFL_NODISCARD;
size_t msfl_spill_rows(const msfl_spill *spill);
/** NULL is fine. */
void msfl_spill_free(msfl_spill *spill);

#endif
