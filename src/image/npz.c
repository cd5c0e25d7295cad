#include "image/npz.h"

#include "base/error.h"
#include "base/mem.h"

#include <string.h>

struct msfl_npz {
    msfl_zip *zip;
    char *path;
    struct array {
        char *name;
        bool described;
        msfl_npy npy;
    } * arrays;
};

void msfl_npz_free(msfl_npz *npz) {
    if (npz == NULL) return;
    for (size_t i = 0; npz->arrays != NULL && i < msfl_zip_n(npz->zip); i++)
        msfl_free(npz->arrays[i].name);
    msfl_free(npz->arrays);
    msfl_free(npz->path);
    msfl_zip_free(npz->zip);
    msfl_free(npz);
}

/* Takes `zip`. */
static msfl_status open_zip(const char *path, msfl_zip *zip, msfl_npz **out) {
    msfl_npz *npz = msfl_alloc(1, sizeof *npz);
    if (npz == NULL) {
        msfl_zip_free(zip);
        return MSFL_ERR_MEMORY;
    }
    npz->zip = zip;
    npz->path = msfl_strdup(path);
    npz->arrays = msfl_alloc(msfl_zip_n(zip), sizeof *npz->arrays);
    bool failed = npz->path == NULL || npz->arrays == NULL;
    for (size_t i = 0; !failed && i < msfl_zip_n(zip); i++) {
        const char *name = msfl_zip_name(zip, i);
        size_t n = strlen(name);
        if (n > 4 && strcmp(name + n - 4, ".npy") == 0) n -= 4;
        npz->arrays[i].name = msfl_strndup(name, n);
        failed = npz->arrays[i].name == NULL;
    }
    if (failed) {
        msfl_npz_free(npz);
        return MSFL_ERR_MEMORY;
    }
    *out = npz;
    return MSFL_OK;
}

msfl_status msfl_npz_open(const char *path, msfl_npz **out) {
    *out = NULL;
    msfl_zip *zip;
    msfl_status status = msfl_zip_open(path, &zip);
    return status != MSFL_OK ? status : open_zip(path, zip, out);
}

msfl_status msfl_npz_open_bytes(const char *name, const uint8_t *bytes, size_t length, msfl_npz **out) {
    *out = NULL;
    msfl_zip *zip;
    msfl_status status = msfl_zip_open_bytes(name, bytes, length, &zip);
    return status != MSFL_OK ? status : open_zip(name, zip, out);
}

size_t msfl_npz_n(const msfl_npz *npz) {
    return msfl_zip_n(npz->zip);
}

const char *msfl_npz_name(const msfl_npz *npz, size_t index) {
    return npz->arrays[index].name;
}

bool msfl_npz_find(const msfl_npz *npz, const char *name, size_t *index) {
    for (size_t i = 0; i < msfl_npz_n(npz); i++) {
        if (strcmp(npz->arrays[i].name, name) == 0) {
            *index = i;
            return true;
        }
    }
    return false;
}

/* Reads prefix and header and leaves `entry` at the first byte of the data. */
static msfl_status read_header(const char *name, uint64_t entry_bytes, msfl_zip_entry *entry, msfl_npy *out) {
    uint8_t prefix[MSFL_NPY_PREFIX_BYTES];
    if (entry_bytes < sizeof prefix) return msfl_fail(MSFL_ERR_FORMAT, "%s: not a NumPy array", name);
    msfl_status status = msfl_zip_entry_read(entry, prefix, sizeof prefix);
    size_t header_bytes = 0;
    if (status == MSFL_OK) status = msfl_npy_header_bytes(name, prefix, &header_bytes);
    if (status != MSFL_OK) return status;
    if (header_bytes > entry_bytes) return msfl_fail(MSFL_ERR_FORMAT, "%s: the array header is cut short", name);
    uint8_t *header = msfl_alloc(header_bytes, 1);
    if (header == NULL) return MSFL_ERR_MEMORY;
    memcpy(header, prefix, sizeof prefix);
    status = msfl_zip_entry_read(entry, header + sizeof prefix, header_bytes - sizeof prefix);
    if (status == MSFL_OK) status = msfl_npy_parse(name, header, header_bytes, out);
    msfl_free(header);
    if (status == MSFL_OK && out->data_bytes != entry_bytes - header_bytes) {
        char shape[200];
        status = msfl_fail(
            MSFL_ERR_FORMAT, "%s: the header promises %s of %u bytes each, but there are %llu bytes of data", name,
            msfl_npy_shape_text(out, shape), out->item_bytes, (unsigned long long)(entry_bytes - header_bytes));
    }
    return status;
}

static msfl_status open_array(msfl_npz *npz, size_t index, msfl_npy *npy, msfl_zip_entry **out) {
    msfl_zip_entry *entry;
    msfl_status status = msfl_zip_entry_open(npz->zip, index, &entry);
    if (status != MSFL_OK) return status;
    char *name = msfl_format("%s, array '%s'", npz->path, npz->arrays[index].name);
    status = name == NULL ? MSFL_ERR_MEMORY : read_header(name, msfl_zip_bytes(npz->zip, index), entry, npy);
    msfl_free(name);
    if (status != MSFL_OK) {
        msfl_zip_entry_close(entry);
        return status;
    }
    *out = entry;
    return MSFL_OK;
}

msfl_status msfl_npz_describe(msfl_npz *npz, size_t index, const msfl_npy **out) {
    struct array *array = &npz->arrays[index];
    if (!array->described) {
        msfl_zip_entry *entry;
        msfl_npy npy;
        msfl_status status = open_array(npz, index, &npy, &entry);
        if (status != MSFL_OK) return status;
        msfl_zip_entry_close(entry);
        array->npy = npy;
        array->described = true;
    }
    *out = &array->npy;
    return MSFL_OK;
}

msfl_status msfl_npz_data_open(msfl_npz *npz, size_t index, msfl_zip_entry **out) {
    *out = NULL;
    msfl_npy npy;
    return open_array(npz, index, &npy, out);
}

msfl_status msfl_npz_data(msfl_npz *npz, size_t index, uint64_t bytes_max, uint8_t **out) {
    *out = NULL;
    const msfl_npy *npy;
    msfl_status status = msfl_npz_describe(npz, index, &npy);
    if (status != MSFL_OK) return status;
    if (npy->data_bytes > bytes_max) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s, array '%s': %llu bytes; at most %llu are accepted here", npz->path,
                         npz->arrays[index].name, (unsigned long long)npy->data_bytes, (unsigned long long)bytes_max);
    }
    msfl_zip_entry *entry = NULL;
    uint8_t *bytes = msfl_alloc(npy->data_bytes, 1);
    if (bytes == NULL) return MSFL_ERR_MEMORY;
    status = msfl_npz_data_open(npz, index, &entry);
    if (status == MSFL_OK) status = msfl_zip_entry_read(entry, bytes, npy->data_bytes);
    if (status == MSFL_OK) status = msfl_zip_entry_end(entry);
    msfl_zip_entry_close(entry);
    if (status != MSFL_OK) {
        msfl_free(bytes);
        return status;
    }
    *out = bytes;
    return MSFL_OK;
}
