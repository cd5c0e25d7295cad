#include "dataset/npz_pixels.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "image/image.h"

#include <math.h>
#include <string.h>

/* Pictures are read and converted this many bytes at a time, or one by one when they are larger. */
enum { BATCH_BYTES = 8 << 20 };

msfl_status msfl_npz_picture(const char *name, const msfl_npy *npy, uint32_t *height, uint32_t *width,
                             uint32_t *channels) {
    char shape[200];
    msfl_npy_shape_text(npy, shape);
    if (npy->kind == 'S' || npy->kind == 'U') {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "%s: holds text, not pixels", name);
    }
    uint64_t last = npy->n_dims == 4 ? npy->dims[3] : 1;
    if (npy->n_dims == 4 && last != 1 && last != 3 && last != 4) {
        bool channels_first = npy->dims[1] == 1 || npy->dims[1] == 3;
        return msfl_fail(MSFL_ERR_UNSUPPORTED,
                         channels_first
                             ? "%s: shape %s has its channels before height and width; store it as images x "
                               "height x width x channels (numpy: x.transpose(0, 2, 3, 1))"
                             : "%s: shape %s is one of volumes (3-D images); their slices are taken by a recipe of "
                               "'input: volume' (data import, simulate --recipe)",
                         name, shape);
    }
    if (npy->n_dims != 3 && npy->n_dims != 4) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED,
                         "%s: shape %s; images are expected as images x height x width or images x height x width x "
                         "channels",
                         name, shape);
    }
    if (npy->n_items == 0) return msfl_fail(MSFL_ERR_DATA, "%s: shape %s holds no images", name, shape);
    msfl_status status = msfl_image_check_size(name, npy->dims[2], npy->dims[1]);
    if (status != MSFL_OK) return status;
    if (npy->dims[0] > MSFL_IMAGES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: %llu images; at most %d are accepted", name,
                         (unsigned long long)npy->dims[0], MSFL_IMAGES_MAX);
    }
    *height = (uint32_t)npy->dims[1];
    *width = (uint32_t)npy->dims[2];
    *channels = (uint32_t)last;
    return MSFL_OK;
}

static bool is_plain_float(const msfl_npy *npy) {
    return npy->kind == 'f' && npy->item_bytes == 4 && !npy->big_endian;
}

static double item(const msfl_npy *npy, const uint8_t *p) {
    if (is_plain_float(npy)) {
        float v;
        memcpy(&v, p, sizeof v);
        return v;
    }
    return msfl_npy_number(npy, p);
}

static msfl_status find_range(msfl_npz *npz, const msfl_npz_images *array, const msfl_observer *observer, double *low,
                              double *high) {
    enum { CHUNK_ITEMS = 1 << 16 };
    const msfl_npy *npy = array->npy;
    msfl_zip_entry *entry = NULL;
    msfl_status status = MSFL_ERR_MEMORY;
    uint8_t *chunk = msfl_alloc(CHUNK_ITEMS, npy->item_bytes);
    if (chunk == NULL) goto done;
    status = msfl_npz_data_open(npz, array->index, &entry);
    for (uint64_t done_items = 0; status == MSFL_OK && done_items < npy->n_items;) {
        uint64_t n = npy->n_items - done_items < CHUNK_ITEMS ? npy->n_items - done_items : CHUNK_ITEMS;
        status = msfl_zip_entry_read(entry, chunk, n * npy->item_bytes);
        for (uint64_t i = 0; status == MSFL_OK && i < n; i++) {
            double v = item(npy, chunk + i * npy->item_bytes);
            if (!isfinite(v)) continue;
            if (v < *low) *low = v;
            if (v > *high) *high = v;
        }
        done_items += n;
        if (status == MSFL_OK) status = msfl_check_cancel(observer);
    }
    if (status == MSFL_OK) status = msfl_zip_entry_end(entry);
done:
    msfl_zip_entry_close(entry);
    msfl_free(chunk);
    return status;
}

