/* What bfv and ckks ask of parameters, keys and chunks alike, whatever their types. What they do with calls that differ
 * in type alone is written once in lattice_body.h. */
#ifndef MSFL_SCHEME_LATTICE_H
#define MSFL_SCHEME_LATTICE_H

#include "scheme/table.h"

/** ERR_LIMIT if a vector of `n_values` has more chunks than tagged numbers tell apart. */
msfl_status msfl_lattice_check_count(uint64_t n_chunks, uint64_t n_values) MSFL_NODISCARD;

/** What an adder's parameters must agree with a request in. */
typedef struct msfl_lattice_level {
    uint32_t n_addends, value_bits, security_bits, ring_degree;
} msfl_lattice_level;
/** ERR_MISMATCH unless the parameters are those that the request states; a ring degree of 0 there leaves it open. */
msfl_status msfl_lattice_check_request(const msfl_scheme_request *request,
                                       const msfl_lattice_level *params) MSFL_NODISCARD;

/** The key id of an adder: MSFL_KEY_ID_BYTES, then parameters, which must be `params`. ERR_FORMAT, ERR_MISMATCH; `id`
 *  is then unchanged. */
msfl_status msfl_lattice_read_adder(const uint8_t *bytes, size_t length, const uint8_t *params, size_t params_length,
                                    uint8_t id[MSFL_KEY_ID_BYTES]) MSFL_NODISCARD;

/** What a chunk says of itself. */
typedef struct msfl_lattice_chunk {
    const uint8_t *key_id; /**< MSFL_KEY_ID_BYTES */
    uint64_t number;
    uint32_t n_values;
    bool seeded;
} msfl_lattice_chunk;
/** ERR_MISMATCH unless it is what this key, this label and place `j` in the vector, of `n_values`, ask for. */
msfl_status msfl_lattice_expect(const msfl_lattice_chunk *chunk, const uint8_t key_id[MSFL_KEY_ID_BYTES],
                                const uint8_t label[MSFL_HASH_BYTES], uint64_t j, uint32_t n_values) MSFL_NODISCARD;

#endif
