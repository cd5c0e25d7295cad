/* The planner: which ring degree, how many slots per coefficient, which primes.
 *
 * For every ring degree the set with the smallest ciphertext of these n_values is found, or one that is at most a
 * hundredth larger and has fewer residues to work on (four primes of 48 bits for 9 slots, say, and not five of 42 for
 * 10). Among the degrees whose ciphertext is at most an eighth above the smallest of all, bytes (ciphertext and key
 * shares together) are weighed against time: four per cent of time count as much as one per cent of bytes. Shares never
 * exclude a degree: what is promised of the ciphertext beside plaintext holds for every committee.
 * docs/design/packed.md, "Planning". */
#include "base/error.h"
#include "he/security.h"
#include "ring/modular.h"
#include "ring/prime.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    DEGREES = 6,
    SLOTS_MAX = MSFL_PRIMES_MAX * MSFL_PRIME_BITS_MAX / MSFL_VALUE_BITS_MIN,
    SLACK_DIVISOR = 8,  /* a ciphertext may be 1/8 above the smallest for the sake of a smaller key share or time */
    BYTES_WEIGHT = 4,   /* relative to time */
    SPEED_DIVISOR = 100 /* and 1/100 for the sake of less work */
};

/** What a request means before a ring degree is chosen. */
typedef struct demand {
    const msfl_params_request *request;
    uint32_t security_bits, slot_bits, noise_bits;
} demand;

/** Largest log2 q that this degree allows and MSFL_PRIMES_MAX primes can make. */
static uint32_t log2_q_limit(uint32_t degree, uint32_t security_bits) {
    uint32_t table = msfl_log2_q_max(degree, security_bits);
    return table < MSFL_PRIMES_MAX * MSFL_PRIME_BITS_MAX ? table : MSFL_PRIMES_MAX * MSFL_PRIME_BITS_MAX;
}

/** Primes that `bits` bits are made of. */
static uint32_t primes_for(uint32_t bits) {
    return (bits + MSFL_PRIME_BITS_MAX - 1) / MSFL_PRIME_BITS_MAX;
}

/** The largest primes below powers of two such that their widths sum to `bits`: as few as possible, of two neighbouring
 *  widths, descending. False if there are none that large. */
static bool choose_primes(uint32_t degree, uint32_t bits, msfl_params *out) {
    uint32_t n = primes_for(bits);
    uint32_t width = bits / n, wider = bits % n; /* so many are of width + 1 */
    out->n_primes = n;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = i < wider ? width + 1 : width;
        uint64_t bound = (uint64_t)1 << k;
        if (i > 0 && out->primes[i - 1] < bound) bound = out->primes[i - 1];
        out->primes[i] = msfl_prime_below(bound, ((uint64_t)1 << (k - 1)) + 1, degree);
        if (out->primes[i] == 0) return false;
    }
    return true;
}

/** The set of this degree and number of slots with the fewest bits; false if none is within the table. */
static bool realise(const demand *d, uint32_t degree, uint32_t slots, msfl_params *out) {
    uint32_t log_t = slots * d->slot_bits, limit = log2_q_limit(degree, d->security_bits);
    for (uint32_t bits = log_t + d->noise_bits; bits <= limit; bits++) {
        memset(out, 0, sizeof *out);
        if (!choose_primes(degree, bits, out)) continue;
        msfl_wide q = msfl_modulus_of(out);
        if (!msfl_has_room(&q, d->request->n_clients, log_t)) continue;
        out->ring_degree = degree;
        out->security_bits = d->security_bits;
        out->n_clients = d->request->n_clients;
        out->value_bits = d->request->value_bits;
        out->slot_bits = d->slot_bits;
        out->slots_per_coefficient = slots;
        out->log_t = log_t;
        return true;
    }
    return false;
}

/** The number of slots with the smallest ciphertext, and from there the one with the least work: the fewest residues
 * per update among those within one per cent of it. `bits` of the whole ciphertext by number of slots. */
