#include "update/kernels/kernel.h"

static uint32_t quantise(const float *x, const uint32_t *random, size_t n, float clip, double scale, uint32_t middle,
                         uint32_t *out) {
    uint32_t n_clipped = 0;
    for (size_t i = 0; i < n; i++) {
        float c = x[i] > -clip ? x[i] : -clip;
        c = c < clip ? c : clip;
        n_clipped += (x[i] > clip) | (x[i] < -clip);
        double w = (double)c * scale - 0.5;
        /* |w| <= 2^31: the conversion is defined. It cuts towards zero; one less where that was upwards is floor. */
        int64_t whole = (int32_t)w;
        whole -= w < (double)whole;
        double fraction = w - (double)whole;
        out[i] = middle + (uint32_t)whole + (uint32_t)((double)random[i] * 0x1p-32 < fraction);
    }
    return n_clipped;
}

const msfl_quantise_kernel msfl_quantise_generic = {"generic", quantise};
