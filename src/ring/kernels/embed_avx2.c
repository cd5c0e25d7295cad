/* The embedding, four doubles at a time. */
#include <immintrin.h>
#include <stdbool.h>

static bool supported(void) {
    return __builtin_cpu_supports("avx2");
}

#define LANES 4
#define TABLE msfl_embed_avx2
#define NAME  "avx2"
#include "ring/kernels/embed_body.h"
