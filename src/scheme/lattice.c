#include "scheme/lattice.h"

#include "base/error.h"

#include <string.h>

msfl_status msfl_lattice_check_count(uint64_t n_chunks, uint64_t n_values) {
    if (n_chunks >> MSFL_TAGGED_CHUNK_BITS == 0) return MSFL_OK;
    return msfl_fail(MSFL_ERR_LIMIT, "%llu values are more chunks than can be numbered", (unsigned long long)n_values);
}

msfl_status msfl_lattice_check_request(const msfl_scheme_request *r, const msfl_lattice_level *p) {
    if (p->n_addends == r->n_clients && p->value_bits == r->value_bits && p->security_bits == r->security_bits &&
        (r->ring_degree == 0 || r->ring_degree == p->ring_degree)) {
        return MSFL_OK;
    }
    return msfl_fail(MSFL_ERR_MISMATCH,
                     "parameters for %u addends of %u bits at %u-bit security, where %u, %u and %u are stated",
                     p->n_addends, p->value_bits, p->security_bits, r->n_clients, r->value_bits, r->security_bits);
}

msfl_status msfl_lattice_read_adder(const uint8_t *bytes, size_t length, const uint8_t *params, size_t params_length,
                                    uint8_t id[MSFL_KEY_ID_BYTES]) {
    if (length != MSFL_KEY_ID_BYTES + params_length) {
        return msfl_fail(MSFL_ERR_FORMAT, "public facts of %zu bytes; they have %zu", length,
                         MSFL_KEY_ID_BYTES + params_length);
    }
    if (memcmp(bytes + MSFL_KEY_ID_BYTES, params, params_length) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "the public facts are of other parameters");
    }
    memcpy(id, bytes, MSFL_KEY_ID_BYTES);
    return MSFL_OK;
}

msfl_status msfl_lattice_expect(const msfl_lattice_chunk *chunk, const uint8_t key_id[MSFL_KEY_ID_BYTES],
                                const uint8_t label[MSFL_HASH_BYTES], uint64_t j, uint32_t n_values) {
    if (memcmp(chunk->key_id, key_id, MSFL_KEY_ID_BYTES) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "chunk %llu: encrypted under another key", (unsigned long long)j);
    }
    msfl_status status = msfl_tagged_check(label, j, chunk->number);
    if (status != MSFL_OK) return status;
    if (chunk->n_values == n_values && !chunk->seeded) return MSFL_OK;
    return msfl_fail(MSFL_ERR_MISMATCH, "chunk %llu: %u values%s, where %u are due", (unsigned long long)j,
                     chunk->n_values, chunk->seeded ? " in seeded form" : "", n_values);
}
