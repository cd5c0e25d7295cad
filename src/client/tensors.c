#include "client/tensors.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/output.h"
#include "image/npz.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

/* --- names and shapes --- */

void client_tensor_name(const job_shape *shape, uint32_t i, char text[200]) {
    if (shape->model == NULL) {
        snprintf(text, 200, "%s", shape->spec->tensors[i].name);
        return;
    }
    const msfl_tensor *t = msfl_model_tensor(shape->model, i);
    snprintf(text, 200, "%.90s/%.90s", t->layer, t->name);
}

uint32_t client_tensor_dims(const job_shape *shape, uint32_t i, uint64_t dims[JOB_RANK_MAX]) {
    if (shape->model == NULL) {
        const job_tensor *t = &shape->spec->tensors[i];
        memcpy(dims, t->shape, t->rank * sizeof *dims);
        return t->rank;
    }
    const msfl_tensor *t = msfl_model_tensor(shape->model, i);
    for (uint32_t k = 0; k < t->rank; k++)
        dims[k] = t->shape[k];
    return t->rank;
}

/* --- writing: a zip archive without compression, all entries of one day, so that its bytes follow from the weights ---
 */

enum { ZIP_LOCAL = 0x04034b50, ZIP_CENTRAL = 0x02014b50, ZIP_END = 0x06054b50, ZIP_DATE = 0x21 /* 1 January 1980 */ };

typedef struct entry {
    char name[208];
    uint32_t crc, size, offset;
} entry;

typedef struct archive {
    msfl_output *out;
    entry *entries;
    uint32_t n;
    uint64_t at;
    uint32_t table[256];
} archive;

/* CRC-32 of ISO 3309, reflected. */
static void make_table(uint32_t table[256]) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = (c & 1) != 0 ? 0xedb88320u ^ c >> 1 : c >> 1;
        table[i] = c;
    }
}

static uint32_t crc(const archive *a, uint32_t c, const void *bytes, size_t length) {
    const uint8_t *p = bytes;
    c = ~c;
    for (size_t i = 0; i < length; i++)
        c = a->table[(c ^ p[i]) & 0xff] ^ c >> 8;
    return ~c;
}

static msfl_status put(archive *a, const void *bytes, size_t length) {
    a->at += length;
    return msfl_output_write(a->out, bytes, length);
}

static void put16(msfl_buffer *b, uint32_t v) {
    msfl_put8(b, (uint8_t)v);
    msfl_put8(b, (uint8_t)(v >> 8));
}

/* What local header and directory share. */
static void put_common(msfl_buffer *b, const entry *e) {
    put16(b, 20); /* version needed */
    put16(b, 0);
    put16(b, 0); /* stored */
    put16(b, 0);
    put16(b, ZIP_DATE);
    msfl_put32(b, e->crc);
    msfl_put32(b, e->size);
    msfl_put32(b, e->size);
    put16(b, (uint32_t)strlen(e->name));
    put16(b, 0);
}

