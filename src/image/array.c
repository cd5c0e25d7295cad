/* Arrays of numbers in files, as float32. */
#include "medsecurefl/array.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "image/npz.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK_BYTES = 1 << 16, TEXT_BYTES_MAX = 1 << 30 };

void msfl_array_clear(msfl_array *array) {
    msfl_free(array->values);
    *array = (msfl_array){0};
}

/* --- NumPy --- */

/** Room for what `npy` describes, if it is numbers in C order. */
static msfl_status make_room(const char *path, const msfl_npy *npy, msfl_array *out) {
    if (npy->kind == 'S' || npy->kind == 'U')
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "%s holds text, not numbers", path);
    if (npy->fortran && npy->n_dims > 1) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "%s is in Fortran order: save it with numpy.ascontiguousarray", path);
    }
    if (npy->n_items > MSFL_ARRAY_VALUES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s holds %llu numbers; 2^33 are the most", path,
                         (unsigned long long)npy->n_items);
    }
    out->rank = npy->n_dims;
    memcpy(out->dims, npy->dims, sizeof out->dims);
    out->n_values = npy->n_items;
    out->values = msfl_alloc(npy->n_items, sizeof *out->values);
    return out->values == NULL ? MSFL_NO_MEMORY : MSFL_OK;
}

_Static_assert((int)MSFL_NPY_DIMS_MAX == (int)MSFL_ARRAY_DIMS_MAX, "one shape fits the other");

static void convert(const msfl_npy *npy, const uint8_t *bytes, uint64_t first, size_t n, msfl_array *out) {
    for (size_t i = 0; i < n; i++)
        out->values[first + i] = (float)msfl_npy_number(npy, bytes + i * npy->item_bytes);
}

/** All items, block by block, from something that hands out bytes. */
static msfl_status read_items(const msfl_npy *npy, msfl_status (*read)(void *from, void *out, size_t length),
                              void *from, msfl_array *out) {
    uint8_t *block = msfl_alloc(BLOCK_BYTES, 1);
    if (block == NULL) return MSFL_NO_MEMORY;
    const size_t per_block = BLOCK_BYTES / npy->item_bytes;
    msfl_status status = MSFL_OK;
    for (uint64_t at = 0; status == MSFL_OK && at < npy->n_items;) {
        size_t n = npy->n_items - at < per_block ? (size_t)(npy->n_items - at) : per_block;
        status = read(from, block, n * npy->item_bytes);
        if (status == MSFL_OK) convert(npy, block, at, n, out);
        at += n;
    }
    msfl_free(block);
    return status;
}

static msfl_status read_file(void *from, void *out, size_t length) {
    if (fread(out, 1, length, from) == length) return MSFL_OK;
    return msfl_fail(MSFL_ERR_FORMAT, "the array is cut off");
}

static msfl_status read_entry(void *from, void *out, size_t length) {
    return msfl_zip_entry_read(from, out, length);
}

static msfl_status load_npy(const char *path, FILE *file, uint64_t size, msfl_array *out) {
    uint8_t prefix[MSFL_NPY_PREFIX_BYTES], *header = NULL;
    size_t length;
    msfl_npy npy;
    msfl_status status = read_file(file, prefix, sizeof prefix);
    if (status == MSFL_OK) status = msfl_npy_header_bytes(path, prefix, &length);
    if (status != MSFL_OK) return status;
    header = msfl_alloc(length, 1);
    if (header == NULL) return MSFL_NO_MEMORY;
    memcpy(header, prefix, length < sizeof prefix ? length : sizeof prefix);
    if (length > sizeof prefix) status = read_file(file, header + sizeof prefix, length - sizeof prefix);
    if (status == MSFL_OK) status = msfl_npy_parse(path, header, length, &npy);
    /* The file is long enough before memory is asked for. */
    if (status == MSFL_OK && (npy.header_bytes > size || npy.data_bytes != size - npy.header_bytes)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "the file has another length than its header says");
    }
    if (status == MSFL_OK) status = make_room(path, &npy, out);
    if (status == MSFL_OK && fseek(file, (long)npy.header_bytes, SEEK_SET) != 0) {
        status = msfl_fail_errno(errno, "cannot read %s", path);
    }
    if (status == MSFL_OK) status = read_items(&npy, read_file, file, out);
    msfl_free(header);
    return status;
}

static msfl_status load_npz(const char *path, const char *name, msfl_array *out) {
    msfl_npz *npz;
    msfl_zip_entry *entry = NULL;
    const msfl_npy *npy;
    size_t index = 0;
    msfl_status status = msfl_npz_open(path, &npz);
    if (status != MSFL_OK) return status;
    if (name != NULL && !msfl_npz_find(npz, name, &index)) {
        status = msfl_fail(MSFL_ERR_MISSING, "%s has no array called '%s'", path, name);
    } else if (name == NULL && msfl_npz_n(npz) != 1) {
        status = msfl_fail(MSFL_ERR_USAGE, "%s holds %zu arrays: say which with --array", path, msfl_npz_n(npz));
    }
    if (status == MSFL_OK) status = msfl_npz_describe(npz, index, &npy);
    if (status == MSFL_OK) status = make_room(path, npy, out);
    if (status == MSFL_OK) status = msfl_npz_data_open(npz, index, &entry);
    if (status == MSFL_OK) status = read_items(npy, read_entry, entry, out);
    if (status == MSFL_OK) status = msfl_zip_entry_end(entry);
    if (entry != NULL) msfl_zip_entry_close(entry);
    msfl_npz_free(npz);
    return status;
}

/* --- text --- */

