/* Training, validation and test parts, patients whole. */
#include "base/error.h"
#include "base/mem.h"
#include "base/seeded.h"
#include "dataset/bunches.h"
#include "dataset/deal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TRAIN, VALIDATION, TEST, N_PARTS, UNDECIDED };

typedef struct splitter {
    const msfl_dataset *set;
    msfl_bunches bunches;
    double fraction[N_PARTS]; /* of the images that are ours to deal; 0 where the source decides */
    uint32_t *part_of;        /* of each bunch */
    uint32_t *order;          /* of the bunches, as they are dealt */
    uint32_t n_order;
    uint32_t *have; /* images: N_PARTS x n_classes, then all parts together x n_classes */
} splitter;

/* What the source says: a patient with any image in its test part belongs to test, with any in its validation part to
 * validation. */
static void take_source_parts(splitter *s) {
    bool has_test = false, has_validation = false;
    for (uint32_t i = 0; i < s->set->info.n_images; i++) {
        has_test |= s->set->origins[i].part == MSFL_PART_TEST;
        has_validation |= s->set->origins[i].part == MSFL_PART_VALIDATION;
    }
    for (uint32_t i = 0; i < s->bunches.n; i++) {
        s->part_of[i] = UNDECIDED;
        for (uint32_t j = s->bunches.first[i]; j < s->bunches.first[i + 1]; j++) {
            msfl_part part = s->set->origins[s->bunches.images[j]].part;
            if (part == MSFL_PART_TEST) s->part_of[i] = TEST;
            if (part == MSFL_PART_VALIDATION && s->part_of[i] == UNDECIDED) s->part_of[i] = VALIDATION;
        }
    }
    /* What is left is shared in the proportion of the fractions that are left. */
    if (has_test) s->fraction[TEST] = 0;
    if (has_validation) s->fraction[VALIDATION] = 0;
    double sum = s->fraction[TRAIN] + s->fraction[VALIDATION] + s->fraction[TEST];
    for (int p = 0; p < N_PARTS; p++)
        s->fraction[p] /= sum;
}

