/* What the programs for valgrind share: marks are checked, so that a lost one cannot pass for constant time. */
#ifndef TEST_CTIME_CHECK_H
#define TEST_CTIME_CHECK_H

#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "base/taint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In files of their own. */
void ctime_ckks(void);
void ctime_vault(void);

#if MSFL_TAINT && defined NDEBUG

static inline _Noreturn void stop(const char *what) {
    printf("ctime: %s: %s\n", what, msfl_error_message());
    exit(1);
}
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((call) != MSFL_OK) stop(#call);                                                                            \
    } while (0)
#define EXPECT(what)                                                                                                   \
    do {                                                                                                               \
        if (!(what)) stop(#what);                                                                                      \
    } while (0)

static inline void *get(size_t count, size_t size) {
    void *memory = msfl_alloc(count, size);
    if (memory == NULL) stop("memory");
    return memory;
}

/** Every one of the `count` objects has undefined bits: the marks are where they should be, and nothing was checked in
 *  vain. */
static inline void expect_secret(const char *what, const void *memory, size_t count, size_t size) {
    uint8_t *bits = get(count, size);
    if (VALGRIND_GET_VBITS(memory, bits, count * size) != 1) stop("no shadow memory");
    for (size_t i = 0; i < count; i++) {
        uint8_t any = 0;
        for (size_t k = 0; k < size; k++)
            any |= bits[i * size + k];
        if (any == 0) stop(what);
    }
    msfl_free(bits);
}

/** n values below 2^bits, secret. */
static inline uint32_t *secret_values(size_t n, uint32_t bits) {
    uint32_t *values = get(n, sizeof *values);
    for (size_t i = 0; i < n; i++)
        values[i] = (uint32_t)((i * 2654435761u + 12345) & (((uint64_t)1 << bits) - 1));
    MSFL_SECRET(values, n * sizeof *values);
    return values;
}

/** totals[i] = n values[i]; both become public. */
static inline void expect_totals(uint64_t *totals, uint32_t *values, size_t n, uint64_t n_addends) {
    expect_secret("totals that are not secret", totals, n, sizeof *totals);
    MSFL_DECLASSIFY(totals, n * sizeof *totals);
    MSFL_DECLASSIFY(values, n * sizeof *values);
    for (size_t i = 0; i < n; i++)
        EXPECT(totals[i] == n_addends * values[i]);
}

#endif

#endif
