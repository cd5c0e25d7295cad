/* The avx2 table: tables of constants, and conversions. The work is in the other avx2 files. */
#include "ring/kernels/avx2.h"

#include "base/mem.h"

enum { DEGREE_MIN = 64 };

static bool supported(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/* forward N, first 3/4 N, inverse 1/2 N */
static size_t modulus_table_bytes(uint32_t degree) {
    return sizeof(msfl_avx2_tables) + 9 * (size_t)degree / 4 * sizeof(double);
}

static void modulus_tables(msfl_modulus *m, const uint64_t *roots, const uint64_t *inverse_roots) {
    msfl_avx2_tables *t = m->tables;
    uint64_t p = m->m.p;
    size_t n = m->degree;
    assert(n >= DEGREE_MIN);
    msfl_avx2_packing_init(&t->packing, m->m.bits);
    t->p = (double)p;
    t->p_inverse = 1.0 / (double)p;
    t->degree_inverse = centred(msfl_mod_inverse_vartime(msfl_mod_64(n, &m->m), &m->m), p);
    t->roomy = m->m.bits <= 48;
    t->forward = t->storage;
    t->first = t->forward + n;
    t->inverse = t->first + 3 * n / 4;
    for (size_t i = 0; i < n; i++)
        t->forward[i] = centred(roots[i], p);
    for (size_t b = 0; b < n / 16; b++) {
        double *w = t->first + 12 * b;
        for (size_t l = 0; l < 4; l++) {
            w[l] = centred(inverse_roots[n / 2 + 8 * b + 2 * l], p);
            w[4 + l] = centred(inverse_roots[n / 2 + 8 * b + 2 * l + 1], p);
            w[8 + l] = centred(inverse_roots[n / 4 + 4 * b + l], p);
        }
    }
    for (size_t i = 0; i < n / 4; i++) {
        t->inverse[2 * i] = centred(inverse_roots[i], p);
        t->inverse[2 * i + 1] = t->inverse[2 * i] / t->p;
    }
}

static void import(const msfl_modulus *m, msfl_cell *x, const uint64_t *residues, size_t n) {
    (void)m;
    for (size_t i = 0; i < n; i++)
        x[i].d = (double)(int64_t)residues[i]; /* of an unsigned one, compilers make a branch on its top bit */
}

static void export(const msfl_modulus *m, uint64_t *residues, const msfl_cell *x, size_t n) {
    lanes_modulus lanes = lanes_of(msfl_avx2_tables_of(m));
    for (size_t i = 0; i < n; i++) {
        v4d v = canonical4(_mm256_set1_pd(x[i].d), lanes);
        residues[i] = (uint64_t)_mm256_extract_epi64(to_integer4(v), 0);
    }
}

static void import_signed(const msfl_modulus *m, msfl_cell *x, const int32_t *s, size_t n) {
    (void)m;
    for (size_t i = 0; i < n; i++)
        x[i].d = s[i];
}

static void prepare(const msfl_modulus *m, msfl_cell *x) {
    const msfl_avx2_tables *t = msfl_avx2_tables_of(m);
    lanes_modulus lanes = lanes_of(t);
    v4d w = _mm256_set1_pd(t->degree_inverse);
    for (size_t i = 0; i < m->degree; i += MSFL_LANES) {
        v4d v = reduce4(multiply4(_mm256_load_pd(&x[i].d), w, lanes), lanes);
        _mm256_store_pd(&x[i].d, v);
    }
}

/* x <= p on entry, 0.69 p on return. */
static void multiply(const msfl_modulus *m, msfl_cell *x, const msfl_cell *y, size_t n) {
    lanes_modulus lanes = lanes_of(msfl_avx2_tables_of(m));
    size_t i = 0;
    for (; i + MSFL_LANES <= n; i += MSFL_LANES) {
        v4d v = _mm256_loadu_pd(&x[i].d), w = _mm256_loadu_pd(&y[i].d);
        expect4(v, 1.0, lanes);
        v = multiply4(v, w, lanes);
        expect4(v, 0.69, lanes);
        _mm256_storeu_pd(&x[i].d, v);
    }
    for (; i < n; i++) {
        v4d v = multiply4(_mm256_set1_pd(x[i].d), _mm256_set1_pd(y[i].d), lanes);
        x[i].d = _mm256_cvtsd_f64(v);
    }
}

/* Rare, and on bytes alone, so the generic one serves. */
static void unfold(const msfl_modulus *m, uint8_t *sum, const uint8_t *bytes, size_t n) {
    msfl_kernel_generic.unfold(m, sum, bytes, n);
}

const msfl_kernel msfl_kernel_avx2 = {
    .name = "avx2",
    .supported = supported,
    .modulus_table_bytes = modulus_table_bytes,
    .modulus_tables = modulus_tables,
    .codec_table_bytes = msfl_avx2_codec_table_bytes,
    .codec_tables = msfl_avx2_codec_tables,
    .import = import,
    .export = export,
    .import_signed = import_signed,
    .forward = msfl_avx2_forward,
    .inverse = msfl_avx2_inverse,
    .prepare = prepare,
    .multiply = multiply,
    .uniform = msfl_avx2_uniform,
    .binomial = msfl_avx2_binomial,
    .encode = msfl_avx2_encode,
    .add_pack = msfl_avx2_add_pack,
    .check = msfl_avx2_check,
    .fold = msfl_avx2_fold,
    .unfold = unfold,
    .subtract_from = msfl_avx2_subtract_from,
    .lift = msfl_avx2_lift,
};
