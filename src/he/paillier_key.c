/* Key pairs: made, written, read. */
#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "base/taint.h"
#include "he/paillier.h"

#include <stdio.h>

static const char public_magic[4] = {'M', 'S', 'P', 'P'}, secret_magic[4] = {'M', 'S', 'P', 'S'};
enum { VERSION = 1, FRAME = 12 + MSFL_HASH_BYTES, READ_ROUNDS = 8 };

size_t msfl_paillier_limbs(uint32_t key_bits) {
    return key_bits == 2048 || key_bits == 3072 ? key_bits / MSFL_LIMB_BITS : 0;
}

static void key_id(uint32_t bits, const msfl_limb *n, uint8_t id[MSFL_HASH_BYTES]) {
    uint8_t bytes[MSFL_LIMBS_MAX * 8];
    size_t limbs = msfl_paillier_limbs(bits);
    msfl_hash h;
    msfl_limbs_write(bytes, n, limbs);
    msfl_hash_init(&h, "msfl.paillier.key.v1");
    msfl_hash_add_u64(&h, bits);
    msfl_hash_add(&h, bytes, 8 * limbs);
    msfl_hash_final(&h, id);
}

msfl_status msfl_paillier_public_new(uint32_t bits, const msfl_limb *n, msfl_paillier_public **out) {
    *out = NULL;
    const size_t limbs = msfl_paillier_limbs(bits);
    msfl_paillier_public *key = NULL;
    msfl_work w = {0};
    msfl_small_primes primes;
    msfl_status status = msfl_small_primes_new(&primes);
    if (status != MSFL_OK) return status;
    if (n[limbs - 1] >> (MSFL_LIMB_BITS - 1) == 0 || (n[0] & 1) == 0 || !msfl_sieve(&primes, n, limbs, false)) {
        status =
            msfl_fail(MSFL_ERR_FORMAT, "Paillier key: the modulus is no product of two primes of %u bits", bits / 2);
        goto done;
    }
    status = msfl_work_init(&w, 0);
    if (status != MSFL_OK) goto done;
    status = MSFL_ERR_MEMORY;
    key = msfl_alloc(1, sizeof *key);
    if (key == NULL) goto done;
    key->n = msfl_alloc(3 * limbs, sizeof *key->n);
    if (key->n == NULL) goto done;
    key->bits = bits;
    key->limbs = limbs;
    key->n2 = key->n + limbs;
    memcpy(key->n, n, limbs * sizeof *n);
    msfl_limbs_mul(key->n2, n, n, limbs, &w);
    key->mod_n = msfl_montgomery_of(key->n, limbs);
    key->mod_n2 = msfl_montgomery_of(key->n2, 2 * limbs);
    key_id(bits, n, key->id);
    *out = key;
    key = NULL;
    status = MSFL_OK;
done:
    msfl_free(primes.primes);
    msfl_work_clear(&w);
    msfl_paillier_public_free(key);
    return status;
}

void msfl_paillier_public_free(msfl_paillier_public *key) {
    if (key == NULL) return;
    msfl_free(key->n);
    msfl_free(key);
}

void msfl_paillier_secret_free(msfl_paillier_secret *key) {
    if (key == NULL) return;
    msfl_paillier_public_free(key->public);
    msfl_secret_free(key->block);
    msfl_free(key);
}

/** A key with room for its numbers. */
static msfl_status secret_alloc(size_t limbs, msfl_paillier_secret **out) {
    const size_t h = limbs / 2;
    msfl_paillier_secret *key = msfl_alloc(1, sizeof *key);
    if (key == NULL) return MSFL_ERR_MEMORY;
    key->block = msfl_secret_alloc((5 * h + 2 * limbs) * sizeof *key->block);
    if (key->block == NULL) {
        msfl_free(key);
        return MSFL_ERR_MEMORY;
    }
    key->p = key->block;
    key->q = key->p + h;
    key->hp = key->q + h;
    key->hq = key->hp + h;
    key->p_inverse = key->hq + h;
    key->p2 = key->p_inverse + h;
    key->q2 = key->p2 + limbs;
    *out = key;
    return MSFL_OK;
}

