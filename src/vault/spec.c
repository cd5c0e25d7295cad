/* What a key pair is for, and the 64 bytes in which both file formats say so. */
#include "vault/keyfile.h"

#include "base/error.h"
#include "medsecurefl/update.h"

#include <math.h>

static const uint64_t SAMPLES_MAX = (UINT64_C(1) << MSFL_COUNTER_BITS) / MSFL_CLIENTS_MAX;
static const uint64_t SLOTS_MAX = UINT64_C(1) << 34;

msfl_key_spec msfl_key_spec_default(void) {
    return (msfl_key_spec){
        .scheme = "bfv",
        .request = {.n_clients = 16, .min_cohort = 1, .value_bits = 32, .n_values = 1000000},
        .clip = 8.0,
        .samples_max = 1,
    };
}

static msfl_status check_numbers(const msfl_key_spec *spec) {
    const msfl_scheme_request *r = &spec->request;
    if (r->n_clients < 1 || r->n_clients > MSFL_CLIENTS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "a key for %u addends; use 1 to %d", r->n_clients, MSFL_CLIENTS_MAX);
    }
    if (r->value_bits < MSFL_VALUE_BITS_MIN || r->value_bits > MSFL_VALUE_BITS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "a key for values of %u bits; use %d to %d", r->value_bits,
                         MSFL_VALUE_BITS_MIN, MSFL_VALUE_BITS_MAX);
    }
    if (r->n_values < 1 || r->n_values > SLOTS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "a key for vectors of %llu values; use 1 to 2^34",
                         (unsigned long long)r->n_values);
    }
    if (r->min_cohort < 1 || r->min_cohort > r->n_clients) {
        return msfl_fail(MSFL_ERR_USAGE, "a smallest sum of %u addends, where at most %u are planned", r->min_cohort,
                         r->n_clients);
    }
    if (!(spec->clip >= 0x1p-20 && spec->clip <= 0x1p30) || (double)(float)spec->clip != spec->clip) {
        return msfl_fail(MSFL_ERR_USAGE, "values within +-%g: the range must be a float from 2^-20 to 2^30",
                         spec->clip);
    }
    if (spec->samples_max < 1 || spec->samples_max > SAMPLES_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "at most %llu samples for one addend; use 1 to %llu",
                         (unsigned long long)spec->samples_max, (unsigned long long)SAMPLES_MAX);
    }
    return MSFL_OK;
}

msfl_status vault_spec_check(const msfl_key_spec *spec) {
    const msfl_scheme *scheme;
    msfl_status status = msfl_scheme_find(spec->scheme, &scheme);
    if (status != MSFL_OK) return status;
    if ((msfl_scheme_traits(scheme) & MSFL_SCHEME_KEY_PAIR) == 0) {
        bool encrypts = (msfl_scheme_traits(scheme) & MSFL_SCHEME_ENCRYPTS) != 0;
        return msfl_fail(
            MSFL_ERR_UNSUPPORTED,
            "scheme %s has no keys to keep: %s; 'medsecurefl simulate' runs it, and files take bfv, ckks or "
            "paillier",
            spec->scheme,
            encrypts ? "each of its sums has keys of its own, which are gone when it is opened"
                     : "it does not encrypt");
    }
    return check_numbers(spec);
}

void vault_spec_put(msfl_buffer *out, const msfl_key_spec *spec) {
    char name[VAULT_SCHEME_BYTES] = {0};
    memcpy(name, spec->scheme, strnlen(spec->scheme, sizeof name - 1));
    msfl_put_bytes(out, name, sizeof name);
    msfl_put32(out, spec->request.n_clients);
    msfl_put32(out, spec->request.min_cohort);
    msfl_put32(out, spec->request.value_bits);
    msfl_put32(out, spec->request.security_bits);
    msfl_put32(out, spec->request.ring_degree);
    msfl_put32(out, 0);
    msfl_put64(out, spec->request.n_values);
    msfl_put_f64(out, spec->clip);
    msfl_put64(out, spec->samples_max);
}

/** The scheme of this name, padded with zeros and nothing else. */
static msfl_status get_scheme(const uint8_t *name, const char **out) {
    const msfl_scheme *const *all = msfl_schemes();
    for (size_t i = 0; name != NULL && all[i] != NULL; i++) {
        char padded[VAULT_SCHEME_BYTES] = {0};
        const char *known = msfl_scheme_name(all[i]);
        memcpy(padded, known, strnlen(known, sizeof padded - 1));
        if (memcmp(padded, name, sizeof padded) != 0) continue;
        if ((msfl_scheme_traits(all[i]) & MSFL_SCHEME_KEY_PAIR) == 0) {
            return msfl_fail(MSFL_ERR_FORMAT, "it is said to be of the scheme %s, which has no keys", known);
        }
        *out = known;
        return MSFL_OK;
    }
    for (size_t i = 0; name != NULL && i < VAULT_SCHEME_BYTES && name[i] != 0; i++) {
        if (name[i] < 'a' || name[i] > 'z') return msfl_fail(MSFL_ERR_FORMAT, "the name of its scheme is damaged");
    }
    return msfl_fail(MSFL_ERR_UNSUPPORTED, "this build has no scheme of the name '%.15s' with keys",
                     name == NULL ? "" : (const char *)name);
}

msfl_status vault_spec_get(msfl_reader *in, msfl_key_spec *spec) {
    *spec = (msfl_key_spec){0};
    msfl_status status = get_scheme(msfl_get_bytes(in, VAULT_SCHEME_BYTES), &spec->scheme);
    if (status != MSFL_OK) return status;
    spec->request.n_clients = msfl_get32(in);
    spec->request.min_cohort = msfl_get32(in);
    spec->request.value_bits = msfl_get32(in);
    spec->request.security_bits = msfl_get32(in);
    spec->request.ring_degree = msfl_get32(in);
    uint32_t zero = msfl_get32(in);
    spec->request.n_values = msfl_get64(in);
    spec->clip = msfl_get_f64(in);
    spec->samples_max = msfl_get64(in);
    if (in->failed || zero != 0) return msfl_fail(MSFL_ERR_FORMAT, "its parameters are cut off or damaged");
    /* What would be wrong use of a function is a malformed file here. */
    if (check_numbers(spec) != MSFL_OK) return MSFL_ERR_FORMAT;
    return MSFL_OK;
}

void vault_hash(const char *label, const void *bytes, size_t length, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, label);
    msfl_hash_add(&h, bytes, length);
    msfl_hash_final(&h, out);
}
