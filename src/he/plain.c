#include "medsecurefl/plain.h"

#include "base/error.h"
#include "he/security.h"
#include "ring/bits.h"

#include <inttypes.h>

/* 4 magic, 4 version, 32 label, 4 clients, 4 value bits, 8 values, 8 chunk, 4 addends; then the values. */
static const char magic[4] = {'M', 'S', 'C', 'L'};
enum { VERSION = 1, HEADER = 68, ADDENDS_AT = 64 };

static bool in_range(const msfl_plain_shape *s) {
    return s->n_clients >= 1 && s->n_clients <= MSFL_CLIENTS_MAX && s->value_bits >= MSFL_VALUE_BITS_MIN &&
           s->value_bits <= MSFL_VALUE_BITS_MAX && s->n_values >= 1 && s->n_values <= UINT64_C(1) << 34;
}

uint64_t msfl_plain_chunks(const msfl_plain_shape *shape) {
    return in_range(shape) ? (shape->n_values + MSFL_PLAIN_CHUNK - 1) / MSFL_PLAIN_CHUNK : 0;
}

uint32_t msfl_plain_chunk_values(const msfl_plain_shape *shape, uint64_t j) {
    if (j >= msfl_plain_chunks(shape)) return 0;
    uint64_t left = shape->n_values - j * MSFL_PLAIN_CHUNK;
    return (uint32_t)(left < MSFL_PLAIN_CHUNK ? left : MSFL_PLAIN_CHUNK);
}

size_t msfl_plain_chunk_bytes(const msfl_plain_shape *shape, uint64_t j) {
    size_t n = msfl_plain_chunk_values(shape, j);
    return n == 0 ? 0 : HEADER + (n * msfl_slot_bits(shape->n_clients, shape->value_bits) + 7) / 8;
}

static msfl_status check_shape(const msfl_plain_shape *shape, uint64_t j) {
    if (j < msfl_plain_chunks(shape)) return MSFL_OK;
    return msfl_fail(MSFL_ERR_USAGE,
                     "plain: chunk %" PRIu64 " of %" PRIu64 " (%" PRIu64 " values of %" PRIu32 " bits, %" PRIu32
                     " clients)",
                     j, msfl_plain_chunks(shape), shape->n_values, shape->value_bits, shape->n_clients);
}

static void write_header(const msfl_plain_shape *shape, const uint8_t label[MSFL_HASH_BYTES], uint64_t j,
                         uint8_t out[HEADER]) {
    memcpy(out, magic, 4);
    msfl_store32(out + 4, VERSION);
    memcpy(out + 8, label, MSFL_HASH_BYTES);
    msfl_store32(out + 40, shape->n_clients);
    msfl_store32(out + 44, shape->value_bits);
    msfl_store64(out + 48, shape->n_values);
    msfl_store64(out + 56, j);
    msfl_store32(out + ADDENDS_AT, 1);
}

msfl_status msfl_plain_write(const msfl_plain_shape *shape, const uint8_t label[MSFL_HASH_BYTES], uint64_t j,
                             const uint32_t *values, uint8_t *out) {
    msfl_status status = check_shape(shape, j);
    if (status != MSFL_OK) return status;
    const uint32_t n = msfl_plain_chunk_values(shape, j), width = msfl_slot_bits(shape->n_clients, shape->value_bits);
    uint32_t seen = 0;
    for (uint32_t i = 0; i < n; i++)
        seen |= values[i];
    if (shape->value_bits < 32 && seen >> shape->value_bits != 0) {
        return msfl_fail(MSFL_ERR_NUMERIC, "plain: chunk %" PRIu64 " has a value of 2^%" PRIu32 " or more", j,
                         shape->value_bits);
    }
    write_header(shape, label, j, out);
    out += HEADER;
    for (uint32_t at = 0; at < n; at += MSFL_GROUP, out += width) {
        uint64_t group[MSFL_GROUP];
        uint32_t count = n - at < MSFL_GROUP ? n - at : MSFL_GROUP;
        for (uint32_t i = 0; i < count; i++)
            group[i] = values[at + i];
        msfl_bits_put(out, width, count, group);
    }
    return MSFL_OK;
}