/* Prefix and header of a .npy of version 1, padded so that the data begins at a multiple of 64. */
static void npy_header(const job_shape *shape, uint32_t i, msfl_buffer *b) {
    uint64_t dims[JOB_RANK_MAX];
    const uint32_t rank = client_tensor_dims(shape, i, dims);
    msfl_buffer text = {0};
    msfl_put_text(&text, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (uint32_t k = 0; k < rank; k++)
        msfl_put_text(&text, "%" PRIu64 "%s", dims[k], k + 1 < rank ? ", " : rank == 1 ? "," : "");
    msfl_put_text(&text, "), }");
    while (text.status == MSFL_OK && (10 + text.length + 1) % 64 != 0)
        msfl_put8(&text, ' ');
    msfl_put8(&text, '\n');
    msfl_put_bytes(b, "\x93NUMPY\x01\x00", 8);
    put16(b, (uint32_t)text.length);
    msfl_put_bytes(b, text.bytes, text.length);
    if (text.status != MSFL_OK) b->status = text.status;
    msfl_buffer_clear(&text);
}

static msfl_status put_tensor(archive *a, const job_shape *shape, uint32_t i, const float *values) {
    msfl_buffer header = {0}, local = {0};
    entry *e = &a->entries[a->n++];
    const size_t bytes = shape->counts[i] * sizeof *values;
    char name[200];
    client_tensor_name(shape, i, name);
    snprintf(e->name, sizeof e->name, "%s.npy", name);
    npy_header(shape, i, &header);
    e->crc = crc(a, crc(a, 0, header.bytes, header.length), values, bytes);
    e->size = (uint32_t)(header.length + bytes);
    e->offset = (uint32_t)a->at;
    msfl_put32(&local, ZIP_LOCAL);
    put_common(&local, e);
    msfl_put_bytes(&local, e->name, strlen(e->name));
    msfl_status status = header.status != MSFL_OK ? header.status : local.status;
    if (status == MSFL_OK) status = put(a, local.bytes, local.length);
    if (status == MSFL_OK) status = put(a, header.bytes, header.length);
    if (status == MSFL_OK) status = put(a, values, bytes);
    msfl_buffer_clear(&header);
    msfl_buffer_clear(&local);
    return status;
}

static msfl_status put_directory(archive *a) {
    msfl_buffer b = {0};
    const uint32_t at = (uint32_t)a->at;
    for (uint32_t i = 0; i < a->n; i++) {
        msfl_put32(&b, ZIP_CENTRAL);
        put16(&b, 20);
        put_common(&b, &a->entries[i]);
        put16(&b, 0);
        put16(&b, 0);
        put16(&b, 0);
        msfl_put32(&b, 0);
        msfl_put32(&b, a->entries[i].offset);
        msfl_put_bytes(&b, a->entries[i].name, strlen(a->entries[i].name));
    }
    const uint32_t length = (uint32_t)b.length;
    msfl_put32(&b, ZIP_END);
    msfl_put32(&b, 0);
    put16(&b, a->n);
    put16(&b, a->n);
    msfl_put32(&b, length);
    msfl_put32(&b, at);
    put16(&b, 0);
    msfl_status status = b.status == MSFL_OK ? put(a, b.bytes, b.length) : b.status;
    msfl_buffer_clear(&b);
    return status;
}

/* At most 2^28 values and 1024 tensors: 1 GiB and a little, far below what 32-bit offsets hold. */
static msfl_status write_npz(const char *path, const job_shape *shape, const float *weights) {
    archive a = {0};
    make_table(a.table);
    a.entries = msfl_alloc(shape->n_tensors, sizeof *a.entries);
    if (a.entries == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_output_open(path, MSFL_OUTPUT_NEW | MSFL_OUTPUT_PRIVATE, &a.out);
    for (uint32_t i = 0; i < shape->n_tensors && status == MSFL_OK; i++) {
        status = put_tensor(&a, shape, i, weights);
        weights += shape->counts[i];
    }
    if (status == MSFL_OK) status = put_directory(&a);
    if (status == MSFL_OK) status = msfl_output_commit(a.out);
    msfl_output_free(a.out);
    msfl_free(a.entries);
    return status;
}

msfl_status client_tensors_write(const char *path, client_format format, const job_shape *shape, const float *weights) {
    if (format == CLIENT_NPZ) return write_npz(path, shape, weights);
    if (shape->model == NULL) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED,
                         "the job's network is known by its tensors alone: the trainer in site.yaml "
                         "must take format: npz");
    }
    char recipe[2 * MSFL_HASH_BYTES + 1];
    const msfl_model_facts facts = job_spec_facts(shape->spec, recipe);
    return msfl_model_save(path, shape->model, weights, &facts);
}

/* --- reading --- */

static msfl_status check_values(const float *values, uint64_t n, const char *name) {
    for (uint64_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            return msfl_fail(MSFL_ERR_NUMERIC, "the trainer's weights: '%s' holds a value that is not finite", name);
        }
    }
    return MSFL_OK;
}