/** inverse = 1 / -a mod m, or 1 / a; a and m have their top bit set. */
static bool invert(msfl_limb *inverse, bool negative, const msfl_limb *a, const msfl_limb *m, size_t h, msfl_work *w) {
    msfl_limb *mark = w->at;
    msfl_limb *r = msfl_work_take(w, h);
    msfl_limbs_mod(r, a, h, m, h, w);
    if (negative) msfl_limbs_sub(r, m, r, h);
    bool there = msfl_limbs_invert(inverse, r, m, h, w);
    MSFL_DECLASSIFY(&there, sizeof there); /* true of every key */
    w->at = mark;
    return there;
}

/** Everything that follows from p and q, which make a pair. */
static msfl_status secret_complete(uint32_t bits, msfl_paillier_secret *key, msfl_work *w) {
    const size_t limbs = msfl_paillier_limbs(bits), h = limbs / 2;
    msfl_limb *mark = w->at;
    msfl_limb *n = msfl_work_take(w, limbs);
    msfl_limbs_mul(n, key->p, key->q, h, w);
    MSFL_DECLASSIFY(n, limbs * sizeof *n); /* the public key */
    msfl_limbs_mul(key->p2, key->p, key->p, h, w);
    msfl_limbs_mul(key->q2, key->q, key->q, h, w);
    msfl_status status = MSFL_OK;
    if (!invert(key->hp, true, key->q, key->p, h, w) || !invert(key->hq, true, key->p, key->q, h, w) ||
        !invert(key->p_inverse, false, key->p, key->q, h, w)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "Paillier key: the two primes are one");
    }
    if (status == MSFL_OK) status = msfl_paillier_public_new(bits, n, &key->public);
    w->at = mark;
    return status;
}

msfl_status msfl_paillier_keygen(uint32_t key_bits, msfl_paillier_secret **out) {
    *out = NULL;
    const size_t limbs = msfl_paillier_limbs(key_bits);
    if (limbs == 0) {
        return msfl_fail(MSFL_ERR_USAGE, "Paillier key: %u bits are not on offer; use 2048 or 3072", key_bits);
    }
    msfl_paillier_secret *key = NULL;
    msfl_work w = {0};
    msfl_small_primes primes;
    msfl_status status = msfl_small_primes_new(&primes);
    if (status != MSFL_OK) return status;
    status = msfl_work_init(&w, 8 * limbs);
    if (status == MSFL_OK) status = secret_alloc(limbs, &key);
    if (status != MSFL_OK) goto done;
    msfl_paillier_prime(&primes, key->p, limbs / 2, &w);
    do {
        msfl_paillier_prime(&primes, key->q, limbs / 2, &w);
    } while (!msfl_paillier_pair(key->p, key->q, limbs / 2, &w));
    status = secret_complete(key_bits, key, &w);
    if (status != MSFL_OK) goto done;
    *out = key;
    key = NULL;
done:
    msfl_free(primes.primes);
    msfl_work_clear(&w);
    msfl_paillier_secret_free(key);
    return status;
}

const msfl_paillier_public *msfl_paillier_public_borrow(const msfl_paillier_secret *key) {
    return key->public;
}

uint32_t msfl_paillier_key_bits(const msfl_paillier_public *key) {
    return key->bits;
}

const uint8_t *msfl_paillier_key_id(const msfl_paillier_public *key) {
    return key->id;
}

/* --- bytes: magic, version, bits, the number(s), key id --- */

static uint8_t *write_head(uint8_t *out, const char magic[4], uint32_t bits) {
    memcpy(out, magic, 4);
    msfl_store32(out + 4, VERSION);
    msfl_store32(out + 8, bits);
    return out + 12;
}

size_t msfl_paillier_public_bytes(const msfl_paillier_public *key) {
    return FRAME + key->bits / 8;
}

void msfl_paillier_public_write(const msfl_paillier_public *key, uint8_t *out) {
    uint8_t *at = write_head(out, public_magic, key->bits);
    msfl_limbs_write(at, key->n, key->limbs);
    memcpy(at + key->bits / 8, key->id, sizeof key->id);
}

size_t msfl_paillier_secret_bytes(const msfl_paillier_secret *key) {
    return FRAME + key->public->bits / 8;
}

void msfl_paillier_secret_write(const msfl_paillier_secret *key, uint8_t *out) {
    const size_t h = key->public->limbs / 2;
    uint8_t *at = write_head(out, secret_magic, key->public->bits);
    msfl_limbs_write(at, key->p, h);
    msfl_limbs_write(at + 8 * h, key->q, h);
    memcpy(at + 16 * h, key->public->id, sizeof key->public->id);
}

