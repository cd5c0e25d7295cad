#include "update/kernels/kernel.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const msfl_quantise_kernel *chosen = &msfl_quantise_generic;

static void choose(void) {
    const char *forced = getenv("MSFL_KERNEL");
    if (forced != NULL && strcmp(forced, "generic") == 0) return;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) chosen = &msfl_quantise_avx2;
#endif
}

const msfl_quantise_kernel *msfl_quantise_kernel_best(void) {
    pthread_once(&once, choose);
    return chosen;
}
