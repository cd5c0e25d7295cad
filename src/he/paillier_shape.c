/* How a vector is laid out in Paillier ciphertexts, and the header that every chunk starts with. */
#include "base/bytes.h"
#include "base/error.h"
#include "he/paillier.h"
#include "he/security.h"

#include <inttypes.h>

static const char chunk_magic[4] = {'M', 'S', 'P', 'C'};
enum { VERSION = 1, ADDENDS_AT = 104 };

static msfl_status check_ranges(uint32_t key_bits, uint32_t n_clients, uint32_t value_bits, uint64_t n_values) {
    static const uint64_t n_values_max = UINT64_C(1) << 34;
    if (msfl_paillier_limbs(key_bits) == 0) {
        return msfl_fail(MSFL_ERR_USAGE, "Paillier: keys of %" PRIu32 " bits are not on offer; use 2048 or 3072",
                         key_bits);
    }
    if (n_clients < 1 || n_clients > MSFL_CLIENTS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "Paillier: sums over %" PRIu32 " clients; use 1 to %d", n_clients,
                         MSFL_CLIENTS_MAX);
    }
    if (value_bits < MSFL_VALUE_BITS_MIN || value_bits > MSFL_VALUE_BITS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "Paillier: values of %" PRIu32 " bits; use %d to %d", value_bits,
                         MSFL_VALUE_BITS_MIN, MSFL_VALUE_BITS_MAX);
    }
    if (n_values < 1 || n_values > n_values_max) {
        return msfl_fail(MSFL_ERR_USAGE, "Paillier: %" PRIu64 " values in an update; use 1 to %" PRIu64, n_values,
                         n_values_max);
    }
    return MSFL_OK;
}

/* Plaintexts stay below 2^(key_bits - 1) <= n. */
static uint32_t slots_max(uint32_t key_bits, uint32_t slot_bits) {
    return (key_bits - 1) / slot_bits;
}

msfl_status msfl_paillier_plan(uint32_t key_bits, uint32_t n_clients, uint32_t value_bits, uint64_t n_values,
                               uint32_t slots, msfl_paillier_shape *out) {
    msfl_status status = check_ranges(key_bits, n_clients, value_bits, n_values);
    if (status != MSFL_OK) return status;
    const uint32_t slot_bits = msfl_slot_bits(n_clients, value_bits), fit = slots_max(key_bits, slot_bits);
    if (slots > fit) {
        return msfl_fail(MSFL_ERR_PARAMS,
                         "Paillier: %" PRIu32 " slots of %" PRIu32 " bits (%" PRIu32 " clients, values of %" PRIu32
                         " bits) do not fit a key of %" PRIu32 " bits; %" PRIu32 " do",
                         slots, slot_bits, n_clients, value_bits, key_bits, fit);
    }
    *out = (msfl_paillier_shape){key_bits, n_clients, value_bits, slot_bits, slots == 0 ? fit : slots, n_values};
    return MSFL_OK;
}

/* ERR_USAGE unless the shape is one that msfl_paillier_plan makes. */
static msfl_status check_shape(const msfl_paillier_shape *shape) {
    msfl_status status = check_ranges(shape->key_bits, shape->n_clients, shape->value_bits, shape->n_values);
    if (status != MSFL_OK) return status;
    if (shape->slot_bits != msfl_slot_bits(shape->n_clients, shape->value_bits) || shape->slots_per_ciphertext < 1 ||
        shape->slots_per_ciphertext > slots_max(shape->key_bits, shape->slot_bits)) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "Paillier: %" PRIu32 " slots of %" PRIu32 " bits are no layout for %" PRIu32
                         " clients and values of %" PRIu32 " bits",
                         shape->slots_per_ciphertext, shape->slot_bits, shape->n_clients, shape->value_bits);
    }
    return MSFL_OK;
}

static uint64_t chunk_slots(const msfl_paillier_shape *shape) {
    return (uint64_t)shape->slots_per_ciphertext * MSFL_PAILLIER_CHUNK;
}

uint64_t msfl_paillier_chunks(const msfl_paillier_shape *shape) {
    if (shape->slots_per_ciphertext == 0) return 0;
    return (shape->n_values + chunk_slots(shape) - 1) / chunk_slots(shape);
}

uint32_t msfl_paillier_chunk_values(const msfl_paillier_shape *shape, uint64_t j) {
    if (j >= msfl_paillier_chunks(shape)) return 0;
    uint64_t left = shape->n_values - j * chunk_slots(shape);
    return (uint32_t)(left < chunk_slots(shape) ? left : chunk_slots(shape));
}