static int by_key(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Random order, then by size: the large patients are dealt while there is room to even out with the small ones. */
static msfl_status make_order(splitter *s, uint64_t seed) {
    for (uint32_t i = 0; i < s->bunches.n; i++) {
        if (s->part_of[i] == UNDECIDED) s->order[s->n_order++] = i;
    }
    uint64_t *keys = msfl_alloc(s->n_order, sizeof *keys);
    uint32_t *shuffled = msfl_alloc(s->n_order, sizeof *shuffled);
    msfl_status status = keys == NULL || shuffled == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    if (status == MSFL_OK) {
        msfl_seeded g;
        msfl_seeded_init(&g, seed, "split", 0, 0, 0);
        memcpy(shuffled, s->order, s->n_order * sizeof *shuffled);
        msfl_seeded_shuffle(&g, shuffled, s->n_order);
        for (uint32_t i = 0; i < s->n_order; i++)
            keys[i] = (uint64_t)(UINT32_MAX - msfl_bunch_size(&s->bunches, shuffled[i])) << 32 | i;
        qsort(keys, s->n_order, sizeof *keys, by_key);
        for (uint32_t i = 0; i < s->n_order; i++)
            s->order[i] = shuffled[(uint32_t)keys[i]];
    }
    msfl_free(keys);
    msfl_free(shuffled);
    return status;
}

static void give(splitter *s, uint32_t bunch, uint32_t part) {
    uint32_t n_classes = s->set->info.n_classes;
    s->part_of[bunch] = part;
    for (uint32_t j = s->bunches.first[bunch]; j < s->bunches.first[bunch + 1]; j++) {
        uint32_t k = s->set->labels[s->bunches.images[j]];
        s->have[part * n_classes + k]++;
        s->have[N_PARTS * n_classes + k]++;
    }
}

/* Each patient goes to the part that lags furthest behind its share of the patient's classes, counted over what has
 * been dealt so far. So the shares hold at every moment, for large patients as for small ones. */
static void deal(splitter *s) {
    uint32_t n_classes = s->set->info.n_classes;
    const uint32_t *total = s->have + N_PARTS * n_classes;
    for (uint32_t i = 0; i < s->n_order; i++) {
        uint32_t bunch = s->order[i], best = TRAIN;
        double best_lag = -INFINITY;
        for (uint32_t p = 0; p < N_PARTS; p++) {
            if (s->fraction[p] <= 0) continue;
            double lag = 0;
            for (uint32_t j = s->bunches.first[bunch]; j < s->bunches.first[bunch + 1]; j++) {
                uint32_t k = s->set->labels[s->bunches.images[j]];
                lag += s->fraction[p] * (total[k] + 1.0) - s->have[p * n_classes + k];
            }
            if (lag > best_lag) {
                best_lag = lag;
                best = p;
            }
        }
        give(s, bunch, best);
    }
}

static bool has_class(const splitter *s, uint32_t bunch, uint32_t class_index) {
    for (uint32_t j = s->bunches.first[bunch]; j < s->bunches.first[bunch + 1]; j++) {
        if (s->set->labels[s->bunches.images[j]] == class_index) return true;
    }
    return false;
}

/* A class with few patients may be missing where it is to be measured: bring the smallest such patient over from
 * training, as long as training keeps another. */
static void spread_rare_classes(splitter *s, uint32_t part) {
    uint32_t n_classes = s->set->info.n_classes;
    for (uint32_t k = 0; k < n_classes; k++) {
        if (s->have[part * n_classes + k] > 0) continue;
        uint32_t smallest = UINT32_MAX, n = 0;
        for (uint32_t i = 0; i < s->n_order; i++) {
            uint32_t bunch = s->order[i];
            if (s->part_of[bunch] != TRAIN || !has_class(s, bunch, k)) continue;
            n++;
            if (smallest == UINT32_MAX ||
                msfl_bunch_size(&s->bunches, bunch) <= msfl_bunch_size(&s->bunches, smallest)) {
                smallest = bunch;
            }
        }
        if (n < 2) continue;
        for (uint32_t j = s->bunches.first[smallest]; j < s->bunches.first[smallest + 1]; j++)
            s->have[TRAIN * n_classes + s->set->labels[s->bunches.images[j]]]--;
        give(s, smallest, part); /* the totals over all parts have served their purpose by now */
    }
}

static const char *describe(const msfl_dataset *set, bool source_decides) {
    const char *key = set->info.group_key;
    if (key != NULL && strcmp(set->info.kind, "imported") == 0) {
        return source_decides ? "as the source, patients and near copies kept whole; the rest by patient (imported)"
                              : "by patient, near copies kept together (imported)";
    }
    int kind = key == NULL ? 0 : strstr(key, "labels.csv") != NULL ? 1 : strstr(key, "array") != NULL ? 2 : 3;
    static const char *const ours[] = {"by image: no patient key", "by patient (labels.csv)",
                                       "by patient (array 'group')", "by patient (phantom)"};
    static const char *const theirs[] = {"as the source; the rest by image: no patient key",
                                         "as the source, patients kept whole; the rest by patient (labels.csv)",
                                         "as the source, patients kept whole; the rest by patient (array 'group')",
                                         "as the source; the rest by patient (phantom)"};
    return source_decides ? theirs[kind] : ours[kind];
}

static msfl_status check_parts(const msfl_dataset *set, const msfl_indices parts[N_PARTS], double test_fraction,
                               double validation_fraction) {
    const char *empty = parts[TRAIN].n == 0                                   ? "training"
                        : parts[VALIDATION].n == 0 && validation_fraction > 0 ? "validation"
                        : parts[TEST].n == 0 && test_fraction > 0             ? "test"
                                                                              : NULL;
    if (empty == NULL) return MSFL_OK;
    return msfl_fail(
        MSFL_ERR_DATA,
        "%s: %u images of %u patients leave nothing for the %s part; more patients or another fraction are "
        "needed",
        set->source, set->info.n_images, set->info.n_groups, empty);
}

msfl_status msfl_dataset_split_among(const msfl_dataset *dataset, const msfl_indices *among, double test_fraction,
                                     double validation_fraction, uint64_t seed, msfl_split *out) {
    memset(out, 0, sizeof *out);
    if (!(test_fraction >= 0) || !(validation_fraction >= 0) || !(test_fraction + validation_fraction < 1)) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "test and validation fractions are %g and %g; they must be 0 or more and together below 1",
                         test_fraction, validation_fraction);
    }
    splitter s = {.set = dataset};
    s.fraction[TEST] = test_fraction;
    s.fraction[VALIDATION] = validation_fraction;
    s.fraction[TRAIN] = 1 - test_fraction - validation_fraction;
    msfl_indices parts[N_PARTS] = {0};
    msfl_status status = MSFL_ERR_MEMORY;
    status = msfl_bunches_new(dataset, among, &s.bunches);
    if (status != MSFL_OK) goto done;
    status = MSFL_ERR_MEMORY;
    s.part_of = msfl_alloc(s.bunches.n, sizeof *s.part_of);
    s.order = msfl_alloc(s.bunches.n, sizeof *s.order);
    s.have = msfl_alloc(dataset->info.n_classes, (N_PARTS + 1) * sizeof *s.have);
    if (s.part_of == NULL || s.order == NULL || s.have == NULL) goto done;
    take_source_parts(&s);
    status = make_order(&s, seed);
    if (status != MSFL_OK) goto done;
    deal(&s);
    if (s.fraction[TEST] > 0) spread_rare_classes(&s, TEST);
    if (s.fraction[VALIDATION] > 0) spread_rare_classes(&s, VALIDATION);
    status = msfl_bunches_deal(&s.bunches, s.part_of, N_PARTS, parts);
    if (status == MSFL_OK) status = check_parts(dataset, parts, test_fraction, validation_fraction);
    if (status != MSFL_OK) goto done;
    *out = (msfl_split){parts[TRAIN], parts[VALIDATION], parts[TEST], describe(dataset, s.n_order < s.bunches.n)};
    memset(parts, 0, sizeof parts);
