/* Ciphertexts from outside: checked, added, opened. */
#include "base/bytes.h"
#include "base/error.h"
#include "base/taint.h"
#include "he/paillier.h"

#include <inttypes.h>
#include <string.h>

/** Where ciphertext i begins in a chunk. */
static size_t offset_of(const msfl_paillier_public *key, uint32_t i) {
    return MSFL_PAILLIER_HEADER_BYTES + (size_t)i * key->limbs * 16;
}

static bool read_below(const msfl_paillier_public *key, const uint8_t *bytes, msfl_limb *c) {
    msfl_limbs_read(c, 2 * key->limbs, bytes, key->limbs * 16);
    return msfl_limbs_compare_vartime(c, key->n2, 2 * key->limbs) < 0;
}

/** ERR_FORMAT unless all ciphertexts are below n^2 and coprime to n. One gcd for all of them, of their product modulo
 *  n; Montgomery's factors of R do not matter to it. */
static msfl_status check_units(const msfl_paillier_public *key, uint64_t j, const uint8_t *chunk, uint32_t n) {
    const size_t limbs = key->limbs;
    msfl_work w;
    msfl_status status = msfl_work_init(&w, 8 * limbs);
    if (status != MSFL_OK) return status;
    msfl_limb *c = msfl_work_take(&w, 2 * limbs), *r = msfl_work_take(&w, limbs), *product = msfl_work_take(&w, limbs);
    uint32_t bad = n;
    for (uint32_t i = 0; i < n; i++) {
        if (!read_below(key, chunk + offset_of(key, i), c)) {
            bad = i;
            break;
        }
        msfl_montgomery_reduce(i == 0 ? product : r, c, &key->mod_n, &w); /* c < n^2 < n R */
        if (i > 0) msfl_montgomery_mul(product, product, r, &key->mod_n, &w);
    }
    if (bad == n && !msfl_limbs_coprime_vartime(product, key->n, limbs)) {
        for (bad = 0; bad < n - 1; bad++) {
            (void)read_below(key, chunk + offset_of(key, bad), c);
            msfl_montgomery_reduce(r, c, &key->mod_n, &w);
            if (!msfl_limbs_coprime_vartime(r, key->n, limbs)) break;
        }
    }
    msfl_work_clear(&w);
    if (bad == n) return MSFL_OK;
    return msfl_fail(
        MSFL_ERR_FORMAT,
        "Paillier: chunk %" PRIu64 ", ciphertext %" PRIu32 " is not a unit modulo the square of the key's n", j, bad);
}

msfl_status msfl_paillier_check(const msfl_paillier_public *key, const msfl_paillier_shape *shape,
                                const uint8_t label[MSFL_HASH_BYTES], uint64_t j, const uint8_t *bytes, size_t length,
                                uint32_t *n_addends) {
    uint32_t count;
    msfl_status status = msfl_paillier_shape_for(key, shape, j);
    if (status == MSFL_OK) status = msfl_paillier_header_check(key, shape, label, j, bytes, length, &count);
    if (status == MSFL_OK) status = check_units(key, j, bytes, msfl_paillier_chunk_ciphertexts(shape, j));
    if (status == MSFL_OK && n_addends != NULL) *n_addends = count;
    return status;
}

msfl_status msfl_paillier_add(const msfl_paillier_public *key, const msfl_paillier_shape *shape,
                              const uint8_t label[MSFL_HASH_BYTES], uint64_t j, uint8_t *acc, const uint8_t *chunk,
                              size_t length) {
    msfl_limb a[MSFL_LIMBS_MAX], b[MSFL_LIMBS_MAX];
    uint32_t have, more;
    msfl_status status = msfl_paillier_check(key, shape, label, j, acc, length, &have);
    if (status == MSFL_OK) status = msfl_paillier_check(key, shape, label, j, chunk, length, &more);
    if (status != MSFL_OK) return status;
    if (have + more > shape->n_clients) {
        return msfl_fail(MSFL_ERR_LIMIT,
                         "Paillier: chunk %" PRIu64 ": %" PRIu32 " addends and %" PRIu32
                         " more; the slots are planned for %" PRIu32,
                         j, have, more, shape->n_clients);
    }
    const size_t n2 = 2 * key->limbs;
    for (uint32_t i = 0; i < msfl_paillier_chunk_ciphertexts(shape, j); i++) {
        uint8_t *at = acc + offset_of(key, i);
        msfl_limbs_read(a, n2, at, 8 * n2);
        msfl_limbs_read(b, n2, chunk + offset_of(key, i), 8 * n2);
        msfl_limbs_mulmod_vartime(a, a, b, key->n2, n2);
        msfl_limbs_write(at, a, n2);
    }
    msfl_paillier_header_count(acc, have + more);
    return MSFL_OK;
}