msfl_status msfl_npz_pixel_map(msfl_npz *npz, const msfl_npz_images *arrays, size_t n_arrays,
                               const msfl_observer *observer, msfl_pixel_map *map, char **conversion) {
    const msfl_npy *npy = arrays[0].npy;
    bool direct8 = true, direct16 = true, whole = true, bits_only = true;
    for (size_t i = 0; i < n_arrays; i++) {
        const msfl_npy *a = arrays[i].npy;
        direct8 &= a->kind == 'u' && a->item_bytes == 1;
        direct16 &= a->kind == 'u' && a->item_bytes <= 2;
        whole &= a->kind != 'f';
        bits_only &= a->kind == 'b';
    }
    *map = (msfl_pixel_map){.bits = direct8 ? 8 : 16, .low = 0, .scale = 1};
    if (direct16) return MSFL_OK;
    if (bits_only) {
        *map = (msfl_pixel_map){.bits = 8, .low = 0, .scale = 255};
        return MSFL_OK;
    }
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < n_arrays; i++) {
        msfl_status status = find_range(npz, &arrays[i], observer, &low, &high);
        if (status != MSFL_OK) return status;
    }
    if (low > high) return MSFL_OK; /* no finite value at all: every picture will be found broken */
    if (whole && low >= 0 && high <= 65535) {
        map->bits = high <= 255 ? 8 : 16;
        return MSFL_OK;
    }
    *map = (msfl_pixel_map){.bits = 16, .low = low, .scale = high > low ? 65535 / (high - low) : 0};
    *conversion = msfl_format("%s%u values from %.6g to %.6g were scaled to 16 bits",
                              npy->kind == 'f'   ? "float"
                              : npy->kind == 'i' ? "int"
                                                 : "uint",
                              8 * npy->item_bytes, low, high);
    if (*conversion == NULL) return MSFL_ERR_MEMORY;
    msfl_observe_text(observer, MSFL_EVENT_INFO, "data", "%s", *conversion);
    return MSFL_OK;
}

typedef struct batch {
    msfl_dataset *set;
    const msfl_npz_images *array;
    const msfl_pixel_map *map;
    msfl_progress *progress;
    bool *broken;
    uint8_t *raw;      /* items of the pictures of the batch, or of the whole array in Fortran order */
    uint32_t first, n; /* pictures within the array */
    size_t picture_items;
    uint32_t width, height, channels;
} batch;

/* Fortran order: the picture number varies fastest, then the row, the column, the channel. */
static void gather(const batch *b, uint32_t picture, uint8_t *out) {
    const uint64_t *dims = b->array->npy->dims;
    size_t bytes = b->array->npy->item_bytes;
    for (size_t y = 0; y < b->height; y++) {
        for (size_t x = 0; x < b->width; x++) {
            for (size_t k = 0; k < b->channels; k++) {
                size_t from = picture + dims[0] * (y + dims[1] * (x + dims[2] * k));
                memcpy(out, b->raw + from * bytes, bytes);
                out += bytes;
            }
        }
    }
}

/* Items to samples; false when one is not finite. */
static bool to_samples(const batch *b, const uint8_t *raw, void *out) {
    const msfl_npy *npy = b->array->npy;
    const msfl_pixel_map *map = b->map;
    if (npy->kind == 'u' && npy->item_bytes == 1 && map->bits == 8) {
        memcpy(out, raw, b->picture_items);
        return true;
    }
    double top = map->bits == 8 ? 255 : 65535;
    /* Pictures of 8 bits beside others of 16: full scale to full scale. */
    double widen = npy->kind == 'u' && npy->item_bytes == 1 && map->bits == 16 && map->scale == 1 ? 257 : 1;
    bool finite = true;
    for (size_t i = 0; i < b->picture_items; i++) {
        double v = (item(npy, raw + i * npy->item_bytes) - map->low) * map->scale * widen;
        if (!isfinite(v)) finite = false;
        v = v > 0 ? v + 0.5 : 0;
        if (v > top) v = top;
        if (map->bits == 8) {
            ((uint8_t *)out)[i] = (uint8_t)v;
        } else {
            ((uint16_t *)out)[i] = (uint16_t)v;
        }
    }
    return finite;
}

/* Alpha onto black, in place: four samples become three. */
static void drop_alpha(msfl_image *image) {
    size_t n = (size_t)image->width * image->height;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < 3; k++) {
            if (image->bits == 8) {
                uint8_t *p = image->samples;
                p[3 * i + k] = (uint8_t)(((uint32_t)p[4 * i + k] * p[4 * i + 3] + 127) / 255);
            } else {
                uint16_t *p = image->samples;
                p[3 * i + k] = (uint16_t)(((uint64_t)p[4 * i + k] * p[4 * i + 3] + 32767) / 65535);
            }
        }
    }
    image->channels = 3;
}