static msfl_status check_array(const job_shape *shape, uint32_t i, const char *name, const msfl_npy *array) {
    uint64_t dims[JOB_RANK_MAX];
    const uint32_t rank = client_tensor_dims(shape, i, dims);
    bool same = array->n_dims == rank;
    for (uint32_t k = 0; same && k < rank; k++)
        same = array->dims[k] == dims[k];
    char text[200];
    if (!same) {
        return msfl_fail(MSFL_ERR_MISMATCH, "the trainer's weights: '%s' has the shape %s, which is not the job's",
                         name, msfl_npy_shape_text(array, text));
    }
    if (array->kind != 'f' || array->item_bytes < 4 || (array->fortran && rank > 1)) {
        return msfl_fail(MSFL_ERR_MISMATCH,
                         "the trainer's weights: '%s' must be float32 or float64, the last index varying fastest",
                         name);
    }
    return MSFL_OK;
}

static msfl_status read_array(msfl_npz *npz, const job_shape *shape, uint32_t i, float *values) {
    char name[200];
    size_t index;
    const msfl_npy *array;
    uint8_t *bytes = NULL;
    client_tensor_name(shape, i, name);
    if (!msfl_npz_find(npz, name, &index)) {
        return msfl_fail(MSFL_ERR_MISMATCH, "the trainer's weights: no array '%s'", name);
    }
    msfl_status status = msfl_npz_describe(npz, index, &array);
    if (status == MSFL_OK) status = check_array(shape, i, name, array);
    if (status == MSFL_OK) status = msfl_npz_data(npz, index, shape->counts[i] * 8, &bytes);
    if (status != MSFL_OK) return status;
    for (uint64_t k = 0; k < shape->counts[i]; k++)
        values[k] = (float)msfl_npy_number(array, bytes + k * array->item_bytes);
    msfl_free(bytes);
    return check_values(values, shape->counts[i], name);
}

static msfl_status read_npz(const char *path, const job_shape *shape, float *weights) {
    msfl_npz *npz;
    msfl_status status = msfl_npz_open(path, &npz);
    if (status != MSFL_OK) return status;
    if (msfl_npz_n(npz) != shape->n_tensors) {
        status = msfl_fail(MSFL_ERR_MISMATCH, "the trainer's weights: %zu arrays where the job has %" PRIu32,
                           msfl_npz_n(npz), shape->n_tensors);
    }
    for (uint32_t i = 0; i < shape->n_tensors && status == MSFL_OK; i++) {
        status = read_array(npz, shape, i, weights);
        weights += shape->counts[i];
    }
    msfl_npz_free(npz);
    return status;
}

static msfl_status read_h5(const char *path, const job_shape *shape, float *weights) {
    msfl_model *model;
    float *values;
    uint8_t a[MSFL_HASH_BYTES], b[MSFL_HASH_BYTES];
    msfl_status status = msfl_model_load(path, &model, &values, NULL);
    if (status != MSFL_OK) return status;
    msfl_model_hash(model, a);
    msfl_model_hash(shape->model, b);
    if (memcmp(a, b, sizeof a) != 0) {
        status = msfl_fail(MSFL_ERR_MISMATCH, "the trainer's weights: a file of another network than the job's");
    } else {
        memcpy(weights, values, shape->n_values * sizeof *weights);
        status = check_values(weights, shape->n_values, "a tensor");
    }
    msfl_floats_free(values);
    msfl_model_free(model);
    return status;
}

msfl_status client_tensors_read(const char *path, client_format format, const job_shape *shape, float *weights) {
    struct stat st;
    if (lstat(path, &st) != 0) return msfl_fail_errno(errno, "the trainer has not written %s", path);
    if (!S_ISREG(st.st_mode)) return msfl_fail(MSFL_ERR_FORMAT, "%s is not a regular file", path);
    const uint64_t most = shape->n_values * 8 + shape->n_tensors * (uint64_t)1024 + (1 << 20);
    if ((uint64_t)st.st_size > most) {
        return msfl_fail(MSFL_ERR_LIMIT, "the trainer's weights have %lld bytes, the job's have at most %" PRIu64,
                         (long long)st.st_size, most);
    }
    if (format == CLIENT_NPZ) return read_npz(path, shape, weights);
    return shape->model == NULL ? msfl_fail(MSFL_ERR_UNSUPPORTED, "tensors come as npz")
                                : read_h5(path, shape, weights);
}
