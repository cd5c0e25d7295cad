/* The embedding, eight doubles at a time. */
#include <immintrin.h>
#include <stdbool.h>

static bool supported(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
}

#define LANES 8
#define TABLE msfl_embed_avx512
#define NAME  "avx512"
#include "ring/kernels/embed_body.h"
