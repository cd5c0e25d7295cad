#include "he/gmp.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/sodium.h"

#include <assert.h>
#include <gmp.h>

_Static_assert(sizeof(mp_limb_t) == sizeof(msfl_limb) && GMP_NUMB_BITS == MSFL_LIMB_BITS, "GMP with 64-bit limbs");

/* msfl_limb and mp_limb_t are unsigned integers of 64 bits that may differ in name (long, long long). */
#define LIMBS(p)       ((mp_limb_t *)(void *)(p))
#define CONST_LIMBS(p) ((const mp_limb_t *)(const void *)(p))

static size_t larger(size_t a, mp_size_t b) {
    return a > (size_t)b ? a : (size_t)b;
}

msfl_status msfl_work_init(msfl_work *w, size_t extra) {
    enum { N = MSFL_LIMBS_MAX };
    size_t limbs = 0;
    limbs = larger(limbs, mpn_sec_mul_itch(N, N));
    limbs = larger(limbs, mpn_sec_div_qr_itch(2 * N, N));
    limbs = larger(limbs, mpn_sec_div_r_itch(2 * N, N));
    limbs = larger(limbs, mpn_sec_powm_itch(N, N * MSFL_LIMB_BITS, N));
    limbs = larger(limbs, mpn_sec_invert_itch(N));
    limbs += 4 * N + extra; /* copies that the functions below make */
    w->base = msfl_secret_alloc((limbs * sizeof(msfl_limb) + 63) / 64 * 64);
    if (w->base == NULL) return MSFL_ERR_MEMORY;
    w->at = w->base;
    w->end = w->base + limbs;
    return MSFL_OK;
}

void msfl_work_clear(msfl_work *w) {
    msfl_secret_free(w->base);
    msfl_wipe_stack();
    *w = (msfl_work){0};
}

msfl_limb *msfl_work_take(msfl_work *w, size_t limbs) {
    assert((size_t)(w->end - w->at) >= limbs);
    msfl_limb *taken = w->at;
    w->at += limbs;
    return taken;
}

static mp_limb_t *take(msfl_work *w, mp_size_t limbs) {
    return LIMBS(msfl_work_take(w, (size_t)limbs));
}

void msfl_limbs_read(msfl_limb *r, size_t n, const uint8_t *bytes, size_t length) {
    assert(length <= 8 * n);
    memset(r, 0, n * sizeof *r);
    for (size_t i = 0; i < length / 8; i++)
        r[i] = msfl_load64(bytes + 8 * i);
    for (size_t i = length / 8 * 8; i < length; i++)
        r[i / 8] |= (msfl_limb)bytes[i] << (i % 8 * 8);
}

void msfl_limbs_write(uint8_t *bytes, const msfl_limb *a, size_t n) {
    for (size_t i = 0; i < n; i++)
        msfl_store64(bytes + 8 * i, a[i]);
}

void msfl_limbs_mul(msfl_limb *r, const msfl_limb *a, const msfl_limb *b, size_t n, msfl_work *w) {
    msfl_limb *mark = w->at;
    mp_limb_t *scratch = take(w, mpn_sec_mul_itch((mp_size_t)n, (mp_size_t)n));
    mpn_sec_mul(LIMBS(r), CONST_LIMBS(a), (mp_size_t)n, CONST_LIMBS(b), (mp_size_t)n, scratch);
    w->at = mark;
}

void msfl_limbs_mod(msfl_limb *r, const msfl_limb *a, size_t n_a, const msfl_limb *m, size_t n, msfl_work *w) {
    assert(n_a >= n && m[n - 1] != 0);
    msfl_limb *mark = w->at;
    msfl_limb *copy = msfl_work_take(w, n_a);
    mp_limb_t *scratch = take(w, mpn_sec_div_r_itch((mp_size_t)n_a, (mp_size_t)n));
    memcpy(copy, a, n_a * sizeof *a);
    mpn_sec_div_r(LIMBS(copy), (mp_size_t)n_a, CONST_LIMBS(m), (mp_size_t)n, scratch);
    memcpy(r, copy, n * sizeof *r);
    w->at = mark;
}

