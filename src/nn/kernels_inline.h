/* What the loops of a table are written with. Included by files that are compiled once per instruction set. */
#ifndef MSFL_NN_KERNELS_INLINE_H
#define MSFL_NN_KERNELS_INLINE_H

/* Does `call` with a constant length C where the length is a common one, so that the loop inside is unrolled. */
#define WITH_CONSTANT(c, call)                                                                                         \
    switch (c) {                                                                                                       \
    case 8: {                                                                                                          \
        enum { C = 8 };                                                                                                \
        call;                                                                                                          \
        break;                                                                                                         \
    }                                                                                                                  \
    case 16: {                                                                                                         \
        enum { C = 16 };                                                                                               \
        call;                                                                                                          \
        break;                                                                                                         \
    }                                                                                                                  \
    case 32: {                                                                                                         \
        enum { C = 32 };                                                                                               \
        call;                                                                                                          \
        break;                                                                                                         \
    }                                                                                                                  \
    case 64: {                                                                                                         \
        enum { C = 64 };                                                                                               \
        call;                                                                                                          \
        break;                                                                                                         \
    }                                                                                                                  \
    default: {                                                                                                         \
        size_t C = (c);                                                                                                \
        call;                                                                                                          \
        break;                                                                                                         \
    }                                                                                                                  \
    }
#define INLINE static inline __attribute__((always_inline))

#endif
