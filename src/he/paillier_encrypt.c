/* Encryption: c = (1 + m n) r^n mod n^2. */
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "base/taint.h"
#include "he/paillier.h"

#include <inttypes.h>
#include <string.h>

enum { WINDOW = 5, ENTRIES = 1 << WINDOW };

struct msfl_paillier_encryptor {
    const msfl_paillier_public *key;
    msfl_paillier_method method;
    size_t n_windows;
    msfl_limb *table; /* n_windows x ENTRIES x 2 L: (h^n)^(e 2^(5 i)), Montgomery form */
};

/* a has key_bits / 2 bits. */
static size_t windows_of(const msfl_paillier_public *key) {
    return (key->bits / 2 + WINDOW - 1) / WINDOW;
}

void msfl_paillier_base(const msfl_paillier_public *key, msfl_limb *h, msfl_work *w) {
    enum { EXCESS = 16 /* bytes, so that the hash is uniform modulo n to 2^-128 */ };
    const size_t limbs = key->limbs;
    msfl_limb *mark = w->at;
    msfl_limb *x = msfl_work_take(w, 2 * limbs);
    uint8_t seed[MSFL_HASH_BYTES], bytes[MSFL_LIMBS_MAX * 4 + EXCESS];
    msfl_hash hash;
    msfl_hash_init(&hash, "msfl.paillier.base.v1");
    msfl_hash_add(&hash, key->id, sizeof key->id);
    msfl_hash_final(&hash, seed);
    msfl_chacha20_stream(seed, 0, 0, bytes, key->bits / 8 + EXCESS);
    msfl_limbs_read(x, limbs + 2, bytes, key->bits / 8 + EXCESS);
    msfl_limbs_mod(h, x, limbs + 2, key->n, limbs, w);
    msfl_limbs_mul(x, h, h, limbs, w);
    msfl_limbs_mod(h, x, 2 * limbs, key->n, limbs, w);
    w->at = mark;
}

static void fill_table(msfl_paillier_encryptor *e, msfl_work *w) {
    const msfl_paillier_public *key = e->key;
    const msfl_montgomery *m = &key->mod_n2;
    const size_t n2 = 2 * key->limbs;
    msfl_limb *one = msfl_work_take(w, n2), *base = msfl_work_take(w, n2), *h = msfl_work_take(w, 2 * n2);
    msfl_montgomery_one(one, m, w);
    msfl_paillier_base(key, h, w);
    msfl_limbs_pow(base, h, key->limbs, key->n, key->bits, key->n2, n2, w);
    msfl_limbs_mul(h, base, one, n2, w); /* into Montgomery form: base R mod n^2 */
    msfl_limbs_mod(base, h, 2 * n2, key->n2, n2, w);
    for (size_t i = 0; i < e->n_windows; i++) {
        msfl_limb *entry = e->table + i * ENTRIES * n2;
        memcpy(entry, one, n2 * sizeof *one);
        for (size_t k = 1; k < ENTRIES; k++)
            msfl_montgomery_mul(entry + k * n2, entry + (k - 1) * n2, base, m, w);
        msfl_montgomery_mul(base, entry + (ENTRIES - 1) * n2, base, m, w);
    }
}

msfl_status msfl_paillier_encryptor_new(const msfl_paillier_public *key, msfl_paillier_method method,
                                        msfl_paillier_encryptor **out) {
    *out = NULL;
    if (method != MSFL_PAILLIER_RANDOM_BASE && method != MSFL_PAILLIER_FIXED_BASE) {
        return msfl_fail(MSFL_ERR_USAGE, "Paillier: %d is no method of encryption", (int)method);
    }
    msfl_work w = {0};
    msfl_status status = MSFL_ERR_MEMORY;
    msfl_paillier_encryptor *e = msfl_alloc(1, sizeof *e);
    if (e == NULL) return status;
    e->key = key;
    e->method = method;
    if (method == MSFL_PAILLIER_FIXED_BASE) {
        e->n_windows = windows_of(key);
        e->table = msfl_alloc(e->n_windows * ENTRIES * 2 * key->limbs, sizeof *e->table);
        if (e->table == NULL) goto done;
        status = msfl_work_init(&w, 8 * key->limbs);
        if (status != MSFL_OK) goto done;
        fill_table(e, &w);
    }
    *out = e;
    e = NULL;
    status = MSFL_OK;
done:
    msfl_work_clear(&w);
    msfl_paillier_encryptor_free(e);
    return status;
}

void msfl_paillier_encryptor_free(msfl_paillier_encryptor *encryptor) {
    if (encryptor == NULL) return;
    msfl_free(encryptor->table);
    msfl_free(encryptor);
}

/** m = sum of values[s] 2^(w s); all of m's L limbs are set. */
static void encode(const msfl_paillier_shape *shape, const uint32_t *values, uint32_t n_slots, msfl_limb *m, size_t n) {
    memset(m, 0, n * sizeof *m);
    for (uint32_t s = 0; s < n_slots; s++) {
        size_t bit = (size_t)s * shape->slot_bits, at = bit / MSFL_LIMB_BITS, shift = bit % MSFL_LIMB_BITS;
        m[at] |= (msfl_limb)values[s] << shift;
        if (shift + shape->slot_bits > MSFL_LIMB_BITS) m[at + 1] |= (msfl_limb)values[s] >> (MSFL_LIMB_BITS - shift);
    }
}

