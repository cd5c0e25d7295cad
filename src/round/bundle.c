#include "round/bundle.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/sodium.h"
#include "base/taint.h"
#include "he/security.h"

#include <assert.h>
#include <inttypes.h>

enum {
    HEADER_BYTES = 80,
    COEFFICIENT_BITS = 7, /* s + 41 is 0 to 82 */
    GROUP = 8             /* coefficients that fill whole bytes: 7 of them */
};
#define MAGIC   0x4242534du /* "MSBB" */
#define VERSION 1u

_Static_assert(2 * MSFL_KEY_MAX < 1 << COEFFICIENT_BITS, "a coefficient must fit");
_Static_assert((int)MSFL_PUBLIC_KEY_BYTES == (int)MSFL_BOX_PUBLIC_BYTES, "one kind of public key");

size_t msfl_bundle_plain_bytes(uint32_t ring_degree) {
    return HEADER_BYTES + (size_t)ring_degree / GROUP * COEFFICIENT_BITS;
}

size_t msfl_round_bundle_bytes(const msfl_params *params) {
    return msfl_bundle_plain_bytes(params->ring_degree) + MSFL_BOX_SEAL_BYTES;
}

static void pack_group(const int32_t *key, uint8_t *out) {
    uint64_t bits = 0;
    for (int i = 0; i < GROUP; i++) {
        assert(key[i] >= -MSFL_KEY_MAX && key[i] <= MSFL_KEY_MAX);
        bits |= (uint64_t)(uint32_t)(key[i] + MSFL_KEY_MAX) << (COEFFICIENT_BITS * i);
    }
    for (int i = 0; i < COEFFICIENT_BITS; i++)
        out[i] = (uint8_t)(bits >> (8 * i));
}

static uint64_t load_group(const uint8_t *in) {
    uint64_t bits = 0;
    for (int i = 0; i < COEFFICIENT_BITS; i++)
        bits |= (uint64_t)in[i] << (8 * i);
    return bits;
}

static int32_t coefficient(uint64_t bits, int i) {
    return (int32_t)(bits >> (COEFFICIENT_BITS * i) & ((1u << COEFFICIENT_BITS) - 1)) - MSFL_KEY_MAX;
}

msfl_status msfl_bundle_seal(const msfl_bundle_binding *binding, const int32_t *key,
                             const uint8_t public_key[MSFL_PUBLIC_KEY_BYTES], uint8_t *box) {
    const size_t length = msfl_bundle_plain_bytes(binding->ring_degree);
    memset(box, 0, length + MSFL_BOX_SEAL_BYTES);
    uint8_t *plain = msfl_secret_alloc(length);
    if (plain == NULL) return MSFL_ERR_MEMORY;
    msfl_store32(plain, MAGIC);
    msfl_store32(plain + 4, VERSION);
    msfl_store32(plain + 8, binding->ring_degree);
    msfl_store32(plain + 12, binding->client);
    memcpy(plain + 16, binding->round_id, MSFL_HASH_BYTES);
    memcpy(plain + 48, binding->ciphertext_hash, MSFL_HASH_BYTES);
    for (uint32_t g = 0; g < binding->ring_degree / GROUP; g++)
        pack_group(key + (size_t)GROUP * g, plain + HEADER_BYTES + (size_t)COEFFICIENT_BITS * g);
    msfl_status status = msfl_box_seal(public_key, plain, length, box);
    msfl_secret_free(plain);
    if (status != MSFL_OK) memset(box, 0, length + MSFL_BOX_SEAL_BYTES);
    return status;
}

msfl_status msfl_bundle_add(const msfl_bundle_binding *binding, const uint8_t *plain, size_t length, int32_t *sum) {
    if (length != msfl_bundle_plain_bytes(binding->ring_degree)) {
        return msfl_fail(MSFL_ERR_CRYPTO, "key bundle: %zu bytes instead of %zu", length,
                         msfl_bundle_plain_bytes(binding->ring_degree));
    }
    MSFL_DECLASSIFY(plain, HEADER_BYTES); /* what the bundle is bound to is public, and refused on */
    msfl_reader r = msfl_reader_init(plain, length);
    uint32_t magic = msfl_get32(&r), version = msfl_get32(&r), degree = msfl_get32(&r), client = msfl_get32(&r);
    const uint8_t *round_id = msfl_get_bytes(&r, MSFL_HASH_BYTES);
    const uint8_t *hash = msfl_get_bytes(&r, MSFL_HASH_BYTES);
    const uint8_t *packed = r.at;
    if (r.failed || magic != MAGIC || version != VERSION) {
        return msfl_fail(MSFL_ERR_CRYPTO, "key bundle: not one of this version");
    }
    if (degree != binding->ring_degree) {
        return msfl_fail(MSFL_ERR_CRYPTO, "key bundle: made for other parameters");
    }
    if (!msfl_equal(round_id, binding->round_id, MSFL_HASH_BYTES)) {
        return msfl_fail(MSFL_ERR_CRYPTO, "key bundle: made for another round");
    }
    if (client != binding->client) {
        return msfl_fail(MSFL_ERR_CRYPTO, "key bundle: made by client %" PRIu32, client);
    }
    if (!msfl_equal(hash, binding->ciphertext_hash, MSFL_HASH_BYTES)) {
        return msfl_fail(MSFL_ERR_CRYPTO, "key bundle: made for another ciphertext");
    }
    uint32_t beyond = 0; /* top bit set by a coefficient above 41; below -41 cannot be written */
    for (uint32_t g = 0; g < degree / GROUP; g++) {
        uint64_t bits = load_group(packed + (size_t)COEFFICIENT_BITS * g);
        for (int i = 0; i < GROUP; i++)
            beyond |= (uint32_t)(MSFL_KEY_MAX - coefficient(bits, i));
    }
    beyond >>= 31;
    MSFL_DECLASSIFY(&beyond, sizeof beyond); /* the refusal */
    if (beyond != 0) return msfl_fail(MSFL_ERR_CRYPTO, "key bundle: a coefficient is beyond %d", MSFL_KEY_MAX);
    for (uint32_t g = 0; g < degree / GROUP; g++) {
        uint64_t bits = load_group(packed + (size_t)COEFFICIENT_BITS * g);
        for (int i = 0; i < GROUP; i++)
            sum[(size_t)GROUP * g + (size_t)i] += coefficient(bits, i);
    }
    return MSFL_OK;
}
