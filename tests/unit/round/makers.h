/* What the searches for remnants share: the functions in front of those that draw secrets (the linker puts them there,
 * see tests/CMakeLists.txt), and the child's tools. */
#ifndef TEST_ROUND_MAKERS_H
#define TEST_ROUND_MAKERS_H

#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "remnants.h"
#include "ring/uniform.h"

/** Sanitizers keep shadows of memory, and copies of locals that no source says to make. */
static inline bool skipped(void) {
    return getenv("MSFL_SANITIZED") != NULL;
}

/* --- what makes secrets --- */

static bool candidates;       /* of a prime: thousands, nearly all thrown away; the two that are kept are told */
static bool is_secret = true; /* of streams: whether the one under way has a secret key */

void __real_msfl_random_bytes(void *out, size_t length);
void __wrap_msfl_random_bytes(void *out, size_t length);
void __wrap_msfl_random_bytes(void *out, size_t length) {
    __real_msfl_random_bytes(out, length);
    if (!candidates) tell(TOLD_SECRET, "random", out, length, 16);
}

msfl_status __real_msfl_aes_start(msfl_aes *aes, const uint8_t *key, size_t key_bytes, const uint8_t *iv);
msfl_status __wrap_msfl_aes_start(msfl_aes *aes, const uint8_t *key, size_t key_bytes, const uint8_t *iv);
msfl_status __wrap_msfl_aes_start(msfl_aes *aes, const uint8_t *key, size_t key_bytes, const uint8_t *iv) {
    is_secret = key_bytes == 32;
    if (is_secret) tell(TOLD_SECRET, "stream key", key, key_bytes, 16);
    return __real_msfl_aes_start(aes, key, key_bytes, iv);
}

msfl_status __real_msfl_aes_read(msfl_aes *aes, uint8_t *out, size_t length);
msfl_status __wrap_msfl_aes_read(msfl_aes *aes, uint8_t *out, size_t length);
msfl_status __wrap_msfl_aes_read(msfl_aes *aes, uint8_t *out, size_t length) {
    msfl_status status = __real_msfl_aes_read(aes, out, length);
    if (is_secret) tell(TOLD_SECRET, "coins", out, length, 16);
    return status;
}

msfl_status __real_msfl_expand_noise(const msfl_kernel *kernel, msfl_aes *aes, msfl_stream *stream, uint32_t bits,
                                     size_t n, int8_t *out);
msfl_status __wrap_msfl_expand_noise(const msfl_kernel *kernel, msfl_aes *aes, msfl_stream *stream, uint32_t bits,
                                     size_t n, int8_t *out);
msfl_status __wrap_msfl_expand_noise(const msfl_kernel *kernel, msfl_aes *aes, msfl_stream *stream, uint32_t bits,
                                     size_t n, int8_t *out) {
    msfl_status status = __real_msfl_expand_noise(kernel, aes, stream, bits, n, out);
    tell(TOLD_SECRET, "small", out, n, 20);
    return status;
}

/* --- the searching side --- */

/** As expect_no_remnants, once with each table of kernels that this machine has. */
static inline void under_every_kernel(void (*child)(void), const char *const *alive, derive_needles more) {
    for (const msfl_kernel *const *k = msfl_kernels(); *k != NULL; k++) {
        if (!(*k)->supported()) continue;
        assert_int_equal(setenv("MSFL_KERNEL", (*k)->name, 1), 0);
        print_message("  %s\n", (*k)->name);
        expect_no_remnants(child, alive, more);
    }
    unsetenv("MSFL_KERNEL");
}

/* --- the child's tools --- */

static inline void must(msfl_status status) {
    if (status == MSFL_OK) return;
    fprintf(stderr, "child: %s\n", msfl_error_message());
    _exit(2);
}

/** In secret memory, so that the caller's own copy leaves nothing. */
static inline uint32_t *secret_values(size_t n, uint32_t bits) {
    uint32_t *values = msfl_secret_alloc((n * sizeof *values + 63) / 64 * 64);
    if (values == NULL) _exit(2);
    __real_msfl_random_bytes(values, n * sizeof *values);
    for (size_t i = 0; i < n; i++)
        values[i] &= (uint32_t)(((uint64_t)1 << bits) - 1);
    tell(TOLD_SECRET, "values", values, n * sizeof *values, 16);
    return values;
}

static inline uint64_t *secret_totals(size_t n) {
    uint64_t *totals = msfl_secret_alloc((n * sizeof *totals + 63) / 64 * 64);
    if (totals == NULL) _exit(2);
    return totals;
}

#endif
