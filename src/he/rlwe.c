#include "he/rlwe.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "ring/prime.h"

#include <assert.h>

msfl_status msfl_rlwe_init(msfl_rlwe *r, const char *scheme, uint32_t degree, const uint64_t *primes, uint32_t n_primes,
                           const uint8_t *params, size_t params_bytes) {
    *r = (msfl_rlwe){.scheme = scheme, .degree = degree, .n_primes = n_primes};
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK) status = msfl_kernel_choose(&r->kernel);
    for (uint32_t i = 0; status == MSFL_OK && i < n_primes; i++)
        status = msfl_modulus_init(&r->moduli[i], r->kernel, primes[i], degree);
    if (status == MSFL_OK) {
        r->zeros = msfl_alloc(degree, sizeof *r->zeros);
        if (r->zeros == NULL) status = MSFL_ERR_MEMORY;
    }
    if (status != MSFL_OK) {
        msfl_rlwe_clear(r);
        return status;
    }
    uint8_t digest[MSFL_HASH_BYTES];
    msfl_hash h;
    msfl_hash_init(&h, "msfl.rlwe.params.v1");
    msfl_hash_add_field(&h, scheme, strlen(scheme));
    msfl_hash_add_field(&h, params, params_bytes);
    msfl_hash_final(&h, digest);
    memcpy(r->fingerprint, digest, sizeof r->fingerprint);
    return MSFL_OK;
}

void msfl_rlwe_clear(msfl_rlwe *r) {
    for (uint32_t i = 0; i < r->n_primes; i++)
        msfl_modulus_clear(&r->moduli[i]);
    msfl_free(r->zeros);
    memset(r, 0, sizeof *r);
}

uint32_t msfl_rlwe_primes(uint32_t degree, uint32_t bits, uint64_t primes[MSFL_MODULI_MAX]) {
    uint32_t n = (bits + MSFL_PRIME_BITS_MAX - 1) / MSFL_PRIME_BITS_MAX;
    if (n < 1 || n > MSFL_MODULI_MAX) return 0;
    uint32_t width = bits / n, wider = bits % n; /* so many are of width + 1 */
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = i < wider ? width + 1 : width;
        uint64_t bound = (uint64_t)1 << k;
        if (i > 0 && primes[i - 1] < bound) bound = primes[i - 1];
        primes[i] = msfl_prime_below(bound, ((uint64_t)1 << (k - 1)) + 1, degree);
        if (primes[i] == 0) return 0;
    }
    return n;
}

/* --- planes --- */

size_t msfl_rlwe_planes_bytes(const msfl_rlwe *r, uint32_t count, size_t n) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += msfl_packed_bytes(&r->moduli[i], n);
    return bytes;
}

void msfl_rlwe_unpack(const msfl_rlwe *r, uint32_t prime, msfl_cell *x, const uint8_t *bytes, uint64_t factor,
                      size_t n) {
    memset(x, 0, n * sizeof *x);
    r->kernel->subtract_from(&r->moduli[prime], x, bytes, factor, n);
}

void msfl_rlwe_pack(const msfl_rlwe *r, uint32_t prime, uint8_t *bytes, const msfl_cell *x, size_t n) {
    r->kernel->add_pack(&r->moduli[prime], bytes, x, r->zeros, n);
}

/* (0 - x) (p - factor) = factor x */
void msfl_rlwe_scale(const msfl_rlwe *r, uint32_t prime, msfl_cell *x, uint64_t factor) {
    const msfl_modulus *m = &r->moduli[prime];
    assert(factor > 0 && factor < m->m.p);
    r->kernel->subtract_from(m, x, (const uint8_t *)r->zeros, m->m.p - factor, r->degree);
}

void msfl_rlwe_transform(const msfl_rlwe *r, uint32_t prime, msfl_cell *x, const int32_t *small) {
    r->kernel->import_signed(&r->moduli[prime], x, small, r->degree);
    r->kernel->forward(&r->moduli[prime], x);
}

/* --- streams --- */

static void derive(const msfl_rlwe *r, const char *purpose, const uint8_t *seed, uint64_t number,
                   uint8_t key[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.rlwe.stream.v1");
    msfl_hash_add_field(&h, r->scheme, strlen(r->scheme));
    msfl_hash_add_field(&h, purpose, strlen(purpose));
    msfl_hash_add(&h, r->fingerprint, sizeof r->fingerprint);
    msfl_hash_add(&h, seed, MSFL_RLWE_SEED_BYTES);
    msfl_hash_add_u64(&h, number);
    msfl_hash_final(&h, key);
    msfl_hash_clear(&h);
}

msfl_status msfl_rlwe_start_secret(const msfl_rlwe *r, msfl_aes *aes, const uint8_t *seed, const char *purpose,
                                   uint64_t number) {
    uint8_t key[MSFL_HASH_BYTES], iv[MSFL_AES_BLOCK] = {0};
    derive(r, purpose, seed, number, key);
    msfl_status status = msfl_aes_start(aes, key, sizeof key, iv);
    msfl_wipe(key, sizeof key);
    return status;
}

void msfl_rlwe_public_key(const msfl_rlwe *r, const uint8_t *seed, uint8_t key[16]) {
    uint8_t digest[MSFL_HASH_BYTES];
    derive(r, "a", seed, 0, digest);
    memcpy(key, digest, 16);
}

msfl_status msfl_rlwe_start_public(msfl_aes *aes, const uint8_t key[16], uint32_t number) {
    uint8_t iv[MSFL_AES_BLOCK] = {0};
    msfl_store32(iv, number);
    return msfl_aes_start(aes, key, 16, iv);
}