/** m mod p = ((c^(p-1) mod p^2) - 1) / p * (-q)^-1 mod p: Paillier (1999), section 7, with g = 1 + n. */
static void open_modulo(const msfl_limb *c, const msfl_limb *p, const msfl_limb *p2, const msfl_limb *factor, size_t h,
                        msfl_limb *m, msfl_work *w) {
    msfl_limb *mark = w->at;
    msfl_limb *e = msfl_work_take(w, h), *x = msfl_work_take(w, 2 * h), *one = msfl_work_take(w, 2 * h);
    memcpy(e, p, h * sizeof *p);
    e[0] &= ~(msfl_limb)1;
    memset(one, 0, 2 * h * sizeof *one);
    one[0] = 1;
    msfl_limbs_pow(x, c, 4 * h, e, h * MSFL_LIMB_BITS, p2, 2 * h, w);
    msfl_limbs_sub(x, x, one, 2 * h);
    msfl_limbs_div(e, x, p, h, w);
    msfl_limbs_mul(x, e, factor, h, w);
    msfl_limbs_mod(m, x, 2 * h, p, h, w);
    w->at = mark;
}

/** The plaintext of c, L limbs, from its residues (Garner). */
static void open_one(const msfl_paillier_secret *key, const msfl_limb *c, msfl_limb *m, msfl_work *w) {
    const size_t h = key->public->limbs / 2;
    msfl_limb *mark = w->at;
    msfl_limb *mp = msfl_work_take(w, 2 * h), *mq = msfl_work_take(w, h), *d = msfl_work_take(w, h);
    msfl_limb *product = msfl_work_take(w, 2 * h);
    open_modulo(c, key->p, key->p2, key->hp, h, mp, w);
    open_modulo(c, key->q, key->q2, key->hq, h, mq, w);
    msfl_limbs_mod(d, mp, h, key->q, h, w);
    bool below = msfl_limbs_sub(d, mq, d, h) != 0;
    msfl_limbs_add_if(below, d, d, key->q, h);
    msfl_limbs_mul(product, d, key->p_inverse, h, w);
    msfl_limbs_mod(d, product, 2 * h, key->q, h, w);
    msfl_limbs_mul(product, d, key->p, h, w);
    memset(mp + h, 0, h * sizeof *mp);
    msfl_limbs_add(m, product, mp, 2 * h); /* mp + p d < p q */
    w->at = mark;
}

/** Slots of m, an L-limb number. Not 0 if one is above `most` or something is left above them. */
static uint64_t decode(const msfl_paillier_shape *shape, const msfl_limb *m, size_t n, uint32_t n_slots, uint64_t most,
                       uint64_t *totals) {
    const uint64_t mask = ((uint64_t)1 << shape->slot_bits) - 1;
    uint64_t beyond = 0;
    for (uint32_t s = 0; s < n_slots; s++) {
        size_t bit = (size_t)s * shape->slot_bits, at = bit / MSFL_LIMB_BITS, shift = bit % MSFL_LIMB_BITS;
        uint64_t v = m[at] >> shift;
        if (shift + shape->slot_bits > MSFL_LIMB_BITS) v |= m[at + 1] << (MSFL_LIMB_BITS - shift);
        totals[s] = v & mask;
        beyond |= (most - totals[s]) >> 63;
    }
    size_t used = (size_t)n_slots * shape->slot_bits;
    for (size_t at = used / MSFL_LIMB_BITS; at < n; at++)
        beyond |= at == used / MSFL_LIMB_BITS ? m[at] >> (used % MSFL_LIMB_BITS) : m[at];
    return beyond;
}

msfl_status msfl_paillier_decrypt(const msfl_paillier_secret *key, const msfl_paillier_shape *shape,
                                  const uint8_t label[MSFL_HASH_BYTES], uint64_t j, const uint8_t *bytes, size_t length,
                                  uint32_t *n_addends, uint64_t *totals) {
    const msfl_paillier_public *public = key->public;
    const size_t limbs = public->limbs;
    uint32_t count;
    msfl_work w = {0};
    msfl_status status = msfl_paillier_shape_for(public, shape, j);
    if (status != MSFL_OK) return status;
    status = msfl_paillier_check(public, shape, label, j, bytes, length, &count);
    if (status == MSFL_OK) status = msfl_work_init(&w, 16 * limbs);
    if (status != MSFL_OK) goto done;
    const uint64_t most = (uint64_t)count * (((uint64_t)1 << shape->value_bits) - 1);
    msfl_limb *c = msfl_work_take(&w, 2 * limbs), *m = msfl_work_take(&w, limbs);
    uint64_t beyond = 0;
    for (uint32_t i = 0; i < msfl_paillier_chunk_ciphertexts(shape, j); i++) {
        msfl_limbs_read(c, 2 * limbs, bytes + offset_of(public, i), 16 * limbs);
        open_one(key, c, m, &w);
        beyond |= decode(shape, m, limbs, msfl_paillier_slots_in(shape, j, i), most,
                         totals + (size_t)i * shape->slots_per_ciphertext);
    }
    MSFL_DECLASSIFY(&beyond, sizeof beyond); /* the refusal */
    if (beyond != 0) {
        status = msfl_fail(MSFL_ERR_CRYPTO,
                           "Paillier: chunk %" PRIu64 " does not open to a sum of %" PRIu32
                           " updates: a ciphertext was made otherwise or changed",
                           j, count);
        goto done;
    }
    if (n_addends != NULL) *n_addends = count;
done:
    if (status != MSFL_OK) memset(totals, 0, msfl_paillier_chunk_values(shape, j) * sizeof *totals);
    msfl_work_clear(&w);
    return status;
}