/** Everything that can be wrong with a chunk. */
static msfl_status check(const msfl_plain_shape *shape, const uint8_t label[MSFL_HASH_BYTES], uint64_t j,
                         const uint8_t *bytes, size_t length, uint32_t *n_addends) {
    uint8_t expected[HEADER];
    if (length < HEADER || memcmp(bytes, magic, 4) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "plain: these %zu bytes are no plain chunk", length);
    }
    if (msfl_load32(bytes + 4) != VERSION) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "plain: format version %" PRIu32 "; this is version %d",
                         msfl_load32(bytes + 4), VERSION);
    }
    write_header(shape, label, j, expected);
    if (memcmp(bytes + 8, expected + 8, ADDENDS_AT - 8) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "plain: chunk %" PRIu64 ": this is of another label, shape or position", j);
    }
    *n_addends = msfl_load32(bytes + ADDENDS_AT);
    if (length != msfl_plain_chunk_bytes(shape, j) || *n_addends < 1 || *n_addends > shape->n_clients) {
        return msfl_fail(MSFL_ERR_FORMAT, "plain: chunk %" PRIu64 ": %zu bytes with %" PRIu32 " addends", j, length,
                         *n_addends);
    }
    const uint32_t n = msfl_plain_chunk_values(shape, j), width = msfl_slot_bits(shape->n_clients, shape->value_bits);
    const uint64_t most = *n_addends * (((uint64_t)1 << shape->value_bits) - 1);
    bool good = true;
    bytes += HEADER;
    for (uint32_t at = 0; at < n && good; at += MSFL_GROUP, bytes += width) {
        uint64_t group[MSFL_GROUP];
        uint32_t count = n - at < MSFL_GROUP ? n - at : MSFL_GROUP;
        good = msfl_bits_get(bytes, width, count, group);
        for (uint32_t i = 0; i < count; i++)
            good = good && group[i] <= most;
    }
    if (good) return MSFL_OK;
    return msfl_fail(MSFL_ERR_FORMAT, "plain: chunk %" PRIu64 " has a value that %" PRIu32 " addends cannot add up to",
                     j, *n_addends);
}

msfl_status msfl_plain_check(const msfl_plain_shape *shape, const uint8_t label[MSFL_HASH_BYTES], uint64_t j,
                             const uint8_t *bytes, size_t length, uint32_t *n_addends) {
    uint32_t addends = 0;
    msfl_status status = check_shape(shape, j);
    if (status == MSFL_OK) status = check(shape, label, j, bytes, length, &addends);
    if (n_addends != NULL) *n_addends = status == MSFL_OK ? addends : 0;
    return status;
}

msfl_status msfl_plain_add(const msfl_plain_shape *shape, const uint8_t label[MSFL_HASH_BYTES], uint64_t j,
                           uint8_t *acc, const uint8_t *chunk, size_t length) {
    uint32_t have = 0, more = 0;
    msfl_status status = check_shape(shape, j);
    if (status == MSFL_OK) status = check(shape, label, j, acc, length, &have);
    if (status == MSFL_OK) status = check(shape, label, j, chunk, length, &more);
    if (status != MSFL_OK) return status;
    if (have + more > shape->n_clients) {
        return msfl_fail(MSFL_ERR_LIMIT,
                         "plain: chunk %" PRIu64 ": %" PRIu32 " addends and %" PRIu32 " more, for %" PRIu32, j, have,
                         more, shape->n_clients);
    }
    const uint32_t n = msfl_plain_chunk_values(shape, j), width = msfl_slot_bits(shape->n_clients, shape->value_bits);
    msfl_store32(acc + ADDENDS_AT, have + more);
    acc += HEADER;
    chunk += HEADER;
    for (uint32_t at = 0; at < n; at += MSFL_GROUP, acc += width, chunk += width) {
        uint64_t a[MSFL_GROUP] = {0}, b[MSFL_GROUP] = {0};
        uint32_t count = n - at < MSFL_GROUP ? n - at : MSFL_GROUP;
        (void)msfl_bits_get(acc, width, count, a);
        (void)msfl_bits_get(chunk, width, count, b);
        for (uint32_t i = 0; i < count; i++)
            a[i] += b[i]; /* at most n_clients (2^b - 1) < 2^w */
        msfl_bits_put(acc, width, count, a);
    }
    return MSFL_OK;
}

msfl_status msfl_plain_read(const msfl_plain_shape *shape, const uint8_t label[MSFL_HASH_BYTES], uint64_t j,
                            const uint8_t *bytes, size_t length, uint32_t *n_addends, uint64_t *totals) {
    msfl_status status = check_shape(shape, j);
    if (status != MSFL_OK) return status;
    const uint32_t n = msfl_plain_chunk_values(shape, j), width = msfl_slot_bits(shape->n_clients, shape->value_bits);
    uint32_t count = 0;
    status = check(shape, label, j, bytes, length, &count);
    if (status != MSFL_OK) {
        memset(totals, 0, n * sizeof *totals);
        return status;
    }
    bytes += HEADER;
    for (uint32_t at = 0; at < n; at += MSFL_GROUP, bytes += width) {
        uint64_t group[MSFL_GROUP];
        uint32_t left = n - at < MSFL_GROUP ? n - at : MSFL_GROUP;
        (void)msfl_bits_get(bytes, width, left, group);
        memcpy(totals + at, group, left * sizeof *totals);
    }
    if (n_addends != NULL) *n_addends = count;
    return MSFL_OK;
}