void msfl_limbs_div(msfl_limb *q, const msfl_limb *a, const msfl_limb *m, size_t n, msfl_work *w) {
    assert(m[n - 1] != 0);
    msfl_limb *mark = w->at;
    msfl_limb *copy = msfl_work_take(w, 2 * n);
    mp_limb_t *scratch = take(w, mpn_sec_div_qr_itch((mp_size_t)(2 * n), (mp_size_t)n));
    memcpy(copy, a, 2 * n * sizeof *a);
    mpn_sec_div_qr(LIMBS(q), LIMBS(copy), (mp_size_t)(2 * n), CONST_LIMBS(m), (mp_size_t)n, scratch);
    w->at = mark;
}

void msfl_limbs_pow(msfl_limb *r, const msfl_limb *b, size_t n_b, const msfl_limb *e, size_t bits_e, const msfl_limb *m,
                    size_t n, msfl_work *w) {
    assert(n_b >= 1 && bits_e >= 1 && (m[0] & 1) != 0 && m[n - 1] != 0);
    msfl_limb *mark = w->at;
    mp_limb_t *scratch = take(w, mpn_sec_powm_itch((mp_size_t)n_b, bits_e, (mp_size_t)n));
    mpn_sec_powm(LIMBS(r), CONST_LIMBS(b), (mp_size_t)n_b, CONST_LIMBS(e), bits_e, CONST_LIMBS(m), (mp_size_t)n,
                 scratch);
    w->at = mark;
}

bool msfl_limbs_invert(msfl_limb *r, const msfl_limb *a, const msfl_limb *m, size_t n, msfl_work *w) {
    msfl_limb *mark = w->at;
    msfl_limb *copy = msfl_work_take(w, n);
    mp_limb_t *scratch = take(w, mpn_sec_invert_itch((mp_size_t)n));
    memcpy(copy, a, n * sizeof *a);
    int there = mpn_sec_invert(LIMBS(r), LIMBS(copy), CONST_LIMBS(m), (mp_size_t)n, 2 * n * MSFL_LIMB_BITS, scratch);
    w->at = mark;
    return there != 0;
}

msfl_limb msfl_limbs_add(msfl_limb *r, const msfl_limb *a, const msfl_limb *b, size_t n) {
    return mpn_add_n(LIMBS(r), CONST_LIMBS(a), CONST_LIMBS(b), (mp_size_t)n);
}

msfl_limb msfl_limbs_sub(msfl_limb *r, const msfl_limb *a, const msfl_limb *b, size_t n) {
    return mpn_sub_n(LIMBS(r), CONST_LIMBS(a), CONST_LIMBS(b), (mp_size_t)n);
}

msfl_limb msfl_limbs_add_if(bool yes, msfl_limb *r, const msfl_limb *a, const msfl_limb *b, size_t n) {
    return mpn_cnd_add_n(yes, LIMBS(r), CONST_LIMBS(a), CONST_LIMBS(b), (mp_size_t)n);
}

void msfl_limbs_select(msfl_limb *r, const msfl_limb *table, size_t n, size_t count, size_t which) {
    mpn_sec_tabselect(LIMBS(r), CONST_LIMBS(table), (mp_size_t)n, (mp_size_t)count, (mp_size_t)which);
}

void msfl_limbs_half(msfl_limb *r, const msfl_limb *a, size_t n) {
    mpn_rshift(LIMBS(r), CONST_LIMBS(a), (mp_size_t)n, 1);
}

bool msfl_limbs_is(const msfl_limb *a, size_t n, msfl_limb v) {
    msfl_limb differs = a[0] ^ v;
    for (size_t i = 1; i < n; i++)
        differs |= a[i];
    return differs == 0;
}

