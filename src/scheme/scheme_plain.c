/* plain: no encryption, by that name. */
#include "base/mem.h"
#include "medsecurefl/plain.h"
#include "scheme/table.h"

#include <math.h>
#include <stdio.h>

static msfl_status setup_new(const msfl_scheme_request *r, void **out) {
    msfl_plain_shape *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_NO_MEMORY;
    *s = (msfl_plain_shape){r->n_clients, r->value_bits, r->n_values};
    *out = s;
    return MSFL_OK;
}

static void setup_free(void *inner) {
    msfl_free(inner);
}

static void facts(const void *inner, msfl_scheme_facts *out) {
    const msfl_plain_shape *s = inner;
    *out = (msfl_scheme_facts){.log2_failure = -INFINITY};
    snprintf(out->parameters, sizeof out->parameters, "NOT encrypted: integers of %u bits, for sums of %u",
             s->value_bits, s->n_clients);
}

static uint64_t chunks(const void *inner) {
    return msfl_plain_chunks(inner);
}

static uint32_t chunk_values(const void *inner, uint64_t j) {
    return msfl_plain_chunk_values(inner, j);
}

static size_t chunk_bytes(const void *inner, uint64_t j) {
    return msfl_plain_chunk_bytes(inner, j);
}

static msfl_status encrypt(const void *setup, const void *keys, const uint8_t *label, uint64_t j,
                           const uint32_t *values, uint8_t *out) {
    (void)keys;
    return msfl_plain_write(setup, label, j, values, out);
}

static msfl_status check(const void *setup, const void *keys, const uint8_t *label, uint64_t j, const uint8_t *bytes,
                         size_t length, uint32_t *n_addends) {
    (void)keys;
    return msfl_plain_check(setup, label, j, bytes, length, n_addends);
}

static msfl_status add(const void *setup, const void *keys, const uint8_t *label, uint64_t j, uint8_t *acc,
                       const uint8_t *chunk, size_t length) {
    (void)keys;
    return msfl_plain_add(setup, label, j, acc, chunk, length);
}

static msfl_status decrypt(const void *setup, const void *keys, const uint8_t *label, uint64_t j, const uint8_t *bytes,
                           size_t length, uint32_t *n_addends, uint64_t *totals) {
    (void)keys;
    return msfl_plain_read(setup, label, j, bytes, length, n_addends, totals);
}

static const msfl_pair_ops chunk_ops = {.encrypt = encrypt, .check = check, .add = add, .decrypt = decrypt};

const msfl_scheme msfl_scheme_plain = {
    .name = "plain",
    .summary = "NOT encrypted: the baseline that the others are compared with",
    .trust = "The coordinator, and whoever can read its traffic, sees every single hospital's update.",
    .traits = 0,
    .setup_new = setup_new,
    .setup_free = setup_free,
    .facts = facts,
    .chunks = chunks,
    .chunk_values = chunk_values,
    .chunk_bytes = chunk_bytes,
    .pair = &chunk_ops,
    .session = &msfl_pair_session,
};