static msfl_status load_text(const char *path, msfl_array *out) {
    uint8_t *bytes;
    size_t length, capacity = 0, line = 1;
    void *values = NULL;
    msfl_status status = msfl_file_read(path, TEXT_BYTES_MAX, &bytes, &length);
    if (status != MSFL_OK) return status;
    const char *p = (const char *)bytes, *end = p + length; /* a zero follows */
    while (status == MSFL_OK) {
        while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n' || *p == ',' || *p == '#')) {
            if (*p == '#')
                while (p + 1 < end && p[1] != '\n')
                    p++;
            if (*p == '\n') line++;
            p++;
        }
        if (p == end) break;
        char *after;
        float value = strtof(p, &after);
        if (after == p || (after != end && (*after == 0 || strchr(" \t\r\n,#", *after) == NULL))) {
            status = msfl_fail(MSFL_ERR_FORMAT,
                               "%s, line %zu: not a number; the file is neither .npy nor .npz nor text", path, line);
            break;
        }
        status = msfl_grow(&values, &capacity, out->n_values + 1, sizeof(float));
        if (status == MSFL_OK) ((float *)values)[out->n_values++] = value;
        p = after;
    }
    msfl_free(bytes);
    out->values = values;
    out->rank = 1;
    out->dims[0] = out->n_values;
    return status;
}

/* --- all of them --- */

msfl_status msfl_array_load(const char *path, const char *name, msfl_array *out) {
    *out = (msfl_array){0};
    msfl_array array = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang the open */
    if (fd < 0) return msfl_fail_errno(errno, "cannot open %s", path);
    struct stat info;
    FILE *file = NULL;
    msfl_status status = MSFL_OK;
    if (fstat(fd, &info) != 0) {
        status = msfl_fail_errno(errno, "cannot examine %s", path);
    } else if (!S_ISREG(info.st_mode)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s is not a regular file", path);
    } else if ((file = fdopen(fd, "rb")) == NULL) {
        status = msfl_fail_errno(errno, "cannot open %s", path);
    }
    if (file == NULL) {
        close(fd);
        return status;
    }
    uint8_t start[6] = {0};
    size_t n = fread(start, 1, sizeof start, file);
    bool is_zip = n >= 4 && memcmp(start, "PK\3\4", 4) == 0;
    if (!is_zip && name != NULL) {
        status = msfl_fail(MSFL_ERR_USAGE, "%s holds one array only, so none is to be named", path);
    } else if (is_zip) {
        status = load_npz(path, name, &array);
    } else if (n == sizeof start && memcmp(start, "\x93NUMPY", 6) == 0) {
        rewind(file);
        status = load_npy(path, file, (uint64_t)info.st_size, &array);
        if (status != MSFL_OK) status = msfl_fail_in(status, "%s", path);
    } else {
        status = load_text(path, &array);
    }
    (void)fclose(file); /* it was only read */
    if (status != MSFL_OK) {
        msfl_array_clear(&array);
        return status;
    }
    *out = array;
    return MSFL_OK;
}

/* --- writing --- */

static bool ends_in(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static msfl_status write_npy(msfl_output *output, const msfl_array *array) {
    char header[256];
    int n = snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (uint32_t i = 0; i < array->rank; i++)
        n += snprintf(header + n, sizeof header - (size_t)n, "%llu,%s", (unsigned long long)array->dims[i],
                      i + 1 < array->rank ? " " : "");
    n += snprintf(header + n, sizeof header - (size_t)n, "), }");
    /* 8 dims of at most 20 digits fit; the whole header is a multiple of 64 and ends in a newline */
    uint8_t all[10 + sizeof header + 64];
    size_t total = ((size_t)n + 1 + 10 + 63) / 64 * 64;
    memset(all, ' ', sizeof all);
    static const uint8_t start[8] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
    memcpy(all, start, sizeof start);
    msfl_store16(all + 8, (uint16_t)(total - 10));
    memcpy(all + 10, header, (size_t)n);
    all[total - 1] = '\n';
    msfl_status status = msfl_output_write(output, all, total);
    enum { BLOCK = 4096 };
    uint8_t block[BLOCK * 4];
    for (uint64_t at = 0; status == MSFL_OK && at < array->n_values; at += BLOCK) {
        size_t count = array->n_values - at < BLOCK ? (size_t)(array->n_values - at) : BLOCK;
        for (size_t i = 0; i < count; i++) {
            uint32_t bits;
            memcpy(&bits, array->values + at + i, sizeof bits);
            msfl_store32(block + 4 * i, bits);
        }
        status = msfl_output_write(output, block, 4 * count);
    }
    return status;
}

static msfl_status write_text(msfl_output *output, const msfl_array *array) {
    msfl_buffer text = {0};
    msfl_status status = MSFL_OK;
    for (uint64_t i = 0; status == MSFL_OK && i < array->n_values; i++) {
        msfl_put_text(&text, "%.9g\n", (double)array->values[i]);
        status = text.status;
        if (status == MSFL_OK && (text.length > BLOCK_BYTES || i + 1 == array->n_values)) {
            status = msfl_output_write(output, text.bytes, text.length);
            text.length = 0;
        }
    }
    msfl_buffer_clear(&text);
    return status;
}

msfl_status msfl_array_save(const char *path, const msfl_array *array, bool replace) {
    msfl_output *output;
    msfl_status status = msfl_output_open(path, replace ? MSFL_OUTPUT_REPLACE : MSFL_OUTPUT_NEW, &output);
    if (status == MSFL_OK) status = ends_in(path, ".npy") ? write_npy(output, array) : write_text(output, array);
    if (status == MSFL_OK) status = msfl_output_commit(output);
    msfl_output_free(output);
    return status;
}
