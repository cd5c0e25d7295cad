/* Keys that serve many sessions, and chunks under a key pair. */
#include "base/error.h"
#include "base/mem.h"
#include "scheme/table.h"

#include <string.h>

static const char *const part_names[] = {"", "public facts", "public key", "secret key"};

static msfl_status wrap(const msfl_setup *setup, void *inner, msfl_keys **out) {
    msfl_keys *keys = msfl_alloc(1, sizeof *keys);
    if (keys == NULL) {
        if (inner != NULL) setup->scheme->keys_free(inner);
        return MSFL_NO_MEMORY;
    }
    *keys = (msfl_keys){setup, inner};
    *out = keys;
    return MSFL_OK;
}

msfl_status msfl_keys_new(const msfl_setup *setup, msfl_keys **out) {
    *out = NULL;
    void *inner = NULL;
    if (setup->scheme->keys_new != NULL) {
        msfl_status status = setup->scheme->keys_new(setup->inner, &inner);
        if (status != MSFL_OK) return msfl_fail_in(status, "scheme %s", setup->scheme->name);
    }
    return wrap(setup, inner, out);
}

void msfl_keys_free(msfl_keys *keys) {
    if (keys == NULL) return;
    if (keys->inner != NULL) keys->setup->scheme->keys_free(keys->inner);
    msfl_free(keys);
}

static bool has_pair(const msfl_keys *keys) {
    return (keys->setup->scheme->traits & MSFL_SCHEME_KEY_PAIR) != 0;
}

void msfl_keys_id(const msfl_keys *keys, uint8_t out[MSFL_KEY_ID_BYTES]) {
    memset(out, 0, MSFL_KEY_ID_BYTES);
    if (has_pair(keys)) keys->setup->scheme->pair->id(keys->inner, out);
}

bool msfl_keys_has(const msfl_keys *keys, msfl_key_part part) {
    if (!has_pair(keys) || part < MSFL_KEY_ADDER || part > MSFL_KEY_SECRET) return false;
    return part == MSFL_KEY_ADDER || keys->setup->scheme->pair->has(keys->inner, part);
}

size_t msfl_keys_bytes(const msfl_keys *keys, msfl_key_part part) {
    if (!msfl_keys_has(keys, part)) return 0;
    return keys->setup->scheme->pair->part_bytes(keys->setup->inner, keys->inner, part);
}

/** ERR_USAGE unless the part is there. */
static msfl_status need(const msfl_keys *keys, msfl_key_part part) {
    if (msfl_keys_has(keys, part)) return MSFL_OK;
    const char *name = part >= MSFL_KEY_ADDER && part <= MSFL_KEY_SECRET ? part_names[part] : "unknown part";
    if (!has_pair(keys)) {
        return msfl_fail(MSFL_ERR_USAGE, "scheme %s has no key pair, so no %s", keys->setup->scheme->name, name);
    }
    return msfl_fail(MSFL_ERR_USAGE, "this takes the %s, and only the other part of the key pair is at hand", name);
}

msfl_status msfl_keys_write(const msfl_keys *keys, msfl_key_part part, uint8_t *out) {
    msfl_status status = need(keys, part);
    if (status != MSFL_OK) return status;
    keys->setup->scheme->pair->part_write(keys->setup->inner, keys->inner, part, out);
    return MSFL_OK;
}

msfl_status msfl_keys_read(const msfl_setup *setup, msfl_key_part part, const uint8_t *bytes, size_t length,
                           msfl_keys **out) {
    *out = NULL;
    const msfl_scheme *scheme = setup->scheme;
    if ((scheme->traits & MSFL_SCHEME_KEY_PAIR) == 0 || part < MSFL_KEY_ADDER || part > MSFL_KEY_SECRET) {
        return msfl_fail(MSFL_ERR_USAGE, "scheme %s: there is no such part of a key to read", scheme->name);
    }
    void *inner = NULL;
    msfl_status status = scheme->pair->part_read(setup->inner, part, bytes, length, &inner);
    if (status != MSFL_OK) return msfl_fail_in(status, "scheme %s, %s", scheme->name, part_names[part]);
    return wrap(setup, inner, out);
}

/* --- chunks --- */

/** The scheme has chunk operations and the chunk exists. */
static msfl_status expect_chunk(const msfl_keys *keys, uint64_t j) {
    const msfl_setup *setup = keys->setup;
    if (!has_pair(keys)) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "scheme %s has no key pair to work with single chunks",
                         setup->scheme->name);
    }
    if (j < setup->n_chunks) return MSFL_OK;
    return msfl_fail(MSFL_ERR_USAGE, "chunk %llu of a vector that has %llu", (unsigned long long)j,
                     (unsigned long long)setup->n_chunks);
}

static msfl_status expect_length(const msfl_keys *keys, uint64_t j, size_t length) {
    msfl_status status = expect_chunk(keys, j);
    if (status != MSFL_OK) return status;
    size_t expected = msfl_setup_chunk_bytes(keys->setup, j);
    if (length == expected) return MSFL_OK;
    return msfl_fail(MSFL_ERR_FORMAT,
                     "chunk %llu has %zu bytes and should have %zu: cut off, or made under other parameters",
                     (unsigned long long)j, length, expected);
}

msfl_status msfl_pair_encrypt(const msfl_keys *keys, const uint8_t label[MSFL_HASH_BYTES], uint64_t j,
                              const uint32_t *values, uint8_t *out) {
    msfl_status status = expect_chunk(keys, j);
    if (status == MSFL_OK) status = need(keys, MSFL_KEY_PUBLIC);
    if (status != MSFL_OK) return status;
    return keys->setup->scheme->pair->encrypt(keys->setup->inner, keys->inner, label, j, values, out);
}

msfl_status msfl_pair_check(const msfl_keys *keys, const uint8_t label[MSFL_HASH_BYTES], uint64_t j,
                            const uint8_t *bytes, size_t length, uint32_t *n_addends) {
    uint32_t addends = 0;
    msfl_status status = expect_length(keys, j, length);
    if (status == MSFL_OK) {
        status = keys->setup->scheme->pair->check(keys->setup->inner, keys->inner, label, j, bytes, length, &addends);
    }
    if (n_addends != NULL) *n_addends = status == MSFL_OK ? addends : 0;
    return status;
}

msfl_status msfl_pair_add(const msfl_keys *keys, const uint8_t label[MSFL_HASH_BYTES], uint64_t j, uint8_t *acc,
                          const uint8_t *chunk, size_t length) {
    msfl_status status = expect_length(keys, j, length);
    if (status != MSFL_OK) return status;
    return keys->setup->scheme->pair->add(keys->setup->inner, keys->inner, label, j, acc, chunk, length);
}

msfl_status msfl_pair_decrypt(const msfl_keys *keys, const uint8_t label[MSFL_HASH_BYTES], uint64_t j,
                              const uint8_t *bytes, size_t length, uint32_t *n_addends, uint64_t *totals) {
    uint32_t addends = 0;
    memset(totals, 0, msfl_setup_chunk_values(keys->setup, j) * sizeof *totals);
    msfl_status status = expect_length(keys, j, length);
    if (status == MSFL_OK) status = need(keys, MSFL_KEY_SECRET);
    if (status == MSFL_OK) {
        status = keys->setup->scheme->pair->decrypt(keys->setup->inner, keys->inner, label, j, bytes, length, &addends,
                                                    totals);
    }
    if (n_addends != NULL) *n_addends = status == MSFL_OK ? addends : 0;
    return status;
}
