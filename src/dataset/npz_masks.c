/* Masks in .npz files. */
#include "base/error.h"
#include "base/mem.h"
#include "dataset/npz_pixels.h"

#include <stdio.h>
#include <string.h>

enum { MASK_BYTES_MAX = 1 << 30, MASK_VALUE_MAX = 254, WHITE = 255 };

/* Place of an item in the array as it is stored. */
static size_t item_of(const msfl_npy *npy, size_t i, size_t y, size_t x) {
    size_t n = npy->dims[0], h = npy->dims[1], w = npy->dims[2];
    return npy->fortran ? i + n * (y + h * x) : (i * h + y) * w + x;
}

static msfl_status copy(msfl_dataset *set, const char *name, const msfl_npy *npy, const uint8_t *bytes, uint32_t n) {
    uint32_t height = set->info.height, width = set->info.width;
    uint8_t *out = set->masks;
    bool has_white = false, has_others = false; /* of drawings with one structure in white, 255 is structure 1 */
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t y = 0; y < height; y++) {
            for (uint32_t x = 0; x < width; x++) {
                size_t from_y = (2 * (size_t)y + 1) * npy->dims[1] / (2 * (size_t)height);
                size_t from_x = (2 * (size_t)x + 1) * npy->dims[2] / (2 * (size_t)width);
                double v = msfl_npy_number(npy, bytes + item_of(npy, i, from_y, from_x) * npy->item_bytes);
                has_white |= v == WHITE;
                has_others |= v != WHITE && v != 0;
                if (!(v >= 0 && v <= WHITE) || v != (double)(uint8_t)v || (has_white && has_others)) {
                    return msfl_fail(
                        MSFL_ERR_DATA,
                        "%s: array '%s' holds %g in mask %u; masks are whole numbers of 0 to %d, or 0 and 255 "
                        "alone",
                        set->source, name, v, i, MASK_VALUE_MAX);
                }
                *out++ = (uint8_t)(v == WHITE ? 1 : v);
            }
        }
    }
    return MSFL_OK;
}

msfl_status msfl_npz_masks(msfl_dataset *set, msfl_npz *npz, size_t index, const msfl_npz_images *images) {
    const char *name = msfl_npz_name(npz, index);
    const msfl_npy *npy;
    char shape[200], purpose[] = "for masks";
    msfl_status status = msfl_npz_describe(npz, index, &npy);
    if (status != MSFL_OK) return status;
    bool flat = npy->kind != 'S' && npy->kind != 'U';
    flat = flat && (npy->n_dims == 3 || (npy->n_dims == 4 && npy->dims[3] == 1));
    if (!flat || npy->dims[0] != images->n || npy->dims[1] != images->npy->dims[1] ||
        npy->dims[2] != images->npy->dims[2]) {
        msfl_npy_shape_text(npy, shape);
        return msfl_fail(MSFL_ERR_DATA, "%s: array '%s' has shape %s, which is not one mask for each image",
                         set->source, name, shape);
    }
    size_t size = (size_t)set->info.height * set->info.width;
    status = msfl_set_check_memory(set, (double)images->n * (double)size, purpose);
    if (status != MSFL_OK) return status;
    uint8_t *bytes = NULL;
    set->masks = msfl_alloc(images->n, size);
    if (set->masks == NULL) return MSFL_ERR_MEMORY;
    status = msfl_npz_data(npz, index, MASK_BYTES_MAX, &bytes);
    if (status == MSFL_OK) status = copy(set, name, npy, bytes, images->n);
    msfl_free(bytes);
    return status;
}

msfl_status msfl_npz_mask_labels(const msfl_dataset *set, uint32_t n, msfl_texts *labels, char **label_key) {
    size_t size = (size_t)set->info.height * set->info.width;
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < n && status == MSFL_OK; i++) {
        const uint8_t *mask = (const uint8_t *)set->masks + i * size;
        uint32_t counts[MASK_VALUE_MAX + 1] = {0}, best = 0;
        char text[16];
        for (size_t k = 0; k < size; k++)
            counts[mask[k]]++;
        for (uint32_t c = 1; c <= MASK_VALUE_MAX; c++) {
            if (counts[c] > 0 && (best == 0 || counts[c] > counts[best])) best = c;
        }
        snprintf(text, sizeof text, "%u", best);
        status = msfl_texts_add(labels, text, strlen(text));
    }
    if (status != MSFL_OK) return status;
    *label_key = msfl_strdup("the largest structure of each mask");
    return *label_key == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
}