/** c = (1 + m n) r^n, r uniform. r is 0 or shares a factor with n once in 2^1000. */
static void with_random_base(const msfl_paillier_public *key, const msfl_limb *u, msfl_limb *c, msfl_work *w) {
    const size_t limbs = key->limbs, n2 = 2 * limbs;
    msfl_limb *mark = w->at;
    msfl_limb *r = msfl_work_take(w, limbs), *less = msfl_work_take(w, limbs);
    msfl_limb *power = msfl_work_take(w, n2), *product = msfl_work_take(w, 2 * n2);
    msfl_limb below;
    do {
        msfl_random_bytes(r, limbs * sizeof *r);
        below = msfl_limbs_sub(less, r, key->n, limbs);
        MSFL_DECLASSIFY(&below, sizeof below); /* a candidate that is not is thrown away whole */
    } while (below == 0);
    msfl_limbs_pow(power, r, limbs, key->n, key->bits, key->n2, n2, w);
    msfl_limbs_mul(product, power, u, n2, w);
    msfl_limbs_mod(c, product, 2 * n2, key->n2, n2, w);
    w->at = mark;
}

/** c = (1 + m n) (h^n)^a, a uniform of key_bits / 2 bits. */
static void with_fixed_base(const msfl_paillier_encryptor *e, const msfl_limb *u, msfl_limb *c, msfl_work *w) {
    const msfl_paillier_public *key = e->key;
    const msfl_montgomery *m = &key->mod_n2;
    const size_t n2 = 2 * key->limbs, n_a = key->limbs / 2;
    msfl_limb *mark = w->at;
    msfl_limb *a = msfl_work_take(w, n_a + 1), *power = msfl_work_take(w, n2), *entry = msfl_work_take(w, n2);
    msfl_random_bytes(a, n_a * sizeof *a);
    a[n_a] = 0; /* read by the last window */
    for (size_t i = 0; i < e->n_windows; i++) {
        size_t bit = i * WINDOW, at = bit / MSFL_LIMB_BITS, shift = bit % MSFL_LIMB_BITS;
        msfl_limb digit = a[at] >> shift;
        if (shift > MSFL_LIMB_BITS - WINDOW) digit |= a[at + 1] << (MSFL_LIMB_BITS - shift);
        msfl_limbs_select(entry, e->table + i * ENTRIES * n2, n2, ENTRIES, digit % ENTRIES);
        if (i == 0) {
            memcpy(power, entry, n2 * sizeof *entry);
        } else {
            msfl_montgomery_mul(power, power, entry, m, w);
        }
    }
    msfl_montgomery_mul(c, power, u, m, w); /* the one factor in Montgomery form, the other not */
    w->at = mark;
}

msfl_status msfl_paillier_encrypt(const msfl_paillier_encryptor *encryptor, const msfl_paillier_shape *shape,
                                  const uint8_t label[MSFL_HASH_BYTES], uint64_t j, const uint32_t *values,
                                  uint8_t *out) {
    const msfl_paillier_public *key = encryptor->key;
    const size_t limbs = key->limbs, n2 = 2 * limbs;
    msfl_status status = msfl_paillier_shape_for(key, shape, j);
    if (status != MSFL_OK) return status;
    const uint32_t n = msfl_paillier_chunk_values(shape, j), n_ciphertexts = msfl_paillier_chunk_ciphertexts(shape, j);
    msfl_work w = {0};
    uint32_t seen = 0;
    for (uint32_t i = 0; i < n; i++)
        seen |= values[i];
    seen = shape->value_bits < 32 ? seen >> shape->value_bits : 0;
    MSFL_DECLASSIFY(&seen, sizeof seen); /* the refusal: that some value is too large, not which */
    if (seen != 0) {
        status = msfl_fail(MSFL_ERR_NUMERIC, "Paillier: chunk %" PRIu64 " has a value of 2^%" PRIu32 " or more", j,
                           shape->value_bits);
        goto done;
    }
    status = msfl_work_init(&w, 16 * limbs);
    if (status != MSFL_OK) goto done;
    msfl_limb *m = msfl_work_take(&w, limbs), *u = msfl_work_take(&w, n2), *one = msfl_work_take(&w, n2);
    msfl_limb *c = msfl_work_take(&w, n2);
    memset(one, 0, n2 * sizeof *one);
    one[0] = 1;
    msfl_paillier_header_write(key, shape, label, j, out);
    for (uint32_t i = 0; i < n_ciphertexts; i++) {
        encode(shape, values + (size_t)i * shape->slots_per_ciphertext, msfl_paillier_slots_in(shape, j, i), m, limbs);
        msfl_limbs_mul(u, m, key->n, limbs, &w);
        msfl_limbs_add(u, u, one, n2); /* 1 + m n < n^2, since m < n */
        if (encryptor->method == MSFL_PAILLIER_FIXED_BASE) {
            with_fixed_base(encryptor, u, c, &w);
        } else {
            with_random_base(key, u, c, &w);
        }
        MSFL_DECLASSIFY(c, n2 * sizeof *c); /* a ciphertext is public */
        msfl_limbs_write(out + MSFL_PAILLIER_HEADER_BYTES + (size_t)i * n2 * 8, c, n2);
    }
done:
    if (status != MSFL_OK) memset(out, 0, msfl_paillier_chunk_bytes(shape, j));
    msfl_work_clear(&w);
    return status;
}