msfl_montgomery msfl_montgomery_of(const msfl_limb *m, size_t n) {
    msfl_limb inverse = 1; /* of m modulo 2; every step doubles the bits */
    for (int bits = 1; bits < MSFL_LIMB_BITS; bits *= 2)
        inverse *= 2 - m[0] * inverse;
    return (msfl_montgomery){n, m, 0 - inverse};
}

void msfl_montgomery_one(msfl_limb *r, const msfl_montgomery *m, msfl_work *w) {
    msfl_limb *mark = w->at;
    msfl_limb *power = msfl_work_take(w, m->n + 1);
    memset(power, 0, (m->n + 1) * sizeof *power);
    power[m->n] = 1;
    msfl_limbs_mod(r, power, m->n + 1, m->m, m->n, w);
    w->at = mark;
}

void msfl_montgomery_reduce(msfl_limb *r, msfl_limb *a, const msfl_montgomery *m, msfl_work *w) {
    /* Montgomery, "Modular multiplication without trial division" (1985), limb by limb: step i adds the multiple of m
     * that clears limb i, whose place then keeps the carry out of the step; the carries are added at the end. The sum
     * is below 2 m R, hence one subtraction, which is made or not by a mask. */
    const mp_size_t n = (mp_size_t)m->n;
    for (mp_size_t i = 0; i < n; i++)
        a[i] = mpn_addmul_1(LIMBS(a + i), CONST_LIMBS(m->m), n, a[i] * m->inverse);
    msfl_limb *mark = w->at;
    mp_limb_t *less = take(w, n);
    mp_limb_t carry = mpn_add_n(LIMBS(r), CONST_LIMBS(a + n), CONST_LIMBS(a), n);
    mp_limb_t borrow = mpn_sub_n(less, CONST_LIMBS(r), CONST_LIMBS(m->m), n);
    mpn_cnd_sub_n(carry | (borrow ^ 1), LIMBS(r), CONST_LIMBS(r), CONST_LIMBS(m->m), n);
    w->at = mark;
}

void msfl_montgomery_mul(msfl_limb *r, const msfl_limb *a, const msfl_limb *b, const msfl_montgomery *m, msfl_work *w) {
    msfl_limb *mark = w->at;
    msfl_limb *product = msfl_work_take(w, 2 * m->n);
    msfl_limbs_mul(product, a, b, m->n, w);
    msfl_montgomery_reduce(r, product, m, w);
    w->at = mark;
}

/* The functions below use no working memory of ours: at these sizes GMP takes its own from the stack. */

void msfl_limbs_mulmod_vartime(msfl_limb *r, const msfl_limb *a, const msfl_limb *b, const msfl_limb *m, size_t n) {
    mp_limb_t product[2 * MSFL_LIMBS_MAX], quotient[MSFL_LIMBS_MAX + 1];
    assert(n <= MSFL_LIMBS_MAX);
    mpn_mul_n(product, CONST_LIMBS(a), CONST_LIMBS(b), (mp_size_t)n);
    mpn_tdiv_qr(quotient, LIMBS(r), 0, product, (mp_size_t)(2 * n), CONST_LIMBS(m), (mp_size_t)n);
}

int msfl_limbs_compare_vartime(const msfl_limb *a, const msfl_limb *b, size_t n) {
    return mpn_cmp(CONST_LIMBS(a), CONST_LIMBS(b), (mp_size_t)n);
}

bool msfl_limbs_coprime_vartime(const msfl_limb *a, const msfl_limb *m, size_t n) {
    mp_limb_t u[MSFL_LIMBS_MAX], v[MSFL_LIMBS_MAX], g[MSFL_LIMBS_MAX];
    size_t n_a = n;
    assert(n <= MSFL_LIMBS_MAX);
    while (n_a > 0 && a[n_a - 1] == 0)
        n_a--;
    if (n_a == 0) return false;
    memcpy(u, m, n * sizeof *u);
    memcpy(v, a, n_a * sizeof *v);
    mp_size_t length = mpn_gcd(g, u, (mp_size_t)n, v, (mp_size_t)n_a);
    return length == 1 && g[0] == 1;
}
