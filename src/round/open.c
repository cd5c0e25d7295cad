#include "round/open.h"
#include "round/guard.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "he/security.h"
#include "he/shamir.h"

#include <inttypes.h>
#include <string.h>

enum {
    GLANCE = 64 /* coefficients that a subset of answers is judged by first */
};

uint32_t msfl_answers_count(const msfl_answers *a) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->k; i++)
        n += a->shares[i] != NULL;
    return n;
}

/** The key sum from the t answers of `set`; ERR_CRYPTO if it is none. */
static msfl_status try_set(const msfl_answers *a, const uint32_t *set, int32_t *key_sum, uint64_t *totals) {
    const uint32_t degree = msfl_packed_params(a->ctx)->ring_degree;
    const int64_t bound = (int64_t)MSFL_KEY_MAX * a->n;
    const uint32_t *shares[MSFL_COMMITTEE_MAX];
    for (uint32_t i = 0; i < a->t; i++)
        shares[i] = a->shares[set[i]];
    for (uint32_t pass = 0; pass < 2; pass++) {
        const uint32_t n = pass == 0 ? GLANCE : degree;
        msfl_status status = msfl_shamir_join(a->t, set, a->t, shares, n, key_sum);
        if (status != MSFL_OK) return status;
        uint64_t beyond = 0; /* top bit */
        for (uint32_t i = 0; i < n; i++)
            beyond |= (uint64_t)(bound - key_sum[i]) | (uint64_t)(bound + key_sum[i]);
        if (!MSFL_GUARD(SUM_OPENS, beyond >> 63 == 0)) {
            return msfl_fail(MSFL_ERR_CRYPTO, "these answers are not the sum of %" PRIu32 " keys", a->n);
        }
    }
    msfl_status status = msfl_packed_open(a->ctx, a->sum, 0, a->n, key_sum, totals);
    if (status == MSFL_ERR_CRYPTO && MSFL_GUARD(SUM_OPENS, false)) return MSFL_OK; /* a mutant's way */
    return status;
}

/** The next t-subset of 0 .. m - 1 in lexicographic order. */
static bool next_subset(uint32_t *pick, uint32_t t, uint32_t m) {
    for (uint32_t i = t; i-- > 0;) {
        if (pick[i] == m - t + i) continue;
        pick[i]++;
        for (uint32_t j = i + 1; j < t; j++)
            pick[j] = pick[j - 1] + 1;
        return true;
    }
    return false;
}

/** Members whose answer does not lie on the polynomials through `set`. */
static msfl_status find_wrong(const msfl_answers *a, const uint32_t *set, int32_t *scratch, uint32_t *wrong) {
    const uint32_t degree = msfl_packed_params(a->ctx)->ring_degree;
    uint32_t members[MSFL_COMMITTEE_MAX + 1];
    const uint32_t *shares[MSFL_COMMITTEE_MAX + 1];
    uint32_t in_set = 0;
    for (uint32_t i = 0; i < a->t; i++) {
        members[i] = set[i];
        shares[i] = a->shares[set[i]];
        in_set |= UINT32_C(1) << set[i];
    }
    *wrong = 0;
    for (uint32_t i = 0; i < a->k; i++) {
        if ((in_set >> i & 1) != 0 || a->shares[i] == NULL) continue;
        members[a->t] = i;
        shares[a->t] = a->shares[i];
        msfl_status status = msfl_shamir_join(a->t, members, a->t + 1, shares, degree, scratch);
        if (status == MSFL_ERR_CRYPTO) *wrong |= UINT32_C(1) << i;
        if (status != MSFL_OK && status != MSFL_ERR_CRYPTO) return status;
    }
    return MSFL_OK;
}

msfl_status msfl_answers_open(const msfl_answers *a, int32_t *key_sum, uint32_t *wrong) {
    const uint32_t t = a->t, degree = msfl_packed_params(a->ctx)->ring_degree;
    uint32_t have[MSFL_COMMITTEE_MAX] = {0}, m = 0, pick[MSFL_COMMITTEE_MAX] = {0}, set[MSFL_COMMITTEE_MAX] = {0};
    *wrong = 0;
    memset(key_sum, 0, degree * sizeof *key_sum);
    for (uint32_t i = 0; i < a->k; i++) {
        if (a->shares[i] != NULL) have[m++] = i;
    }
    if (m < t) {
        return msfl_fail(MSFL_ERR_CRYPTO, "%" PRIu32 " of %" PRIu32 " answers that are needed are there", m, t);
    }
    int32_t *scratch = msfl_alloc(degree, sizeof *scratch);
    uint64_t *totals = msfl_alloc(msfl_packed_chunk_slots(a->ctx, a->n_values, 0), sizeof *totals);
    msfl_status status = scratch == NULL || totals == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status != MSFL_OK) goto done;
    for (uint32_t i = 0; i < t; i++)
        pick[i] = i;
    do {
        for (uint32_t i = 0; i < t; i++)
            set[i] = have[pick[i]];
        status = try_set(a, set, key_sum, totals);
        if (status == MSFL_OK) status = find_wrong(a, set, scratch, wrong);
    } while (status == MSFL_ERR_CRYPTO && next_subset(pick, t, m));
done:
    if (status != MSFL_OK) {
        memset(key_sum, 0, degree * sizeof *key_sum);
        *wrong = 0;
    }
    if (scratch != NULL) msfl_wipe(scratch, degree * sizeof *scratch);
    msfl_free(scratch);
    msfl_free(totals);
    return status;
}

msfl_status msfl_key_sum_pack(const int32_t *key_sum, uint32_t ring_degree, uint8_t *out) {
    uint32_t *residues = msfl_alloc(ring_degree, sizeof *residues);
    if (residues == NULL) return MSFL_NO_MEMORY;
    for (uint32_t i = 0; i < ring_degree; i++)
        residues[i] = (uint32_t)(key_sum[i] < 0 ? key_sum[i] + MSFL_SHAMIR_PRIME : key_sum[i]);
    msfl_shamir_pack(residues, ring_degree, out);
    msfl_free(residues);
    return MSFL_OK;
}

msfl_status msfl_key_sum_unpack(const uint8_t *packed, uint32_t ring_degree, int32_t *key_sum) {
    uint32_t *residues = msfl_alloc(ring_degree, sizeof *residues);
    if (residues == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_shamir_unpack(packed, ring_degree, residues);
    for (uint32_t i = 0; i < ring_degree && status == MSFL_OK; i++)
        key_sum[i] = (int32_t)residues[i] - (residues[i] > MSFL_SHAMIR_MAX ? MSFL_SHAMIR_PRIME : 0);
    msfl_free(residues);
    return status;
}