static uint32_t choose_slots(const demand *d, const double *bits, uint32_t slots_max) {
    uint32_t smallest = 1;
    for (uint32_t v = 2; v <= slots_max; v++) {
        if (bits[v] < bits[smallest]) smallest = v;
    }
    uint32_t best = smallest;
    double least = INFINITY;
    for (uint32_t v = 1; v <= slots_max; v++) {
        if (!(bits[v] <= bits[smallest] * (1 + 1.0 / SPEED_DIVISOR))) continue;
        uint64_t coefficients = (d->request->n_values + v - 1) / v;
        double residues = (double)coefficients * primes_for(v * d->slot_bits + d->noise_bits);
        if (residues < least || (residues == least && bits[v] < bits[best])) {
            least = residues;
            best = v;
        }
    }
    return best;
}

/** The best set of this degree. Candidates are ranked by the bits that they need at least; primes are looked for only
 *  where they could win. */
static bool best_of_degree(const demand *d, uint32_t degree, msfl_params *out) {
    uint32_t limit = log2_q_limit(degree, d->security_bits);
    if (limit < d->noise_bits + d->slot_bits) return false;
    uint32_t slots_max = (limit - d->noise_bits) / d->slot_bits;
    double bits[SLOTS_MAX + 1] = {INFINITY, INFINITY};
    for (uint32_t v = 1; v <= slots_max; v++) {
        uint64_t coefficients = (d->request->n_values + v - 1) / v;
        bits[v] = (double)coefficients * (v * d->slot_bits + d->noise_bits);
    }
    uint32_t realised = 0;
    for (;;) {
        uint32_t best = choose_slots(d, bits, slots_max);
        if (best == realised) return true;
        if (!isfinite(bits[best])) return false;
        msfl_params found;
        if (!realise(d, degree, best, &found)) {
            bits[best] = INFINITY;
            continue;
        }
        uint32_t width = 0;
        for (uint32_t i = 0; i < found.n_primes; i++)
            width += 64 - (uint32_t)__builtin_clzll(found.primes[i]);
        /* More than at least, where primes are rare. Still the best? Then the next turn finds it again. */
        uint64_t coefficients = (d->request->n_values + best - 1) / best;
        bits[best] = (double)coefficients * width;
        realised = best;
        *out = found;
    }
}

/** Encryption's time, in units that only compare: 0.1 ns on the machine of docs/design/packed.md, "Planning". Noise for
 *  every coefficient; for every residue of it expansion, transform and packing; encoding, which grows with log2 t. */
static double work_of(const msfl_params *p, uint64_t n_values) {
    uint64_t coefficients = (n_values + p->slots_per_coefficient - 1) / p->slots_per_coefficient;
    double residue = 20 + 2 * log2(p->ring_degree) + p->log_t / 13.0;
    return (double)coefficients * (40 + p->n_primes * residue);
}

/** Most value bits that `n_clients` can have, and most clients that `value_bits` can have, under `degree`; 0 if none.
 */
static uint32_t bits_that_fit(uint32_t degree, uint32_t security_bits, uint32_t n_clients) {
    uint32_t b = MSFL_VALUE_BITS_MAX, limit = log2_q_limit(degree, security_bits);
    while (b >= MSFL_VALUE_BITS_MIN && msfl_slot_bits(n_clients, b) + msfl_noise_bits(n_clients) > limit)
        b--;
    return b < MSFL_VALUE_BITS_MIN ? 0 : b;
}
static uint32_t clients_that_fit(uint32_t degree, uint32_t security_bits, uint32_t value_bits) {
    uint32_t low = 0, high = MSFL_CLIENTS_MAX, limit = log2_q_limit(degree, security_bits);
    while (low < high) {
        uint32_t n = (low + high + 1) / 2;
        if (msfl_slot_bits(n, value_bits) + msfl_noise_bits(n) > limit) {
            high = n - 1;
        } else {
            low = n;
        }
    }
    return low;
}

