/* Relinearisation and Galois keys as objects, and their bytes: header (number 0, or how many rotations), parameters;
 * then one switching key, or for each rotation its element (8) and a switching key. */
#include "he/ckks.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"

#include <string.h>

enum { KEY_HEAD = MSFL_CKKS_KEY_HEAD };

uint64_t msfl_ckks_element(const msfl_ckks *ctx, uint32_t steps) {
    uint64_t element = 1;
    for (uint32_t i = 0; i < steps; i++)
        element = element * 5 % (2 * (uint64_t)ctx->ring.degree);
    return element;
}

static msfl_status check_special(const msfl_ckks *ctx) {
    if (ctx->params.n_special != 0) return MSFL_OK;
    return msfl_fail(MSFL_ERR_USAGE, "these parameters have no special prime: plan with depth or rotations");
}

static msfl_status check_length(size_t length, size_t expected) {
    if (length == expected) return MSFL_OK;
    return msfl_fail(MSFL_ERR_FORMAT, "a ckks switching key of %zu bytes, expected %zu", length, expected);
}

/* --- relinearisation --- */

void msfl_ckks_relin_free(msfl_ckks_relin *key) {
    if (key == NULL) return;
    msfl_ckks_switch_clear(&key->key);
    msfl_free(key);
}

msfl_status msfl_ckks_relin_new(const msfl_ckks *ctx, msfl_ckks_secret *secret, msfl_ckks_relin **out) {
    *out = NULL;
    msfl_status status = check_special(ctx);
    if (status != MSFL_OK) return status;
    msfl_ckks_relin *key = msfl_alloc(1, sizeof *key);
    if (key == NULL) return MSFL_ERR_MEMORY;
    memcpy(key->id, secret->base.id, sizeof key->id);
    status = msfl_ckks_switch_new(ctx, secret, 0, &key->key);
    if (status != MSFL_OK) {
        msfl_ckks_relin_free(key);
        return status;
    }
    *out = key;
    return MSFL_OK;
}

size_t msfl_ckks_relin_bytes(const msfl_ckks *ctx) {
    return KEY_HEAD + msfl_ckks_switch_bytes(ctx);
}

void msfl_ckks_relin_write(const msfl_ckks *ctx, const msfl_ckks_relin *key, uint8_t *out) {
    msfl_ckks_write_head(ctx, MSFL_RLWE_SWITCH, msfl_ckks_relin_bytes(ctx), key->id, 0, out);
    memcpy(out + KEY_HEAD, key->key.bytes, msfl_ckks_switch_bytes(ctx));
}

msfl_status msfl_ckks_relin_read(const msfl_ckks *ctx, const uint8_t *bytes, size_t length, msfl_ckks_relin **out) {
    *out = NULL;
    msfl_rlwe_header header;
    msfl_status status = check_special(ctx);
    if (status == MSFL_OK) status = msfl_ckks_check_head(ctx, MSFL_RLWE_SWITCH, bytes, length, &header);
    if (status != MSFL_OK) return status;
    if (header.number != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "a Galois key was given where a relinearisation key is needed");
    }
    status = check_length(length, msfl_ckks_relin_bytes(ctx));
    if (status != MSFL_OK) return status;
    msfl_ckks_relin *key = msfl_alloc(1, sizeof *key);
    if (key == NULL) return MSFL_ERR_MEMORY;
    memcpy(key->id, header.key_id, sizeof key->id);
    status = msfl_ckks_switch_read(ctx, bytes + KEY_HEAD, 0, &key->key);
    if (status != MSFL_OK) {
        msfl_ckks_relin_free(key);
        return status;
    }
    *out = key;
    return MSFL_OK;
}

/* --- rotations --- */

void msfl_ckks_galois_free(msfl_ckks_galois *key) {
    if (key == NULL) return;
    for (uint32_t i = 0; key->keys != NULL && i < key->count; i++)
        msfl_ckks_switch_clear(&key->keys[i]);
    msfl_free(key->keys);
    msfl_free(key);
}

static msfl_ckks_galois *galois_alloc(uint32_t count, const uint8_t *id) {
    msfl_ckks_galois *key = msfl_alloc(1, sizeof *key);
    if (key == NULL) return NULL;
    memcpy(key->id, id, sizeof key->id);
    key->count = count;
    key->keys = msfl_alloc(count, sizeof *key->keys);
    if (key->keys != NULL) return key;
    msfl_free(key);
    return NULL;
}

