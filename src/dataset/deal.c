#include "dataset/deal.h"

#include "base/error.h"
#include "base/mem.h"

#include <string.h>

void msfl_holding_clear(msfl_holding *h) {
    msfl_indices_clear(&h->train);
    msfl_indices_clear(&h->validation);
    h->n_patients = 0;
}

static uint32_t count_patients(const msfl_dataset *dataset, const msfl_holding *h, uint8_t *seen) {
    memset(seen, 0, msfl_dataset_info_borrow(dataset)->n_groups);
    uint32_t n = 0;
    for (int part = 0; part < 2; part++) {
        const msfl_indices *list = part == 0 ? &h->train : &h->validation;
        for (uint32_t i = 0; i < list->n; i++) {
            uint8_t *mark = &seen[msfl_dataset_group(dataset, list->at[i])];
            n += *mark == 0;
            *mark = 1;
        }
    }
    return n;
}

/* Sorted union of two disjoint sorted lists. */
static msfl_status merge(const msfl_indices *a, const msfl_indices *b, msfl_indices *out) {
    out->at = msfl_alloc((size_t)a->n + b->n, sizeof *out->at);
    if (out->at == NULL) return MSFL_NO_MEMORY;
    uint32_t i = 0, j = 0;
    while (i < a->n || j < b->n) {
        bool first = j == b->n || (i < a->n && a->at[i] < b->at[j]);
        out->at[out->n++] = first ? a->at[i++] : b->at[j++];
    }
    return MSFL_OK;
}

/* What a hospital was dealt, parted by whether the split put an image into validation. */
static msfl_status part(const msfl_indices *dealt, const uint8_t *is_validation, msfl_holding *h) {
    h->train.at = msfl_alloc(dealt->n, sizeof(uint32_t));
    h->validation.at = msfl_alloc(dealt->n, sizeof(uint32_t));
    if (h->train.at == NULL || h->validation.at == NULL) return MSFL_NO_MEMORY;
    for (uint32_t i = 0; i < dealt->n; i++) {
        msfl_indices *list = is_validation[dealt->at[i]] ? &h->validation : &h->train;
        list->at[list->n++] = dealt->at[i];
    }
    return MSFL_OK;
}

msfl_status msfl_dataset_deal(const msfl_dataset *dataset, const msfl_split *split, const char *partition, uint32_t n,
                              uint64_t seed, msfl_holding *holdings) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(dataset);
    msfl_indices all = {0};
    msfl_indices *dealt = msfl_alloc(n, sizeof *dealt);
    uint8_t *is_validation = msfl_alloc(info->n_images, 1);
    uint8_t *seen = msfl_alloc(info->n_groups, 1);
    msfl_status status = MSFL_NO_MEMORY;
    if (dealt == NULL || is_validation == NULL || seen == NULL) goto done;
    status = merge(&split->train, &split->validation, &all);
    if (status == MSFL_OK) status = msfl_dataset_partition(dataset, &all, partition, n, 2, seed, dealt);
    if (status != MSFL_OK) goto done;
    for (uint32_t i = 0; i < split->validation.n; i++)
        is_validation[split->validation.at[i]] = 1;
    for (uint32_t k = 0; k < n; k++) {
        status = part(&dealt[k], is_validation, &holdings[k]);
        if (status != MSFL_OK) goto done;
        if (holdings[k].train.n == 0) {
            status =
                msfl_fail(MSFL_ERR_DATA,
                          "hospital %u has no images to train on after partitioning: use fewer --clients, a larger "
                          "parameter in --partition, or another --seed",
                          k + 1);
            goto done;
        }
        holdings[k].n_patients = count_patients(dataset, &holdings[k], seen);
    }
done:
    for (uint32_t k = 0; k < n; k++) {
        if (dealt != NULL) msfl_indices_clear(&dealt[k]);
        if (status != MSFL_OK) msfl_holding_clear(&holdings[k]);
    }
    msfl_indices_clear(&all);
    msfl_free(dealt);
    msfl_free(is_validation);
    msfl_free(seen);
    return status;
}

static msfl_status copy(const msfl_indices *from, msfl_indices *to) {
    to->at = msfl_alloc(from->n, sizeof *to->at);
    if (to->at == NULL) return MSFL_NO_MEMORY;
    if (from->n > 0) memcpy(to->at, from->at, from->n * sizeof *to->at);
    to->n = from->n;
    return MSFL_OK;
}

msfl_status msfl_dataset_hold_all(const msfl_dataset *dataset, const msfl_split *split, msfl_holding *h) {
    uint8_t *seen = msfl_alloc(msfl_dataset_info_borrow(dataset)->n_groups, 1);
    msfl_status status = seen == NULL ? MSFL_NO_MEMORY : copy(&split->train, &h->train);
    if (status == MSFL_OK) status = copy(&split->validation, &h->validation);
    if (status == MSFL_OK) h->n_patients = count_patients(dataset, h, seen);
    if (status != MSFL_OK) msfl_holding_clear(h);
    msfl_free(seen);
    return status;
}

msfl_status msfl_dataset_take_turns(const msfl_dataset *dataset, const msfl_indices *images, uint32_t n, uint32_t index,
                                    msfl_indices *out) {
    const uint32_t n_groups = msfl_dataset_info_borrow(dataset)->n_groups;
    uint32_t *turn = msfl_alloc(n_groups, sizeof *turn), next = 0; /* 0: not seen yet, else hospital + 1 */
    out->at = msfl_alloc(images->n, sizeof *out->at);
    out->n = 0;
    msfl_status status = turn == NULL || out->at == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    for (uint32_t i = 0; status == MSFL_OK && i < images->n; i++) {
        uint32_t *mine = &turn[msfl_dataset_group(dataset, images->at[i])];
        if (*mine == 0) *mine = next++ % n + 1;
        if (*mine == index + 1) out->at[out->n++] = images->at[i];
    }
    if (status != MSFL_OK) msfl_indices_clear(out);
    msfl_free(turn);
    return status;
}
