/* Parameters of a scheme, and what follows from them. */
#include "base/error.h"
#include "base/mem.h"
#include "scheme/table.h"

#include <string.h>

static msfl_status check_request(const msfl_scheme_request *r) {
    if (r->n_clients < 1 || r->n_clients > MSFL_CLIENTS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "%u clients: 1 to %d are possible", r->n_clients, MSFL_CLIENTS_MAX);
    }
    if (r->min_cohort < 1 || r->min_cohort > r->n_clients) {
        return msfl_fail(MSFL_ERR_USAGE, "a minimum cohort of %u: 1 to %u are possible", r->min_cohort, r->n_clients);
    }
    if (r->value_bits < MSFL_VALUE_BITS_MIN || r->value_bits > MSFL_VALUE_BITS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "%u bits per value: %d to %d are possible", r->value_bits, MSFL_VALUE_BITS_MIN,
                         MSFL_VALUE_BITS_MAX);
    }
    if (r->n_values < 1 || r->n_values > (uint64_t)1 << 34) {
        return msfl_fail(MSFL_ERR_USAGE, "%llu values: 1 to 2^34 are possible", (unsigned long long)r->n_values);
    }
    return MSFL_OK;
}

/** The first chunk may carry a header, the last may be short; those between are alike. */
static uint64_t upload_bytes(const msfl_scheme *scheme, const void *inner, uint64_t n_chunks) {
    uint64_t bytes = scheme->chunk_bytes(inner, 0);
    if (n_chunks > 1) bytes += scheme->chunk_bytes(inner, n_chunks - 1);
    if (n_chunks > 2) bytes += (n_chunks - 2) * scheme->chunk_bytes(inner, 1);
    return bytes;
}

/** Around what the scheme made. Takes `inner`, also when it fails. */
static msfl_status wrap(const msfl_scheme *scheme, const msfl_scheme_request *request, void *inner, msfl_setup **out) {
    msfl_setup *setup = msfl_alloc(1, sizeof *setup);
    if (setup == NULL) {
        scheme->setup_free(inner);
        return MSFL_NO_MEMORY;
    }
    setup->scheme = scheme;
    setup->request = *request;
    setup->inner = inner;
    setup->n_chunks = scheme->chunks(inner);
    scheme->facts(inner, &setup->facts);
    setup->facts.n_chunks = setup->n_chunks;
    setup->facts.upload_bytes = upload_bytes(scheme, inner, setup->n_chunks);
    /* The folded sum is as large as one upload. */
    if (setup->facts.delivery_bytes > 0) setup->facts.delivery_bytes += setup->facts.upload_bytes;
    *out = setup;
    return MSFL_OK;
}

static msfl_scheme_request with_defaults(const msfl_scheme_request *request) {
    msfl_scheme_request r = *request;
    if (r.security_bits == 0) r.security_bits = 128;
    if (r.delivery == 0) r.delivery = MSFL_DELIVERY_COORDINATOR;
    if (r.custody == 0) {
        r.custody =
            r.n_clients >= 2 && r.n_clients <= MSFL_COMMITTEE_MAX ? MSFL_CUSTODY_COMMITTEE : MSFL_CUSTODY_AUTHORITY;
    }
    return r;
}

msfl_status msfl_setup_new(const msfl_scheme *scheme, const msfl_scheme_request *request, msfl_setup **out) {
    *out = NULL;
    msfl_scheme_request r = with_defaults(request);
    void *inner = NULL;
    msfl_status status = check_request(&r);
    if (status == MSFL_OK && r.delivery != MSFL_DELIVERY_COORDINATOR && scheme != &msfl_scheme_packed) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "scheme %s cannot keep a sum from the coordinator; packed can",
                         scheme->name);
    }
    if (status == MSFL_OK) status = scheme->setup_new(&r, &inner);
    if (status != MSFL_OK) return msfl_fail_in(status, "scheme %s", scheme->name);
    return wrap(scheme, &r, inner, out);
}

msfl_status msfl_pair_setup(const msfl_scheme *scheme, const msfl_scheme_request *request, const uint8_t *adder,
                            size_t length, msfl_setup **out) {
    *out = NULL;
    if ((scheme->traits & MSFL_SCHEME_KEY_PAIR) == 0) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "scheme %s has no key pair: %s", scheme->name, scheme->summary);
    }
    msfl_scheme_request r = with_defaults(request);
    void *inner = NULL;
    msfl_status status = check_request(&r);
    if (status == MSFL_OK) status = scheme->pair->setup_read(&r, adder, length, &inner);
    if (status != MSFL_OK) return msfl_fail_in(status, "scheme %s", scheme->name);
    return wrap(scheme, &r, inner, out);
}

void msfl_setup_free(msfl_setup *setup) {
    if (setup == NULL) return;
    setup->scheme->setup_free(setup->inner);
    msfl_free(setup);
}

const msfl_scheme *msfl_setup_scheme(const msfl_setup *setup) {
    return setup->scheme;
}

const msfl_scheme_request *msfl_setup_request(const msfl_setup *setup) {
    return &setup->request;
}

void msfl_setup_facts(const msfl_setup *setup, msfl_scheme_facts *out) {
    *out = setup->facts;
}

const char *msfl_setup_kernel(const msfl_setup *setup) {
    return setup->scheme->kernel != NULL ? setup->scheme->kernel(setup->inner) : "-";
}

uint64_t msfl_setup_chunks(const msfl_setup *setup) {
    return setup->n_chunks;
}

uint32_t msfl_setup_chunk_values(const msfl_setup *setup, uint64_t j) {
    return j < setup->n_chunks ? setup->scheme->chunk_values(setup->inner, j) : 0;
}

size_t msfl_setup_chunk_bytes(const msfl_setup *setup, uint64_t j) {
    return j < setup->n_chunks ? setup->scheme->chunk_bytes(setup->inner, j) : 0;
}
