/* Which table of kernels.h this processor gets. */
#include "nn/kernels.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

extern const nn_kernels nn_kernels_generic;
#if defined(__x86_64__)
extern const nn_kernels nn_kernels_avx2;
#endif

enum { TABLES_MAX = 3 };
static const nn_kernels *tables[TABLES_MAX + 1];
static const nn_kernels *chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void choose(void) {
    size_t n = 0;
    tables[n++] = &nn_kernels_generic;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) tables[n++] = &nn_kernels_avx2;
#endif
    chosen = tables[n - 1];
    const char *forced = getenv("MSFL_NN_KERNELS");
    for (size_t i = 0; forced != NULL && i < n; i++) {
        if (strcmp(tables[i]->name, forced) == 0) chosen = tables[i];
    }
}

const nn_kernels *nn_kernels_borrow(void) {
    pthread_once(&once, choose);
    return chosen;
}

const nn_kernels *const *nn_kernels_all(void) {
    pthread_once(&once, choose);
    return tables;
}