/** What to do instead: the smallest degree that holds the request, or fewer bits or clients. */
static msfl_status refuse(const demand *d) {
    const msfl_params_request *r = d->request;
    uint32_t asked = r->ring_degree, limit = log2_q_limit(asked, d->security_bits);
    uint32_t needed = d->slot_bits + d->noise_bits, fits = 0;
    for (uint32_t degree = MSFL_RING_DEGREE_MIN; degree <= MSFL_RING_DEGREE_MAX && fits == 0; degree *= 2) {
        if (log2_q_limit(degree, d->security_bits) >= needed) fits = degree;
    }
    char instead[256];
    uint32_t bits = bits_that_fit(asked, d->security_bits, r->n_clients);
    uint32_t clients = clients_that_fit(asked, d->security_bits, r->value_bits);
    int used = snprintf(instead, sizeof instead, "Ring degree %u or more holds it", fits);
    if (bits > 0)
        used +=
            snprintf(instead + used, sizeof instead - (size_t)used, "; or %u bits for %u clients", bits, r->n_clients);
    if (clients > 0)
        snprintf(instead + used, sizeof instead - (size_t)used, "; or %u clients of %u bits", clients, r->value_bits);
    return msfl_fail(
        MSFL_ERR_PARAMS,
        "%u clients of %u bits do not fit ring degree %u at %u-bit security: the sum of one value takes %u "
        "bits and the noise of %u errors (up to %u) takes %u, so log2 q must be %u, and %u is allowed "
        "(2024/463, Table 5.2). %s.",
        r->n_clients, r->value_bits, asked, d->security_bits, d->slot_bits, r->n_clients,
        msfl_noise_bound(r->n_clients), d->noise_bits, needed, limit, instead);
}

static msfl_status check_request(const msfl_params_request *r) {
    msfl_status status = msfl_check_request("clients", r->n_clients, r->security_bits, r->ring_degree);
    if (status == MSFL_OK) status = msfl_check_vector(r->value_bits, r->n_values);
    if (status != MSFL_OK) return status;
    if (r->n_shares > MSFL_SHARES_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "%u key shares: 1 to %d are possible", r->n_shares, MSFL_SHARES_MAX);
    }
    return MSFL_OK;
}

msfl_status msfl_params_plan(const msfl_params_request *request, msfl_params *out) {
    memset(out, 0, sizeof *out);
    msfl_status status = check_request(request);
    if (status != MSFL_OK) return status;
    demand d = {.request = request,
                .security_bits = request->security_bits == 0 ? 128 : request->security_bits,
                .slot_bits = msfl_slot_bits(request->n_clients, request->value_bits),
                .noise_bits = msfl_noise_bits(request->n_clients)};
    msfl_params found[DEGREES];
    uint64_t bytes[DEGREES], smallest = UINT64_MAX;
    uint32_t n_found = 0;
    const uint64_t n_shares = request->n_shares == 0 ? 1 : request->n_shares;
    for (uint32_t degree = MSFL_RING_DEGREE_MIN; degree <= MSFL_RING_DEGREE_MAX; degree *= 2) {
        if (request->ring_degree != 0 && request->ring_degree != degree) continue;
        if (!best_of_degree(&d, degree, &found[n_found])) continue;
        bytes[n_found] = msfl_ciphertext_bytes(&found[n_found], request->n_values);
        if (bytes[n_found] < smallest) smallest = bytes[n_found];
        n_found++;
    }
    if (n_found == 0) return refuse(&d);
    double best = INFINITY;
    for (uint32_t i = 0; i < n_found; i++) {
        if (bytes[i] > smallest + smallest / SLACK_DIVISOR) continue;
        double total = (double)(bytes[i] + n_shares * msfl_key_share_bytes(found[i].ring_degree));
        double cost = BYTES_WEIGHT * log2(total) + log2(work_of(&found[i], request->n_values));
        if (cost >= best) continue;
        best = cost;
        *out = found[i];
    }
    return MSFL_OK;
}
