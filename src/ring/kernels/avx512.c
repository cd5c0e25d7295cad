/* The avx512 table: tables of constants, and conversions. The work is in the other avx512 files. */
#include "ring/kernels/avx512.h"

#include <cpuid.h>
#include <string.h>

enum { DEGREE_MIN = 64 };

/* libgcc and compiler-rt also ask the operating system (XCR0) before they grant avx512f. Not every compiler knows the
 * name of VAES: bit 9 of ECX in leaf 7. */
static bool supported(void) {
    /* Each is what a file of this table is compiled for, and of those with wide registers the compiler's library also
     * asks whether the operating system saves them. VAES has no name there: it rests on AVX-512 being usable. */
    unsigned a, b, c, d;
    if (!__builtin_cpu_supports("aes") || !__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl") ||
        !__builtin_cpu_supports("avx512ifma") || !__builtin_cpu_supports("avx512vbmi") ||
        !__builtin_cpu_supports("avx512bitalg") || __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) {
        return false;
    }
    return (c >> 9 & 1) != 0;
}

static size_t modulus_table_bytes(uint32_t degree) {
    return sizeof(msfl_avx512_tables) + 4 * (size_t)degree * sizeof(uint64_t);
}

static void modulus_tables(msfl_modulus *m, const uint64_t *roots, const uint64_t *inverse_roots) {
    msfl_avx512_tables *t = m->tables;
    uint64_t p = m->m.p;
    size_t n = m->degree;
    assert(n >= DEGREE_MIN);
    msfl_avx512_packing_init(&t->packing, m->m.bits);
    t->p = p;
    t->one = msfl_factor_of(1, p).v;
    t->mu = (uint64_t)(((msfl_u128)1 << (51 + m->m.bits)) / p);
    t->roomy = m->m.bits <= 48;
    t->degree_inverse = msfl_factor_of(msfl_mod_inverse_vartime(msfl_mod_64(n, &m->m), &m->m), p);
    t->word = msfl_factor_of(msfl_mod_64((uint64_t)1 << MSFL_WORD_BITS, &m->m), p);
    t->forward = t->storage;
    t->forward_v = t->forward + n;
    t->inverse = t->forward_v + n;
    t->inverse_v = t->inverse + n;
    memcpy(t->forward, roots, n * sizeof *roots);
    memcpy(t->inverse, inverse_roots, n * sizeof *roots);
    for (size_t i = 0; i < n; i++) {
        t->forward_v[i] = msfl_factor_of(roots[i], p).v;
        t->inverse_v[i] = msfl_factor_of(inverse_roots[i], p).v;
    }
}

static void import(const msfl_modulus *m, msfl_cell *x, const uint64_t *residues, size_t n) {
    (void)m;
    memcpy(x, residues, n * sizeof *x);
}

static void export(const msfl_modulus *m, uint64_t *residues, const msfl_cell *x, size_t n) {
    lanes_prime lanes = lanes_of(msfl_avx512_tables_of(m));
    for (size_t i = 0; i < n; i += MSFL_LANES512) {
        __mmask8 there = n - i < MSFL_LANES512 ? (__mmask8)((1u << (n - i)) - 1) : 0xff;
        _mm512_mask_storeu_epi64(residues + i, there, canonical8(_mm512_maskz_loadu_epi64(there, x + i), lanes));
    }
}

static void import_signed(const msfl_modulus *m, msfl_cell *x, const int32_t *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i].u = msfl_mod_signed(s[i], m->m.p);
}

static void prepare(const msfl_modulus *m, msfl_cell *x) {
    const msfl_avx512_tables *t = msfl_avx512_tables_of(m);
    lanes_prime lanes = lanes_of(t);
    v8i w = all8(t->degree_inverse.w), v = all8(t->degree_inverse.v);
    for (size_t i = 0; i < m->degree; i += MSFL_LANES512)
        _mm512_store_si512(x + i, once8(scale8(_mm512_load_si512(x + i), w, v, lanes), lanes));
}

/* Barrett. With b = bits: h = floor(2 x y / 2^b) < 2^(b + 1) is the high half of x 2^(52 - b) times 2 y, and
 * q = floor(h mu / 2^52) with mu = floor(2^(51 + b) / p) < 2^52. Rounding down three times takes less than
 * mu / 2^52 < 1, h / 2^52 <= 1/2 and 1 from x y / p, so the result is below 2.5 p. */
typedef struct barrett {
    lanes_prime m;
    v8i mu, up;
} barrett;

MSFL_INLINE512 v8i multiply8(v8i a, v8i b, barrett k) {
    v8i zero = _mm512_setzero_si512();
    expect8(a, 1, k.m);
    expect8(b, 1, k.m);
    v8i h = high8(zero, _mm512_sllv_epi64(a, k.up), _mm512_add_epi64(b, b));
    v8i r = low8(low8(zero, a, b), high8(zero, h, k.mu), k.m.minus_p);
    expect8(r, 3, k.m);
    return r;
}

static void multiply(const msfl_modulus *m, msfl_cell *x, const msfl_cell *y, size_t n) {
    const msfl_avx512_tables *t = msfl_avx512_tables_of(m);
    barrett k = {lanes_of(t), all8(t->mu), all8(MSFL_WORD_BITS - m->m.bits)};
    size_t i = 0;
    for (; i + MSFL_LANES512 <= n; i += MSFL_LANES512)
        _mm512_storeu_si512(x + i, multiply8(_mm512_loadu_si512(x + i), _mm512_loadu_si512(y + i), k));
    if (i < n) {
        __mmask8 there = (__mmask8)((1u << (n - i)) - 1);
        v8i a = _mm512_maskz_loadu_epi64(there, x + i), b = _mm512_maskz_loadu_epi64(there, y + i);
        _mm512_mask_storeu_epi64(x + i, there, multiply8(a, b, k));
    }
}

const msfl_kernel msfl_kernel_avx512 = {
    .name = "avx512",
    .supported = supported,
    .aes = &msfl_avx512_aes,
    .modulus_table_bytes = modulus_table_bytes,
    .modulus_tables = modulus_tables,
    .codec_table_bytes = msfl_avx512_codec_table_bytes,
    .codec_tables = msfl_avx512_codec_tables,
    .import = import,
    .export = export,
    .import_signed = import_signed,
    .forward = msfl_avx512_forward,
    .inverse = msfl_avx512_inverse,
    .prepare = prepare,
    .multiply = multiply,
    .uniform = msfl_avx512_uniform,
    .binomial = msfl_avx512_binomial,
    .encode = msfl_avx512_encode,
    .add_pack = msfl_avx512_add_pack,
    .check = msfl_avx512_check,
    .fold = msfl_avx512_fold,
    .unfold = msfl_avx512_unfold,
    .subtract_from = msfl_avx512_subtract_from,
    .lift = msfl_avx512_lift,
};
