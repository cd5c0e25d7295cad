#include "ring/modulus.h"

#include "base/mem.h"
#include "ring/prime.h"

#include <assert.h>
#include <string.h>

msfl_status msfl_modulus_init(msfl_modulus *m, const msfl_kernel *kernel, uint64_t p, uint32_t degree) {
    assert(p % (2 * (uint64_t)degree) == 1 && p >> MSFL_PRIME_BITS_MAX == 0);
    *m = (msfl_modulus){.m = msfl_barrett_of(p),
                        .degree = degree,
                        .log_degree = (uint32_t)__builtin_ctz(degree),
                        .psi = msfl_root_2n(p, degree),
                        .kernel = kernel};
    msfl_status status = MSFL_ERR_MEMORY;
    uint64_t *roots = msfl_alloc(2 * (size_t)degree, sizeof *roots);
    m->tables = msfl_alloc(kernel->modulus_table_bytes(degree), 1);
    if (roots == NULL || m->tables == NULL) goto done;
    uint64_t *inverse_roots = roots + degree;
    uint64_t psi_inverse = msfl_mod_inverse_vartime(m->psi, &m->m);
    uint64_t x = 1, y = 1;
    for (uint32_t i = 0; i < degree; i++) {
        uint32_t k = msfl_bit_reverse(i, m->log_degree);
        roots[k] = x;
        inverse_roots[k] = y;
        x = msfl_mod_mul(x, m->psi, &m->m);
        y = msfl_mod_mul(y, psi_inverse, &m->m);
    }
    kernel->modulus_tables(m, roots, inverse_roots);
    status = MSFL_OK;
done:
    msfl_free(roots);
    if (status != MSFL_OK) msfl_modulus_clear(m);
    return status;
}

void msfl_modulus_clear(msfl_modulus *m) {
    msfl_free(m->tables);
    memset(m, 0, sizeof *m);
}

msfl_status msfl_codec_init(msfl_codec *codec, const msfl_modulus *moduli, uint32_t n_moduli, uint32_t value_bits,
                            uint32_t slot_bits, uint32_t slots) {
    assert(n_moduli >= 1 && n_moduli <= MSFL_MODULI_MAX && value_bits <= 32 && value_bits <= slot_bits);
    *codec = (msfl_codec){.kernel = moduli[0].kernel,
                          .moduli = moduli,
                          .n_moduli = n_moduli,
                          .value_bits = value_bits,
                          .slot_bits = slot_bits,
                          .slots = slots,
                          .log_t = slot_bits * slots};
    msfl_status status = MSFL_ERR_MEMORY;
    codec->weights = msfl_alloc((size_t)n_moduli * (slots + 1), sizeof *codec->weights);
    if (codec->weights == NULL) goto done;
    codec->q = msfl_wide_of(1);
    for (uint32_t i = 0; i < n_moduli; i++) {
        const msfl_barrett *m = &moduli[i].m;
        codec->q = msfl_wide_mul_add(&codec->q, m->p, 0);
        uint64_t *weight = codec->weights + (size_t)i * (slots + 1);
        uint64_t step = msfl_mod_pow_vartime(2, slot_bits, m);
        weight[0] = 1;
        for (uint32_t j = 1; j <= slots; j++)
            weight[j] = msfl_mod_mul(weight[j - 1], step, m);
        codec->cofactor[i] = msfl_wide_of(1);
        for (uint32_t k = 0; k < n_moduli; k++) {
            if (k != i) codec->cofactor[i] = msfl_wide_mul_add(&codec->cofactor[i], moduli[k].m.p, 0);
        }
        codec->cofactor_inverse[i] = msfl_mod_inverse_vartime(msfl_wide_mod(&codec->cofactor[i], m->p), m);
    }
    size_t table_bytes = codec->kernel->codec_table_bytes(codec);
    codec->tables = msfl_alloc(table_bytes, 1);
    if (codec->tables == NULL) goto done;
    codec->kernel->codec_tables(codec);
    status = MSFL_OK;
done:
    if (status != MSFL_OK) msfl_codec_clear(codec);
    return status;
}

void msfl_codec_clear(msfl_codec *codec) {
    msfl_free(codec->weights);
    msfl_free(codec->tables);
    memset(codec, 0, sizeof *codec);
}
