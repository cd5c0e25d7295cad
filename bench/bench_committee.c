/* msfl-bench-committee: what a committee costs beside the encryption itself, whatever the model's size, on one thread.
 *
 *   msfl-bench-committee [--repeat R] [--json]
 *
 * Milliseconds, best of the repetitions, for ring degrees N and committees of k members of which t are needed. Client:
 * share its key and seal k bundles. Member: open and add one client's bundle; seal the answer. Coordinator: the key sum
 * from t answers. Signatures apart. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "he/shamir.h"
#include "round/sealed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct committee {
    msfl_identity id[MSFL_COMMITTEE_MAX + 1];
    msfl_identity_secret *secret[MSFL_COMMITTEE_MAX + 1];
    uint32_t members[MSFL_COMMITTEE_MAX];
    msfl_roster_info roster;
} committee;

static void best_since(double *best, uint64_t start_ns) {
    double took = (double)(msfl_now_ns() - start_ns) * 1e-6;
    if (*best == 0.0 || took < *best) *best = took;
}

static msfl_status committee_init(committee *c, uint32_t k) {
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i <= k && status == MSFL_OK; i++) {
        uint8_t seed[32];
        msfl_random_bytes(seed, sizeof seed);
        status = msfl_identity_new(seed, &c->id[i], &c->secret[i]);
        if (i < k) c->members[i] = i;
    }
    c->roster = (msfl_roster_info){.parties = c->id, .n_parties = k, .n_clients = k, .members = c->members, .k = k};
    msfl_committee_default(k, &c->roster.t, &c->roster.f);
    return status;
}

static void committee_clear(committee *c) {
    for (uint32_t i = 0; i <= MSFL_COMMITTEE_MAX; i++)
        msfl_identity_free(c->secret[i]);
}

static msfl_status measure(const committee *c, uint32_t n, uint64_t repeat, double out[6]) {
    static const uint8_t id[32] = {1}, hash[32] = {2};
    const size_t each = msfl_share_bytes(n);
    const msfl_share_binding binding = {id, hash, 0, n};
    const msfl_answer_binding answer = {id, hash, 0, n};
    msfl_status status = MSFL_NO_MEMORY;
    int32_t *key = msfl_alloc(n, sizeof *key);
    uint32_t *opened = msfl_alloc(n, sizeof *opened);
    uint8_t *sealed = msfl_alloc(msfl_sealed_bytes(n, c->roster.k), 1);
    uint8_t *bundles = msfl_alloc(c->roster.k, each), *body = msfl_alloc(msfl_answer_bytes(n), 1);
    uint8_t *scratch = msfl_alloc(msfl_share_scratch_bytes(n), 1);
    uint32_t *sums = msfl_alloc((size_t)c->roster.k * n, sizeof *sums);
    const uint32_t *shares[MSFL_COMMITTEE_MAX];
    if (key == NULL || bundles == NULL || body == NULL || scratch == NULL || sums == NULL || opened == NULL ||
        sealed == NULL)
        goto done;
    for (uint32_t i = 0; i < n; i++)
        key[i] = (int32_t)(i % 83) - 41;
    status = MSFL_OK;
    for (uint64_t r = 0; r < repeat && status == MSFL_OK; r++) {
        uint64_t start = msfl_now_ns();
        status = msfl_share_seal(&binding, &c->roster, key, bundles);
        best_since(&out[0], start);
        memset(sums, 0, (size_t)c->roster.k * n * sizeof *sums);
        for (uint32_t i = 0; i < c->roster.t && status == MSFL_OK; i++) {
            start = msfl_now_ns();
            shares[i] = sums + (size_t)i * n;
            status = msfl_share_add(&binding, &c->roster, i, c->secret[i], bundles + i * each, scratch,
                                    sums + (size_t)i * n);
            best_since(&out[1], start);
        }
        if (status != MSFL_OK) break;
        start = msfl_now_ns();
        status = msfl_answer_seal(&answer, c->secret[0], &c->id[c->roster.k], sums, body);
        best_since(&out[2], start);
        start = msfl_now_ns();
        if (status == MSFL_OK) status = msfl_shamir_join(c->roster.t, c->members, c->roster.t, shares, n, key);
        best_since(&out[3], start);
        start = msfl_now_ns();
        if (status == MSFL_OK) status = msfl_sealed_make(&answer, c->secret[0], &c->roster, sums, sealed);
        best_since(&out[4], start);
        start = msfl_now_ns();
        const uint8_t *sum = sealed + MSFL_SEALED_KEPT, *wraps = sum + msfl_sealed_sum_bytes(n);
        if (status == MSFL_OK) {
            status =
                msfl_sealed_open(&answer, &c->roster, 1, c->secret[1], sealed, sum, wraps + MSFL_WRAP_BYTES, opened);
        }
        best_since(&out[5], start);
    }
done:
    msfl_free(key);
    msfl_free(bundles);
    msfl_free(body);
    msfl_free(scratch);
    msfl_free(sums);
    msfl_free(opened);
    msfl_free(sealed);
    return status;
}

int main(int argc, char **argv) {
    static const uint32_t degrees[] = {4096, 8192, 16384, 32768}, sizes[] = {4, 7, 16};
    uint64_t repeat = 50;
    bool json = false, first = true;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) json = true;
        if (strcmp(argv[i], "--repeat") == 0 && i + 1 < argc) repeat = strtoull(argv[i + 1], NULL, 10);
    }
    if (msfl_crypto_init() != MSFL_OK) return 1;
    if (!json)
        printf("     N   t of k   share and seal   open and add, a client   answer   key sum   bytes a client   answer "
               "to k "
               "hospitals   opened by one   bytes\n");
    if (json) printf("[");
    for (size_t d = 0; d < sizeof degrees / sizeof *degrees; d++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            committee c = {0};
            double ms[6] = {0};
            msfl_status status = committee_init(&c, sizes[s]);
            if (status == MSFL_OK) status = measure(&c, degrees[d], repeat, ms);
            committee_clear(&c);
            if (status != MSFL_OK) {
                fprintf(stderr, "%s\n", msfl_error_message());
                return 1;
            }
            const size_t delivered = msfl_sealed_bytes(degrees[d], sizes[s]);
            const size_t bytes = msfl_statement_bytes(sizes[s]) + sizes[s] * msfl_share_bytes(degrees[d]);
            if (json) {
                printf(
                    "%s{\"ring_degree\": %u, \"k\": %u, \"t\": %u, \"share_and_seal_ms\": %.4f, \"open_and_add_ms\": "
                    "%.4f, \"answer_ms\": %.4f, \"key_sum_ms\": %.4f, \"client_bytes\": %zu, "
                    "\"sealed_answer_ms\": %.4f, \"sealed_open_ms\": %.4f, \"sealed_answer_bytes\": %zu}",
                    first ? "" : ",\n ", degrees[d], sizes[s], c.roster.t, ms[0], ms[1], ms[2], ms[3], bytes, ms[4],
                    ms[5], delivered);
            } else {
                printf("%6u  %2u of %2u  %11.3f ms  %19.3f ms  %5.3f ms  %5.3f ms  %13zu  %17.3f ms  %10.3f ms  %6zu\n",
                       degrees[d], c.roster.t, sizes[s], ms[0], ms[1], ms[2], ms[3], bytes, ms[4], ms[5], delivered);
            }
            first = false;
        }
    }
    if (json) printf("]\n");
    return 0;
}
