/* Reading volumes from front to back, and what they say. */
#include "import/arrays_private.h"

#include "base/error.h"
#include "base/mem.h"

#include <string.h>

/* --- reading on --- */

msfl_status msfl_arrays_room(msfl_arrays *a, size_t *n) {
    size_t bytes = 0, fit;
    for (uint32_t s = 0; s < a->n_streams; s++)
        bytes += a->streams[s].bytes; /* at most 9 times 8 GiB */
    fit = bytes == 0 ? *n : MSFL_ARRAYS_HELD_BYTES / bytes;
    if (fit < 1) fit = 1;
    if (fit < *n) *n = fit;
    a->n_held_max = *n;
    a->number = msfl_alloc(*n, sizeof *a->number);
    a->part_of = msfl_alloc(*n, sizeof *a->part_of);
    msfl_status status = msfl_memory_fits((double)bytes * (double)*n, a->ix.source);
    if (status != MSFL_OK) return status;
    bool whole = a->number != NULL && a->part_of != NULL;
    for (uint32_t s = 0; s < a->n_streams && whole; s++) {
        a->streams[s].held = msfl_alloc(*n, a->streams[s].bytes);
        whole = a->streams[s].held != NULL;
    }
    return whole ? MSFL_OK : MSFL_NO_MEMORY;
}

/* The next volume of every array, as number `slot` of those held. */
static msfl_status read_one(msfl_arrays *a, size_t slot) {
    const msfl_npz_images *part = &a->ix.arrays[a->part];
    bool last = a->next + 1 == part->first + part->n;
    msfl_status status = MSFL_OK;
    for (uint32_t s = 0; s < a->n_streams && status == MSFL_OK; s++) {
        arrays_stream *st = &a->streams[s];
        const msfl_npy *npy = st->npy[a->part];
        if (st->entry == NULL) status = msfl_npz_data_open(a->ix.npz, st->index[a->part], &st->entry);
        if (status == MSFL_OK) {
            status = msfl_zip_entry_read(st->entry, st->held + slot * st->bytes, npy->data_bytes / npy->dims[0]);
        }
        if (status == MSFL_OK && last) {
            status = msfl_zip_entry_end(st->entry);
            msfl_zip_entry_close(st->entry);
            st->entry = NULL;
        }
    }
    a->number[slot] = a->next++;
    a->part_of[slot] = a->part;
    a->part += last;
    return status;
}

msfl_status msfl_arrays_hold(msfl_arrays *a, const msfl_item *items, size_t n) {
    msfl_status status = n > a->n_held_max ? msfl_fail(MSFL_ERR_LIMIT, "%zu volumes at a time", n) : MSFL_OK;
    for (size_t i = 0; i < n && status == MSFL_OK; i++) {
        while (status == MSFL_OK && a->next < items[i].first)
            status = read_one(a, i);
        if (status == MSFL_OK) status = read_one(a, i);
    }
    return status;
}

msfl_status msfl_arrays_end(msfl_arrays *a) {
    msfl_status status = MSFL_OK;
    while (a->next < a->ix.n && status == MSFL_OK)
        status = read_one(a, 0);
    return status;
}

/* --- what is held --- */

uint32_t msfl_arrays_n(const msfl_arrays *a) {
    return a->n_streams;
}

bool msfl_arrays_has_masks(const msfl_arrays *a) {
    return a->has_masks;
}

const char *msfl_arrays_assumed(const msfl_arrays *a) {
    return a->assumed;
}

uint32_t msfl_arrays_bits(const msfl_arrays *a, size_t slot) {
    return 8 * a->streams[0].npy[a->part_of[slot]]->item_bytes;
}

static const double *spacing_of(const msfl_arrays *a, size_t slot) {
    return a->spacing[a->n_spacing > 1 ? a->number[slot] : 0];
}

void msfl_arrays_content(const msfl_arrays *a, size_t slot, uint32_t array, uint8_t out[MSFL_HASH_BYTES]) {
    const arrays_stream *st = &a->streams[array];
    const msfl_npy *npy = st->npy[a->part_of[slot]];
    msfl_hash h;
    msfl_hash_init(&h, "msfl.array.volume");
    for (int i = 0; i < 3; i++) {
        uint64_t mm;
        memcpy(&mm, &spacing_of(a, slot)[i], sizeof mm);
        msfl_hash_add_u64(&h, a->sides[i]);
        msfl_hash_add_u64(&h, mm);
    }
    msfl_hash_add(&h, a->axes, 3);
    msfl_hash_add_u64(&h, (uint64_t)npy->kind << 16 | npy->item_bytes << 8 | npy->big_endian);
    msfl_hash_add(&h, st->held + slot * st->bytes, (size_t)(npy->data_bytes / npy->dims[0]));
    msfl_hash_final(&h, out);
}

msfl_status msfl_arrays_image(const msfl_arrays *a, size_t slot, uint32_t array, msfl_image *out) {
    const arrays_stream *st = &a->streams[array];
    const msfl_npy *npy = st->npy[a->part_of[slot]];
    msfl_image image = {.width = a->sides[0],
                        .height = a->sides[1],
                        .depth = a->sides[2],
                        .times = 1,
                        .channels = 1,
                        .bits = 32,
                        .bits_stored = 32,
                        .kind = MSFL_SAMPLES_FLOAT,
                        .colour = MSFL_COLOUR_GREY,
                        .rescale = {1, 0},
                        .affine_source = MSFL_AFFINE_ASSUMED};
    for (int i = 0; i < 3; i++) {
        double mm = spacing_of(a, slot)[i];
        image.spacing[i] = mm;
        image.affine[msfl_arrays_world_axis(a->axes[i])][i] = strchr("RAS", a->axes[i]) != NULL ? mm : -mm;
    }
    msfl_status status = msfl_image_allocate(msfl_npz_name(a->ix.npz, st->index[a->part_of[slot]]), &image);
    if (status != MSFL_OK) return status;
    /* In the array the slice varies fastest, in an image the column. */
    const uint8_t *at = st->held + slot * st->bytes;
    float *values = image.samples;
    for (size_t x = 0; x < image.width; x++) {
        for (size_t y = 0; y < image.height; y++) {
            for (size_t z = 0; z < image.depth; z++, at += npy->item_bytes)
                values[(z * image.height + y) * image.width + x] = (float)msfl_npy_number(npy, at);
        }
    }
    *out = image;
    return MSFL_OK;
}
