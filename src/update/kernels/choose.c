#include "update/kernels/kernel.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const msfl_update_kernel *const kernels[] = {
    &msfl_update_generic,
#if defined(__x86_64__)
    &msfl_update_avx2,
    &msfl_update_avx512,
#endif
    NULL,
};

const msfl_update_kernel *const *msfl_update_kernels(void) {
    return kernels;
}

const msfl_update_kernel *msfl_update_kernel_named(const char *wanted) {
    const msfl_update_kernel *best = &msfl_update_generic;
    const bool any = wanted == NULL || wanted[0] == 0;
    if (!any && strncmp(wanted, "avx512", 6) == 0) wanted = "avx512";
    for (size_t i = 0; kernels[i] != NULL; i++) {
        if ((any || strcmp(wanted, kernels[i]->name) == 0) && kernels[i]->supported()) best = kernels[i];
    }
    return best;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const msfl_update_kernel *chosen;

static void choose(void) {
    chosen = msfl_update_kernel_named(getenv("MSFL_KERNEL"));
}

const msfl_update_kernel *msfl_update_kernel_best(void) {
    pthread_once(&once, choose);
    return chosen;
}
