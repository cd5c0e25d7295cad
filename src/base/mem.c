#include "base/mem.h"

#include "base/error.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALIGNMENT = 64 };

static atomic_long fail_countdown;

/* For figures alone: nothing is decided by them, so no order between threads is asked for. */
static _Atomic uint64_t bytes_held, bytes_peak;

void msfl_alloc_fail_at(long k) {
    atomic_store(&fail_countdown, k);
}

bool msfl_alloc_must_fail(void) {
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) == 0) return false;
    return atomic_fetch_sub(&fail_countdown, 1) == 1;
}

static void account(void *memory) {
    uint64_t bytes = malloc_usable_size(memory);
    uint64_t held = atomic_fetch_add_explicit(&bytes_held, bytes, memory_order_relaxed) + bytes;
    uint64_t peak = atomic_load_explicit(&bytes_peak, memory_order_relaxed);
    while (held > peak && !atomic_compare_exchange_weak_explicit(&bytes_peak, &peak, held, memory_order_relaxed,
                                                                 memory_order_relaxed)) {
    }
}

uint64_t msfl_alloc_bytes(void) {
    return atomic_load_explicit(&bytes_held, memory_order_relaxed);
}

uint64_t msfl_alloc_bytes_peak(void) {
    return atomic_load_explicit(&bytes_peak, memory_order_relaxed);
}

void msfl_alloc_peak_restart(void) {
    atomic_store_explicit(&bytes_peak, msfl_alloc_bytes(), memory_order_relaxed);
}

void *msfl_alloc(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > (size_t)PTRDIFF_MAX - ALIGNMENT ||
        msfl_alloc_must_fail()) {
        msfl_fail(MSFL_ERR_MEMORY, "out of memory: %zu x %zu bytes were asked for", count, size);
        return NULL;
    }
    /* aligned_alloc wants a multiple of the alignment; at least one line so that 0 bytes still is an object. */
    size_t rounded = (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT;
    void *memory = aligned_alloc(ALIGNMENT, rounded);
    if (memory == NULL) {
        msfl_fail(MSFL_ERR_MEMORY, "out of memory: %zu bytes were asked for", bytes);
        return NULL;
    }
    memset(memory, 0, rounded);
    account(memory);
    return memory;
}

char *msfl_strndup(const char *text, size_t length) {
    char *copy = msfl_alloc(length + 1, 1);
    if (copy != NULL) memcpy(copy, text, length);
    return copy;
}

char *msfl_strdup(const char *text) {
    return msfl_strndup(text, strlen(text));
}

char *msfl_format(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = length < 0 ? NULL : msfl_alloc((size_t)length + 1, 1);
    if (text != NULL) vsnprintf(text, (size_t)length + 1, fmt, again);
    va_end(again);
    return text;
}

msfl_status msfl_grow(void **array, size_t *capacity, size_t needed, size_t size) {
    if (needed <= *capacity) return MSFL_OK;
    size_t wanted = *capacity < 8 ? 8 : *capacity;
    while (wanted < needed) {
        if (__builtin_mul_overflow(wanted, 2, &wanted)) wanted = needed;
    }
    void *bigger = msfl_alloc(wanted, size);
    if (bigger == NULL) return MSFL_ERR_MEMORY;
    if (*array != NULL) memcpy(bigger, *array, *capacity * size);
    msfl_free(*array);
    *array = bigger;
    *capacity = wanted;
    return MSFL_OK;
}

msfl_status msfl_memory_fits(double bytes, const char *what) {
    double machine = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    if (machine <= 0 || bytes <= 0.75 * machine) return MSFL_OK;
    return msfl_fail(MSFL_ERR_LIMIT, "%s: %.1f GiB are needed, and this machine has %.1f GiB in all", what,
                     bytes / 0x1p30, machine / 0x1p30);
}

void msfl_free(void *memory) {
    if (memory == NULL) return;
    atomic_fetch_sub_explicit(&bytes_held, malloc_usable_size(memory), memory_order_relaxed);
    free(memory);
}