/** The frame around the numbers, which `*numbers` points to. */
static msfl_status read_frame(const uint8_t *bytes, size_t length, const char magic[4], uint32_t *bits,
                              const uint8_t **numbers, const uint8_t **id) {
    const char *what = magic == secret_magic ? "secret" : "public";
    msfl_reader r = msfl_reader_init(bytes, length);
    const uint8_t *found = msfl_get_bytes(&r, 4);
    uint32_t version = msfl_get32(&r);
    *bits = msfl_get32(&r);
    const char *other = magic == secret_magic ? public_magic : secret_magic;
    if (found != NULL && memcmp(found, other, 4) == 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "Paillier key: a %s key is needed here, and this is a %s one", what,
                         magic == secret_magic ? "public" : "secret");
    }
    if (r.failed || memcmp(found, magic, 4) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "Paillier key: these bytes are no %s key", what);
    }
    if (version != VERSION) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "Paillier key: format version %u; this program reads version %d",
                         version, VERSION);
    }
    if (msfl_paillier_limbs(*bits) == 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "Paillier key: %u bits; 2048 or 3072 are possible", *bits);
    }
    *numbers = msfl_get_bytes(&r, *bits / 8);
    *id = msfl_get_bytes(&r, MSFL_HASH_BYTES);
    if (r.failed || msfl_reader_left(&r) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "Paillier key: %zu bytes, a %s key of %u bits has %u", length, what, *bits,
                         FRAME + *bits / 8);
    }
    return MSFL_OK;
}

static msfl_status check_id(const msfl_paillier_public *key, const uint8_t *id) {
    if (msfl_equal(key->id, id, MSFL_HASH_BYTES)) return MSFL_OK;
    return msfl_fail(MSFL_ERR_FORMAT, "Paillier key: damaged, the key id does not belong to the numbers");
}

msfl_status msfl_paillier_public_read(const uint8_t *bytes, size_t length, msfl_paillier_public **out) {
    *out = NULL;
    uint32_t bits = 0;
    const uint8_t *numbers = NULL, *id = NULL;
    msfl_status status = read_frame(bytes, length, public_magic, &bits, &numbers, &id);
    if (status != MSFL_OK) return status;
    msfl_limb n[MSFL_LIMBS_MAX / 2];
    msfl_limbs_read(n, msfl_paillier_limbs(bits), numbers, bits / 8);
    msfl_paillier_public *key;
    status = msfl_paillier_public_new(bits, n, &key);
    if (status != MSFL_OK) return status;
    status = check_id(key, id);
    if (status != MSFL_OK) {
        msfl_paillier_public_free(key);
        return status;
    }
    *out = key;
    return MSFL_OK;
}

msfl_status msfl_paillier_secret_read(const uint8_t *bytes, size_t length, msfl_paillier_secret **out) {
    *out = NULL;
    uint32_t bits = 0;
    const uint8_t *numbers = NULL, *id = NULL;
    msfl_status status = read_frame(bytes, length, secret_magic, &bits, &numbers, &id);
    if (status != MSFL_OK) return status;
    const size_t limbs = msfl_paillier_limbs(bits), h = limbs / 2;
    msfl_paillier_secret *key = NULL;
    msfl_work w = {0};
    status = msfl_work_init(&w, 8 * limbs);
    if (status == MSFL_OK) status = secret_alloc(limbs, &key);
    if (status != MSFL_OK) goto done;
    msfl_limbs_read(key->p, h, numbers, 8 * h);
    msfl_limbs_read(key->q, h, numbers + 8 * h, 8 * h);
    if (!msfl_paillier_pair(key->p, key->q, h, &w) || !msfl_paillier_is_prime(key->p, h, READ_ROUNDS, &w) ||
        !msfl_paillier_is_prime(key->q, h, READ_ROUNDS, &w)) {
        status =
            msfl_fail(MSFL_ERR_FORMAT, "Paillier key: damaged, the secret numbers are not two primes that make a key");
        goto done;
    }
    status = secret_complete(bits, key, &w);
    if (status == MSFL_OK) status = check_id(key->public, id);
    if (status != MSFL_OK) goto done;
    *out = key;
    key = NULL;
done:
    msfl_work_clear(&w);
    msfl_paillier_secret_free(key);
    return status;
}
