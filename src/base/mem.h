/* Memory: zeroed, overflow-checked allocations that a test can make fail; secret memory is in base/sodium.h. */
#ifndef MSFL_BASE_MEM_H
#define MSFL_BASE_MEM_H

#include "medsecurefl/status.h"

/** `count` zeroed objects of `size` bytes, aligned to 64 bytes; NULL when too large or out of memory, with the
 *  message recorded. Free with msfl_free. A count of 0 gives a valid pointer to nothing. */
void *msfl_alloc(size_t count, size_t size);

/** As msfl_alloc, but for strings and the like: a copy of `length` bytes and a closing zero. */
char *msfl_strndup(const char *text, size_t length);
char *msfl_strdup(const char *text);

/** Formatted string in memory of its own; NULL when out of memory. Free with msfl_free. */
char *msfl_format(const char *fmt, ...) MSFL_PRINTF(1, 2);

/**
 * Grow `*array` (may be NULL, count 0) so that it holds at least `needed` objects; doubles its capacity.
 * New objects are zeroed. On failure nothing changes.
 */
msfl_status msfl_grow(void **array, size_t *capacity, size_t needed, size_t size) MSFL_NODISCARD;

/** ERR_LIMIT if `bytes` are more than three quarters of the machine's memory: where memory is promised before it is
 * there, asking for too much ends the process later, without a word. `what` needs it ("the network 'a' for 8 images").
 */
msfl_status msfl_memory_fits(double bytes, const char *what) MSFL_NODISCARD;

void msfl_free(void *memory);

/** The status that goes with a NULL from msfl_alloc and its kin. */
#define MSFL_NO_MEMORY MSFL_ERR_MEMORY

/** Bytes that msfl_alloc and its kin hold now, and the most since the process began or msfl_alloc_peak_restart was last
 *  called; secret memory does not count. Process-wide, for reports. */
uint64_t msfl_alloc_bytes(void);
uint64_t msfl_alloc_bytes_peak(void);
void msfl_alloc_peak_restart(void);

/** Tests only: the k-th allocation from now fails (1 = the next one), secret memory included; 0 switches it off.
 *  Process-wide. */
void msfl_alloc_fail_at(long k);
/** Whether this allocation is the one; for the other allocator, in base/sodium.c. */
bool msfl_alloc_must_fail(void);

#endif
