/* bfv: exact integers under one key pair. */
#include "medsecurefl/bfv.h"
#include "scheme/table.h"

#include <stdio.h>

#define LATTICE(name) msfl_bfv_##name
enum { LATTICE_PARAMS_BYTES = MSFL_BFV_PARAMS_BYTES };
typedef msfl_bfv lattice_ctx;

static msfl_status plan(const msfl_scheme_request *r, msfl_bfv_params *params) {
    const msfl_bfv_request request = {r->n_clients, r->value_bits, r->n_values, r->security_bits, r->ring_degree};
    return msfl_bfv_plan(&request, params);
}

static void describe(const msfl_bfv_params *p, const msfl_bfv_facts *f, char *text, size_t size) {
    snprintf(text, size, "N = %u, %u primes, log2 q = %.1f of %.0f, %u values of %u bits a coefficient", p->ring_degree,
             p->n_primes, f->log2_q, f->log2_q_max, p->slots_per_coefficient, p->slot_bits);
}

static msfl_status check_params(const msfl_bfv_params *params) {
    (void)params; /* there are no others */
    return MSFL_OK;
}

static size_t ciphertext_bytes(const msfl_bfv *ctx, uint32_t n_values) {
    return msfl_bfv_full_bytes(ctx, n_values);
}

static msfl_status encrypt_integers(const msfl_bfv *ctx, msfl_bfv_public *public, uint64_t chunk,
                                    const uint32_t *values, uint32_t n, msfl_bfv_ct *ct) {
    return msfl_bfv_encrypt(ctx, public, chunk, values, n, ct);
}

static msfl_status decrypt_integers(const msfl_bfv *ctx, msfl_bfv_secret *secret, const msfl_bfv_ct *ct,
                                    uint64_t *totals) {
    return msfl_bfv_decrypt(ctx, secret, ct, totals);
}

#include "scheme/lattice_body.h"

const msfl_scheme msfl_scheme_bfv = {
    .name = "bfv",
    .summary = "public-key encryption of exact integers, with one key pair",
    .trust = "Whoever holds the secret key can open every single hospital's update; the coordinator must not have it.",
    LATTICE_OPERATIONS,
};
