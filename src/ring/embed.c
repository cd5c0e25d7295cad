#include "ring/embed.h"

#include "base/mem.h"
#include "ring/prime.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

extern const msfl_embed_kernel msfl_embed_generic;
#if MSFL_HAVE_AVX2
extern const msfl_embed_kernel msfl_embed_avx2, msfl_embed_avx512;
#endif

static const msfl_embed_kernel *const kernels[] = {
    &msfl_embed_generic,
#if MSFL_HAVE_AVX2
    &msfl_embed_avx2,
    &msfl_embed_avx512,
#endif
    NULL,
};

const msfl_embed_kernel *const *msfl_embed_kernels(void) {
    return kernels;
}

/* A name that is not known here was judged by msfl_kernel_choose. */
const msfl_embed_kernel *msfl_embed_choose(void) {
    const char *wanted = getenv("MSFL_KERNEL");
    const msfl_embed_kernel *best = &msfl_embed_generic;
    for (size_t i = 0; kernels[i] != NULL; i++) {
        if (!kernels[i]->supported()) continue;
        best = kernels[i];
        if (wanted != NULL && strcmp(wanted, kernels[i]->name) == 0) break;
    }
    return best;
}

/* The angle of the root of node k in units of pi / N: 1 has pi / 4, and a modulus of angle t splits at t / 2 and at
 * t / 2 + pi / 2 less or more than half a turn: 2 k gets half the angle of k, 2 k + 1 that and a quarter turn. */
static void make_roots(msfl_embed *e) {
    const long double unit = 3.14159265358979323846264338327950288L / (long double)(2 * e->n);
    uint32_t *angle = e->position; /* filled with what it is for afterwards */
    e->root_re[0] = e->root_im[0] = 0;
    for (size_t k = 1; k < e->n; k++) {
        angle[k] = k == 1 ? (uint32_t)e->n / 2 : angle[k / 2] / 2 + (k % 2) * (uint32_t)e->n;
        e->root_re[k] = (double)cosl(unit * (long double)angle[k]);
        e->root_im[k] = (double)sinl(unit * (long double)angle[k]);
    }
}

msfl_status msfl_embed_init(msfl_embed *e, const msfl_embed_kernel *kernel, uint32_t degree) {
    size_t n = degree / 2;
    assert(n >= MSFL_EMBED_SLOTS_MIN && n <= MSFL_EMBED_SLOTS_MAX && (n & (n - 1)) == 0);
    *e = (msfl_embed){.kernel = kernel, .n = n, .log_n = (uint32_t)__builtin_ctzll(n)};
    e->root_re = msfl_alloc(n, sizeof *e->root_re);
    e->root_im = msfl_alloc(n, sizeof *e->root_im);
    e->tile = msfl_alloc(kernel->table_doubles(n), sizeof *e->tile);
    e->position = msfl_alloc(n, sizeof *e->position);
    if (e->root_re == NULL || e->root_im == NULL || e->tile == NULL || e->position == NULL) {
        msfl_embed_clear(e);
        return MSFL_ERR_MEMORY;
    }
    make_roots(e);
    kernel->tables(e);
    uint64_t power = 1, turn = 4 * (uint64_t)n;
    for (size_t j = 0; j < n; j++, power = power * 5 % turn)
        e->position[j] = msfl_bit_reverse((uint32_t)((power - 1) / 4), e->log_n);
    return MSFL_OK;
}

void msfl_embed_clear(msfl_embed *e) {
    msfl_free(e->root_re);
    msfl_free(e->root_im);
    msfl_free(e->tile);
    msfl_free(e->position);
    memset(e, 0, sizeof *e);
}

/* Higham's eta is mu + gamma_4 (sqrt 2 + mu) < 6.7 u for roots within mu <= u of the true ones; 7.5 also covers the
 * denominator and the operation that goes before or after a transform. */
double msfl_embed_error(const msfl_embed *e) {
    return e->log_n * 7.5 * 0x1p-53;
}

/* The largest value is within a relative error of sqrt(n) times that of the Euclidean norms, and that is below 2^-38.
 */
double msfl_embed_norm(const msfl_embed *e, double *x) {
    e->kernel->to_slots(e, x, x + e->n);
    return sqrt(e->kernel->largest(x, x + e->n, e->n)) * (1 + 0x1p-30);
}
