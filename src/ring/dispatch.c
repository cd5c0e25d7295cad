#include "base/error.h"
#include "ring/kernel.h"

#include <stdlib.h>
#include <string.h>

static const msfl_kernel *const kernels[] = {
    &msfl_kernel_generic,
#if MSFL_HAVE_AVX2
    &msfl_kernel_avx2,
#endif
#if MSFL_HAVE_AVX512
    &msfl_kernel_avx512,
#endif
    NULL,
};

const msfl_kernel *const *msfl_kernels(void) {
    return kernels;
}

msfl_status msfl_kernel_choose(const msfl_kernel **out) {
    *out = NULL;
    const char *wanted = getenv("MSFL_KERNEL");
    bool forced = wanted != NULL && wanted[0] != 0;
    const msfl_kernel *best = NULL;
    for (size_t i = 0; kernels[i] != NULL; i++) {
        if (forced && strcmp(kernels[i]->name, wanted) != 0) continue;
        if (kernels[i]->supported()) {
            best = kernels[i];
        } else if (forced) {
            return msfl_fail(MSFL_ERR_UNSUPPORTED, "MSFL_KERNEL=%s: this processor lacks its instructions", wanted);
        }
    }
    if (best == NULL) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "MSFL_KERNEL=%.40s: there is no such kernel; generic%s%s, or nothing for the fastest", wanted,
                         MSFL_HAVE_AVX2 ? ", avx2" : "", MSFL_HAVE_AVX512 ? ", avx512" : "");
    }
    *out = best;
    return MSFL_OK;
}
