/* Shim for valgrind: which bytes are secret, and where a secret-dependent outcome is made public on purpose.
 *
 * Memcheck follows undefined bytes through all arithmetic and reports a branch or an address that depends on one. The
 * tests in tests/ctime call secrets undefined and so see every secret-dependent branch and address. MSFL_SECRET stands
 * where a secret is born, MSFL_DECLASSIFY where its consequence is public by design, with the reason beside it.
 *
 * Nothing of this is in a build without tests. In one with tests (MSFL_TAINT, where valgrind's header is installed) a
 * mark costs one predicted branch until msfl_taint_begin was called, which only those tests do: other programs under
 * valgrind see no difference.
 */
#ifndef MSFL_BASE_TAINT_H
#define MSFL_BASE_TAINT_H

#include <stdbool.h>

#if MSFL_TAINT

#include <valgrind/memcheck.h>

extern bool msfl_taint_on;
/** Secrets are marked from now on. */
static inline void msfl_taint_begin(void) {
    msfl_taint_on = true;
}

/** The `length` bytes at `memory` are secret. */
#define MSFL_SECRET(memory, length)                                                                                    \
    do {                                                                                                               \
        if (__builtin_expect(msfl_taint_on, 0)) (void)VALGRIND_MAKE_MEM_UNDEFINED(memory, length);                     \
    } while (0)
/** They are public, though they follow from a secret. */
#define MSFL_DECLASSIFY(memory, length)                                                                                \
    do {                                                                                                               \
        if (__builtin_expect(msfl_taint_on, 0)) (void)VALGRIND_MAKE_MEM_DEFINED(memory, length);                       \
    } while (0)

#else

#define MSFL_SECRET(memory, length)     ((void)0)
#define MSFL_DECLASSIFY(memory, length) ((void)0)

#endif

#endif