static msfl_status check_steps(const msfl_ckks *ctx, const uint32_t *steps, uint32_t n_steps) {
    if (n_steps > MSFL_CKKS_GALOIS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "%u rotations in one set of keys; up to %d are possible", n_steps,
                         MSFL_CKKS_GALOIS_MAX);
    }
    for (uint32_t i = 0; i < n_steps; i++) {
        bool twice = false;
        for (uint32_t k = 0; k < i; k++)
            twice |= steps[k] == steps[i];
        if (steps[i] < 1 || steps[i] >= ctx->embed.n || twice) {
            return msfl_fail(MSFL_ERR_USAGE, "a rotation by %u: 1 to %zu are possible, each once", steps[i],
                             ctx->embed.n - 1);
        }
    }
    return MSFL_OK;
}

msfl_status msfl_ckks_galois_new(const msfl_ckks *ctx, msfl_ckks_secret *secret, const uint32_t *steps,
                                 uint32_t n_steps, msfl_ckks_galois **out) {
    *out = NULL;
    msfl_status status = check_special(ctx);
    if (status == MSFL_OK) status = check_steps(ctx, steps, n_steps);
    if (status != MSFL_OK) return status;
    uint32_t count = n_steps == 0 ? ctx->embed.log_n : n_steps;
    msfl_ckks_galois *key = galois_alloc(count, secret->base.id);
    if (key == NULL) return MSFL_ERR_MEMORY;
    for (uint32_t i = 0; status == MSFL_OK && i < count; i++) {
        uint64_t element = msfl_ckks_element(ctx, n_steps == 0 ? (uint32_t)1 << i : steps[i]);
        status = msfl_ckks_switch_new(ctx, secret, element, &key->keys[i]);
    }
    if (status != MSFL_OK) {
        msfl_ckks_galois_free(key);
        return status;
    }
    *out = key;
    return MSFL_OK;
}

size_t msfl_ckks_galois_bytes(const msfl_ckks *ctx, const msfl_ckks_galois *key) {
    return KEY_HEAD + key->count * (8 + msfl_ckks_switch_bytes(ctx));
}

void msfl_ckks_galois_write(const msfl_ckks *ctx, const msfl_ckks_galois *key, uint8_t *out) {
    size_t bytes = msfl_ckks_switch_bytes(ctx);
    msfl_ckks_write_head(ctx, MSFL_RLWE_SWITCH, msfl_ckks_galois_bytes(ctx, key), key->id, key->count, out);
    out += KEY_HEAD;
    for (uint32_t i = 0; i < key->count; i++, out += 8 + bytes) {
        msfl_store64(out, key->keys[i].element);
        memcpy(out + 8, key->keys[i].bytes, bytes);
    }
}

/** The rotations are the powers of 5 modulo 2 N: all that are 1 modulo 4. One by nothing is none. */
static msfl_status check_element(const msfl_ckks *ctx, const msfl_ckks_galois *key, uint32_t i, uint64_t element) {
    bool good = element % 4 == 1 && element > 1 && element < 2 * (uint64_t)ctx->ring.degree;
    for (uint32_t k = 0; k < i; k++)
        good &= key->keys[k].element != element;
    if (good) return MSFL_OK;
    return msfl_fail(MSFL_ERR_FORMAT, "a Galois key of element %llu: none of a rotation, or there twice",
                     (unsigned long long)element);
}

msfl_status msfl_ckks_galois_read(const msfl_ckks *ctx, const uint8_t *bytes, size_t length, msfl_ckks_galois **out) {
    *out = NULL;
    msfl_rlwe_header header;
    msfl_status status = check_special(ctx);
    if (status == MSFL_OK) status = msfl_ckks_check_head(ctx, MSFL_RLWE_SWITCH, bytes, length, &header);
    if (status != MSFL_OK) return status;
    if (header.number == 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "a relinearisation key was given where a Galois key is needed");
    }
    if (header.number > MSFL_CKKS_GALOIS_MAX) {
        return msfl_fail(MSFL_ERR_FORMAT, "a set of %llu Galois keys", (unsigned long long)header.number);
    }
    uint32_t count = (uint32_t)header.number;
    size_t each = 8 + msfl_ckks_switch_bytes(ctx);
    status = check_length(length, KEY_HEAD + count * each);
    if (status != MSFL_OK) return status;
    msfl_ckks_galois *key = galois_alloc(count, header.key_id);
    if (key == NULL) return MSFL_ERR_MEMORY;
    bytes += KEY_HEAD;
    for (uint32_t i = 0; status == MSFL_OK && i < count; i++, bytes += each) {
        uint64_t element = msfl_load64(bytes);
        status = check_element(ctx, key, i, element);
        if (status == MSFL_OK) status = msfl_ckks_switch_read(ctx, bytes + 8, element, &key->keys[i]);
    }
    if (status != MSFL_OK) {
        msfl_ckks_galois_free(key);
        return status;
    }
    *out = key;
    return MSFL_OK;
}