done:
    for (int p = 0; p < N_PARTS; p++)
        msfl_indices_clear(&parts[p]);
    msfl_bunches_clear(&s.bunches);
    msfl_free(s.part_of);
    msfl_free(s.order);
    msfl_free(s.have);
    return status;
}

msfl_status msfl_dataset_split(const msfl_dataset *dataset, double test_fraction, double validation_fraction,
                               uint64_t seed, msfl_split *out) {
    memset(out, 0, sizeof *out);
    msfl_indices all = {msfl_alloc(dataset->info.n_images, sizeof *all.at), dataset->info.n_images};
    if (all.at == NULL) return MSFL_ERR_MEMORY;
    for (uint32_t i = 0; i < all.n; i++)
        all.at[i] = i;
    msfl_status status = msfl_dataset_split_among(dataset, &all, test_fraction, validation_fraction, seed, out);
    msfl_indices_clear(&all);
    return status;
}

msfl_status msfl_dataset_keep_multiple(const msfl_dataset *dataset, uint32_t of, msfl_indices *out) {
    const uint32_t n = dataset->info.n_images, left = n % of;
    msfl_seeded g;
    *out = (msfl_indices){msfl_alloc(n, sizeof *out->at), n};
    if (out->at == NULL) {
        out->n = 0;
        return MSFL_ERR_MEMORY;
    }
    for (uint32_t i = 0; i < n; i++)
        out->at[i] = i;
    if (left == 0) return MSFL_OK;
    msfl_seeded_init(&g, 0, "dataset.multiple", n, of, 0);
    msfl_seeded_shuffle(&g, out->at, n);
    out->n = n - left;
    return MSFL_OK;
}
