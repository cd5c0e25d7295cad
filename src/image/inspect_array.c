#include "image/inspect_array.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "image/fault.h"
#include "image/npz.h"
#include "image/stream.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK_BYTES = 1 << 16 };

_Static_assert((int)MSFL_NPY_DIMS_MAX == (int)MSFL_INSPECT_DIMS_MAX, "one shape fits the other");

static const char *type_name(const msfl_npy *npy) {
    static const char *const unsigned_names[] = {"uint8", "uint16", "uint32", "uint64"};
    static const char *const signed_names[] = {"int8", "int16", "int32", "int64"};
    static const char *const float_names[] = {"", "float16", "float32", "float64"};
    int size = npy->item_bytes == 1 ? 0 : npy->item_bytes == 2 ? 1 : npy->item_bytes == 4 ? 2 : 3;
    switch (npy->kind) {
    case 'b':
        return "bool";
    case 'u':
        return unsigned_names[size];
    case 'i':
        return signed_names[size];
    case 'f':
        return float_names[size];
    default:
        return "text";
    }
}

static msfl_status describe(const char *path, const msfl_npy *npy, msfl_inspection *out) {
    out->dtype = type_name(npy);
    out->n_shape = npy->n_dims;
    memcpy(out->shape, npy->dims, sizeof out->shape);
    out->bits_stored = 8 * npy->item_bytes;
    out->has_rescale = true;
    out->slope = 1;
    if (npy->kind == 'S' || npy->kind == 'U') {
        return msfl_fault_fail(MSFL_FAULT_UNSUPPORTED_TYPE, "%s: an array of text", path);
    }
    return MSFL_OK;
}

typedef msfl_status (*read_fn)(void *from, void *out, size_t length);

static msfl_status measure(const msfl_npy *npy, read_fn read, void *from, msfl_inspection *out) {
    uint8_t *block = msfl_alloc(BLOCK_BYTES, 1), digest[MSFL_HASH_BYTES];
    if (block == NULL) return MSFL_NO_MEMORY;
    msfl_figures *f = &out->stored;
    msfl_hash h;
    double sum = 0;
    uint64_t left = npy->data_bytes;
    msfl_status status = MSFL_OK;
    msfl_hash_init(&h, "msfl.image.samples");
    while (left > 0 && status == MSFL_OK) {
        size_t n = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
        double part = 0;
        status = read(from, block, n);
        for (size_t i = 0; i < n && status == MSFL_OK; i += npy->item_bytes) {
            double v = msfl_npy_number(npy, block + i);
            if (!isfinite(v)) {
                f->n_nonfinite++;
                continue;
            }
            if (f->n == 0 || v < f->minimum) f->minimum = v;
            if (f->n == 0 || v > f->maximum) f->maximum = v;
            f->n++;
            part += v;
        }
        msfl_hash_add(&h, block, n);
        sum += part;
        left -= n;
    }
    msfl_free(block);
    msfl_hash_final(&h, digest);
    msfl_hex(digest, sizeof digest, out->digest);
    if (f->n > 0) f->mean = sum / (double)f->n;
    out->rescaled = *f;
    return status;
}

static msfl_status read_stream(void *from, void *out, size_t length) {
    return msfl_stream_read(from, out, length);
}

static msfl_status read_entry(void *from, void *out, size_t length) {
    return msfl_zip_entry_read(from, out, length);
}

static msfl_status inspect_npy(const char *path, msfl_inspection *out) {
    uint8_t prefix[MSFL_NPY_PREFIX_BYTES], *header = NULL;
    size_t length = 0;
    msfl_stream *stream = NULL;
    msfl_npy npy;
    FILE *file;
    msfl_status status = msfl_file_open(path, &file);
    if (status != MSFL_OK) return status;
    status = msfl_stream_new(path, file, &stream);
    if (status == MSFL_OK) status = msfl_stream_read(stream, prefix, sizeof prefix);
    if (status == MSFL_OK) status = msfl_npy_header_bytes(path, prefix, &length);
    if (status != MSFL_OK) goto done;
    if (length < sizeof prefix) {
        status = msfl_fault_fail(MSFL_FAULT_DAMAGED, "%s: a NumPy header of %zu bytes", path, length);
        goto done;
    }
    header = msfl_alloc(length, 1);
    if (header == NULL) {
        status = MSFL_NO_MEMORY;
        goto done;
    }
    memcpy(header, prefix, sizeof prefix);
    status = msfl_stream_read(stream, header + sizeof prefix, length - sizeof prefix);
    if (status == MSFL_OK) status = msfl_npy_parse(path, header, length, &npy);
    if (status == MSFL_OK && npy.header_bytes + npy.data_bytes > msfl_stream_bytes_max(stream)) {
        status = msfl_fault_fail(MSFL_FAULT_TRUNCATED, "%s: the array is cut off", path);
    }
    if (status == MSFL_OK) status = describe(path, &npy, out);
    if (status == MSFL_OK) status = measure(&npy, read_stream, stream, out);
done:
    msfl_free(header);
    msfl_stream_free(stream);
    fclose(file);
    return status;
}

/* The largest array that is numbers: in a data set, its images. */
static msfl_status inspect_npz(const char *path, msfl_inspection *out) {
    msfl_npz *npz;
    msfl_zip_entry *entry = NULL;
    const msfl_npy *npy = NULL, *one;
    size_t index = 0;
    msfl_status status = msfl_npz_open(path, &npz);
    if (status != MSFL_OK) return status;
    for (size_t i = 0; i < msfl_npz_n(npz); i++) {
        if (msfl_npz_describe(npz, i, &one) != MSFL_OK || one->kind == 'S' || one->kind == 'U') continue;
        if (npy != NULL && one->data_bytes <= npy->data_bytes) continue;
        npy = one;
        index = i;
    }
    if (npy == NULL) {
        status = msfl_fault_fail(MSFL_FAULT_NO_PIXELS, "%s: no array of numbers", path);
        goto done;
    }
    snprintf(out->array, sizeof out->array, "%s", msfl_npz_name(npz, index));
    status = describe(path, npy, out);
    if (status == MSFL_OK) status = msfl_npz_data_open(npz, index, &entry);
    if (status == MSFL_OK) status = measure(npy, read_entry, entry, out);
    if (status == MSFL_OK) status = msfl_zip_entry_end(entry);
done:
    if (entry != NULL) msfl_zip_entry_close(entry);
    msfl_npz_free(npz);
    return status;
}

msfl_status msfl_inspect_array(const char *path, msfl_image_format format, msfl_inspection *out) {
    out->format = msfl_image_format_name(format);
    out->colour = "";
    return format == MSFL_FORMAT_NPY ? inspect_npy(path, out) : inspect_npz(path, out);
}