static msfl_status convert_one(void *ctx, size_t index) {
    const batch *b = ctx;
    const msfl_npy *npy = b->array->npy;
    const msfl_dataset_info *info = &b->set->info;
    size_t image = b->array->first + b->first + index;
    msfl_status status = msfl_progress_step(b->progress, 1);
    if (status != MSFL_OK) return status;
    msfl_image picture = {0};
    uint8_t *gathered = NULL;
    const uint8_t *raw = b->raw + index * b->picture_items * npy->item_bytes;
    if (npy->fortran) {
        raw = gathered = msfl_alloc(b->picture_items, npy->item_bytes);
        if (gathered == NULL) return MSFL_ERR_MEMORY;
        gather(b, (uint32_t)index, gathered);
    }
    if (b->width == info->width && b->height == info->height && b->channels == info->channels &&
        b->map->bits == info->bits) {
        b->broken[image] |= !to_samples(b, raw, msfl_set_samples(b->set, image));
        goto done;
    }
    status = msfl_image_new(b->width, b->height, b->channels, b->map->bits, &picture);
    if (status != MSFL_OK) goto done;
    b->broken[image] |= !to_samples(b, raw, picture.samples);
    if (b->channels == 4) drop_alpha(&picture);
    status = msfl_image_fit(&picture, info->width, info->height, info->channels, info->bits,
                            msfl_set_samples(b->set, image));
done:
    msfl_image_clear(&picture);
    msfl_free(gathered);
    return status;
}

static msfl_status read_batches(batch *b, msfl_zip_entry *entry, msfl_pool *pool, uint32_t batch_max) {
    msfl_status status = MSFL_OK;
    size_t picture_bytes = b->picture_items * b->array->npy->item_bytes;
    for (b->first = 0; status == MSFL_OK && b->first < b->array->n; b->first += b->n) {
        b->n = b->array->n - b->first < batch_max ? b->array->n - b->first : batch_max;
        status = msfl_zip_entry_read(entry, b->raw, b->n * picture_bytes);
        if (status == MSFL_OK) status = msfl_pool_run(pool, b->n, convert_one, b);
    }
    return status == MSFL_OK ? msfl_zip_entry_end(entry) : status;
}

msfl_status msfl_npz_pixels(msfl_dataset *set, msfl_npz *npz, const msfl_npz_images *array, const msfl_pixel_map *map,
                            msfl_pool *pool, msfl_progress *progress, bool *broken) {
    const msfl_npy *npy = array->npy;
    batch b = {.set = set,
               .array = array,
               .map = map,
               .progress = progress,
               .broken = broken,
               .height = (uint32_t)npy->dims[1],
               .width = (uint32_t)npy->dims[2],
               .channels = npy->n_dims == 4 ? (uint32_t)npy->dims[3] : 1};
    b.picture_items = (size_t)b.width * b.height * b.channels;
    size_t picture_bytes = b.picture_items * npy->item_bytes;
    uint32_t batch_max = picture_bytes < BATCH_BYTES ? (uint32_t)(BATCH_BYTES / picture_bytes) : 1;
    msfl_zip_entry *entry = NULL;
    uint8_t *raw = NULL;
    msfl_status status;
    if (npy->fortran) {
        status = msfl_set_check_memory(set, (double)npy->data_bytes, "to turn an array in Fortran order");
        if (status == MSFL_OK) status = msfl_npz_data(npz, array->index, MSFL_ZIP_BYTES_MAX, &raw);
        b.raw = raw;
        if (status == MSFL_OK) status = msfl_pool_run(pool, array->n, convert_one, &b);
    } else {
        raw = msfl_alloc(batch_max < array->n ? batch_max : array->n, picture_bytes);
        b.raw = raw;
        status = raw == NULL ? MSFL_ERR_MEMORY : msfl_npz_data_open(npz, array->index, &entry);
        if (status == MSFL_OK) status = read_batches(&b, entry, pool, batch_max);
    }
    msfl_zip_entry_close(entry);
    msfl_free(raw);
    return status;
}