uint32_t msfl_paillier_chunk_ciphertexts(const msfl_paillier_shape *shape, uint64_t j) {
    uint32_t values = msfl_paillier_chunk_values(shape, j);
    return values == 0 ? 0 : (values + shape->slots_per_ciphertext - 1) / shape->slots_per_ciphertext;
}

uint32_t msfl_paillier_slots_in(const msfl_paillier_shape *shape, uint64_t j, uint32_t i) {
    uint32_t left = msfl_paillier_chunk_values(shape, j) - i * shape->slots_per_ciphertext;
    return left < shape->slots_per_ciphertext ? left : shape->slots_per_ciphertext;
}

size_t msfl_paillier_chunk_bytes(const msfl_paillier_shape *shape, uint64_t j) {
    uint32_t n = msfl_paillier_chunk_ciphertexts(shape, j);
    return n == 0 ? 0 : MSFL_PAILLIER_HEADER_BYTES + (size_t)n * (shape->key_bits / 4);
}

msfl_status msfl_paillier_shape_for(const msfl_paillier_public *key, const msfl_paillier_shape *shape, uint64_t j) {
    msfl_status status = check_shape(shape);
    if (status != MSFL_OK) return status;
    if (shape->key_bits != key->bits) {
        return msfl_fail(MSFL_ERR_MISMATCH, "Paillier: a layout for keys of %" PRIu32 " bits, and a key of %" PRIu32,
                         shape->key_bits, key->bits);
    }
    if (j >= msfl_paillier_chunks(shape)) {
        return msfl_fail(MSFL_ERR_USAGE, "Paillier: chunk %" PRIu64 " of an update that has %" PRIu64, j,
                         msfl_paillier_chunks(shape));
    }
    return MSFL_OK;
}

void msfl_paillier_header_write(const msfl_paillier_public *key, const msfl_paillier_shape *shape,
                                const uint8_t label[MSFL_HASH_BYTES], uint64_t j, uint8_t *out) {
    memcpy(out, chunk_magic, 4);
    msfl_store32(out + 4, VERSION);
    memcpy(out + 8, key->id, MSFL_HASH_BYTES);
    memcpy(out + 40, label, MSFL_HASH_BYTES);
    msfl_store32(out + 72, shape->n_clients);
    msfl_store32(out + 76, shape->value_bits);
    msfl_store32(out + 80, shape->slot_bits);
    msfl_store32(out + 84, shape->slots_per_ciphertext);
    msfl_store64(out + 88, shape->n_values);
    msfl_store64(out + 96, j);
    msfl_paillier_header_count(out, 1);
    msfl_store32(out + 108, msfl_paillier_chunk_ciphertexts(shape, j));
}

void msfl_paillier_header_count(uint8_t *header, uint32_t n_addends) {
    msfl_store32(header + ADDENDS_AT, n_addends);
}

msfl_status msfl_paillier_header_check(const msfl_paillier_public *key, const msfl_paillier_shape *shape,
                                       const uint8_t label[MSFL_HASH_BYTES], uint64_t j, const uint8_t *bytes,
                                       size_t length, uint32_t *n_addends) {
    uint8_t expected[MSFL_PAILLIER_HEADER_BYTES];
    if (length < sizeof expected || memcmp(bytes, chunk_magic, 4) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "Paillier: these %zu bytes are no chunk of ciphertext", length);
    }
    if (msfl_load32(bytes + 4) != VERSION) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "Paillier: ciphertext of format version %" PRIu32 "; this is version %d",
                         msfl_load32(bytes + 4), VERSION);
    }
    msfl_paillier_header_write(key, shape, label, j, expected);
    static const struct {
        size_t from, to;
        const char *what;
    } parts[] = {{8, 40, "made under another key"},
                 {40, 72, "made for another label (round)"},
                 {72, 96, "laid out otherwise (clients, bits, slots or number of values)"},
                 {96, 104, "another chunk of the update"}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (memcmp(bytes + parts[i].from, expected + parts[i].from, parts[i].to - parts[i].from) != 0) {
            return msfl_fail(MSFL_ERR_MISMATCH, "Paillier: chunk %" PRIu64 ": this ciphertext is %s", j, parts[i].what);
        }
    }
    uint32_t count = msfl_load32(bytes + ADDENDS_AT);
    if (memcmp(bytes + 108, expected + 108, 4) != 0 || length != msfl_paillier_chunk_bytes(shape, j) || count < 1 ||
        count > shape->n_clients) {
        return msfl_fail(MSFL_ERR_FORMAT,
                         "Paillier: chunk %" PRIu64 ": %zu bytes with %" PRIu32 " addends; %zu bytes and 1 to %" PRIu32
                         " addends are possible",
                         j, length, count, msfl_paillier_chunk_bytes(shape, j), shape->n_clients);
    }
    *n_addends = count;
    return MSFL_OK;
}
