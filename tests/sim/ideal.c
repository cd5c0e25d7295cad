/* Ideal cryptography for the simulation, put in place of the real one by the linker (--wrap): signatures and key
 * agreement are hashes of public values, which nobody in the simulated world computes for a key that is not theirs.
 * Randomness comes from the seed, secret memory is ordinary. Nothing of this is in the library: release builds have no
 * hook that a seed could enter by. With `sim_real_crypto` the real primitives run. */
#include "sim.h"

#include "base/mem.h"

bool sim_real_crypto;
static msfl_seeded randomness;

void sim_ideal_seed(uint64_t seed) {
    msfl_seeded_init(&randomness, seed, "sim.randomness", 0, 0, 0);
}

void __wrap_msfl_random_bytes(void *out, size_t length);
void __wrap_msfl_random_bytes(void *out, size_t length) {
    uint8_t *at = out;
    for (size_t i = 0; i < length; i++)
        at[i] = (uint8_t)msfl_seeded_u64(&randomness);
}

void *__wrap_msfl_secret_alloc(size_t size);
void *__wrap_msfl_secret_alloc(size_t size) {
    return msfl_alloc(size, 1);
}
void __wrap_msfl_secret_free(void *memory);
void __wrap_msfl_secret_free(void *memory) {
    msfl_free(memory);
}

static void mix(const char *label, const void *a, size_t a_length, const void *b, size_t b_length, uint8_t out[32]) {
    msfl_hash h;
    msfl_hash_init(&h, label);
    msfl_hash_add_field(&h, a, a_length);
    msfl_hash_add_field(&h, b, b_length);
    msfl_hash_final(&h, out);
}

void __real_msfl_sign_keypair(const uint8_t *seed, uint8_t *public_key, uint8_t *secret_key);
void __wrap_msfl_sign_keypair(const uint8_t *seed, uint8_t *public_key, uint8_t *secret_key);
void __wrap_msfl_sign_keypair(const uint8_t *seed, uint8_t *public_key, uint8_t *secret_key) {
    if (sim_real_crypto) {
        __real_msfl_sign_keypair(seed, public_key, secret_key);
        return;
    }
    mix("sim.sign.public", seed, 32, NULL, 0, public_key);
    memcpy(secret_key, seed, 32);
    memcpy(secret_key + 32, public_key, 32);
}

void __real_msfl_sign(const uint8_t *secret_key, const void *message, size_t length, uint8_t *signature);
void __wrap_msfl_sign(const uint8_t *secret_key, const void *message, size_t length, uint8_t *signature);
void __wrap_msfl_sign(const uint8_t *secret_key, const void *message, size_t length, uint8_t *signature) {
    if (sim_real_crypto) {
        __real_msfl_sign(secret_key, message, length, signature);
        return;
    }
    mix("sim.sign", secret_key + 32, 32, message, length, signature);
    mix("sim.sign.2", secret_key + 32, 32, message, length, signature + 32);
}

bool __real_msfl_sign_verify(const uint8_t *public_key, const void *message, size_t length, const uint8_t *signature);
bool __wrap_msfl_sign_verify(const uint8_t *public_key, const void *message, size_t length, const uint8_t *signature);
bool __wrap_msfl_sign_verify(const uint8_t *public_key, const void *message, size_t length, const uint8_t *signature) {
    if (sim_real_crypto) return __real_msfl_sign_verify(public_key, message, length, signature);
    uint8_t expected[64];
    mix("sim.sign", public_key, 32, message, length, expected);
    mix("sim.sign.2", public_key, 32, message, length, expected + 32);
    return memcmp(expected, signature, 64) == 0;
}

void __real_msfl_x25519_public(const uint8_t *secret, uint8_t *public_key);
void __wrap_msfl_x25519_public(const uint8_t *secret, uint8_t *public_key);
void __wrap_msfl_x25519_public(const uint8_t *secret, uint8_t *public_key) {
    if (sim_real_crypto) {
        __real_msfl_x25519_public(secret, public_key);
        return;
    }
    mix("sim.x25519.public", secret, 32, NULL, 0, public_key);
}

msfl_status __real_msfl_x25519(const uint8_t *secret, const uint8_t *public_key, uint8_t *shared);
msfl_status __wrap_msfl_x25519(const uint8_t *secret, const uint8_t *public_key, uint8_t *shared);
msfl_status __wrap_msfl_x25519(const uint8_t *secret, const uint8_t *public_key, uint8_t *shared) {
    if (sim_real_crypto) return __real_msfl_x25519(secret, public_key, shared);
    uint8_t mine[32];
    mix("sim.x25519.public", secret, 32, NULL, 0, mine);
    const bool first = memcmp(mine, public_key, 32) < 0;
    mix("sim.x25519", first ? mine : public_key, 32, first ? public_key : mine, 32, shared);
    return MSFL_OK;
}
