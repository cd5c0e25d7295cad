#include "dataset/bunches.h"

#include "base/error.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void msfl_bunches_clear(msfl_bunches *b) {
    msfl_free(b->first);
    msfl_free(b->images);
    msfl_free(b->main_class);
    *b = (msfl_bunches){0};
}

static void find_main_class(const msfl_dataset *set, msfl_bunches *b, uint32_t *count) {
    for (uint32_t i = 0; i < b->n; i++) {
        uint32_t best = UINT32_MAX;
        for (uint32_t j = b->first[i]; j < b->first[i + 1]; j++) {
            uint32_t k = set->labels[b->images[j]];
            count[k]++;
            if (best == UINT32_MAX || count[k] > count[best] || (count[k] == count[best] && k < best)) best = k;
        }
        b->main_class[i] = best;
        for (uint32_t j = b->first[i]; j < b->first[i + 1]; j++)
            count[set->labels[b->images[j]]] = 0;
    }
}

msfl_status msfl_bunches_new(const msfl_dataset *set, const msfl_indices *images, msfl_bunches *out) {
    msfl_bunches b = {.n_images = images->n};
    msfl_status status = MSFL_ERR_MEMORY;
    /* Counting sort by group: how many images, then where each group begins. */
    uint32_t *begin = msfl_alloc((size_t)set->info.n_groups + 1, sizeof *begin);
    bool *seen = msfl_alloc(set->info.n_images, sizeof *seen);
    uint32_t *count = msfl_alloc(set->info.n_classes, sizeof *count);
    b.images = msfl_alloc(images->n, sizeof *b.images);
    if (begin == NULL || seen == NULL || count == NULL || b.images == NULL) goto done;
    for (uint32_t i = 0; i < images->n; i++) {
        uint32_t image = images->at[i];
        if (image >= set->info.n_images || seen[image]) {
            status = msfl_fail(MSFL_ERR_USAGE, "image %u of the list is %s", image,
                               image >= set->info.n_images ? "not in the data set" : "there twice");
            goto done;
        }
        seen[image] = true;
        begin[set->groups[image] + 1]++;
    }
    for (uint32_t g = 0; g < set->info.n_groups; g++) {
        b.n += begin[g + 1] > 0;
        begin[g + 1] += begin[g];
    }
    b.first = msfl_alloc((size_t)b.n + 1, sizeof *b.first);
    b.main_class = msfl_alloc(b.n, sizeof *b.main_class);
    if (b.first == NULL || b.main_class == NULL) goto done;
    uint32_t n = 0;
    for (uint32_t g = 0; g < set->info.n_groups; g++) {
        if (begin[g + 1] > begin[g]) b.first[n++] = begin[g];
    }
    b.first[n] = images->n;
    for (uint32_t image = 0; image < set->info.n_images; image++) {
        if (seen[image]) b.images[begin[set->groups[image]]++] = image;
    }
    find_main_class(set, &b, count);
    *out = b;
    b = (msfl_bunches){0};
    status = MSFL_OK;
done:
    msfl_bunches_clear(&b);
    msfl_free(begin);
    msfl_free(seen);
    msfl_free(count);
    return status;
}

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

msfl_status msfl_bunches_deal(const msfl_bunches *b, const uint32_t *part_of, uint32_t n_parts, msfl_indices *out) {
    memset(out, 0, n_parts * sizeof *out);
    for (uint32_t i = 0; i < b->n; i++)
        out[part_of[i]].n += msfl_bunch_size(b, i);
    for (uint32_t p = 0; p < n_parts; p++) {
        out[p].at = msfl_alloc(out[p].n, sizeof *out[p].at);
        if (out[p].at == NULL) {
            for (uint32_t q = 0; q < n_parts; q++)
                msfl_indices_clear(&out[q]);
            return MSFL_ERR_MEMORY;
        }
        out[p].n = 0;
    }
    for (uint32_t i = 0; i < b->n; i++) {
        msfl_indices *part = &out[part_of[i]];
        uint32_t size = msfl_bunch_size(b, i);
        memcpy(part->at + part->n, b->images + b->first[i], size * sizeof *part->at);
        part->n += size;
    }
    for (uint32_t p = 0; p < n_parts; p++)
        qsort(out[p].at, out[p].n, sizeof *out[p].at, by_number);
    return MSFL_OK;
}
