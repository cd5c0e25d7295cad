#include "image/zip.h"

#include "base/error.h"
#include "base/mem.h"

#include <string.h>
#include <sys/stat.h>

#include <zip.h>

struct msfl_zip {
    zip_t *archive;
    char *name;
    size_t n;
    struct entry {
        char *name;
        uint64_t bytes;
    } * entries;
};

struct msfl_zip_entry {
    const msfl_zip *zip;
    zip_file_t *file;
    const char *name;
};

void msfl_zip_free(msfl_zip *zip) {
    if (zip == NULL) return;
    if (zip->archive != NULL) zip_discard(zip->archive);
    for (size_t i = 0; zip->entries != NULL && i < zip->n; i++)
        msfl_free(zip->entries[i].name);
    msfl_free(zip->entries);
    msfl_free(zip->name);
    msfl_free(zip);
}

static msfl_status from_zip_error(zip_error_t *error, const char *name) {
    int code = zip_error_code_zip(error);
    msfl_status status = code == ZIP_ER_MEMORY                                               ? MSFL_ERR_MEMORY
                         : code == ZIP_ER_OPEN || code == ZIP_ER_READ || code == ZIP_ER_SEEK ? MSFL_ERR_IO
                                                                                             : MSFL_ERR_FORMAT;
    return msfl_fail(status, "%s: %s", name, zip_error_strerror(error));
}

static msfl_status check_entry(const msfl_zip *zip, const zip_stat_t *s) {
    zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if ((s->valid & needed) != needed) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: an entry of the zip directory is incomplete", zip->name);
    }
    if ((s->valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 && s->encryption_method != ZIP_EM_NONE) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "%s: entry '%s' is encrypted", zip->name, s->name);
    }
    if (s->comp_method != ZIP_CM_STORE && s->comp_method != ZIP_CM_DEFLATE) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED,
                         "%s: entry '%s' uses compression method %d; numpy writes 0 (stored) or 8 (deflate)", zip->name,
                         s->name, s->comp_method);
    }
    if (s->size > MSFL_ZIP_BYTES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: entry '%s' would unpack to %llu bytes; at most %llu are accepted",
                         zip->name, s->name, (unsigned long long)s->size, (unsigned long long)MSFL_ZIP_BYTES_MAX);
    }
    bool possible =
        s->comp_method == ZIP_CM_STORE ? s->size == s->comp_size : s->size <= 64 || s->size / 1032 <= s->comp_size;
    if (!possible) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: the zip directory says that %llu bytes of entry '%s' unpack to %llu",
                         zip->name, (unsigned long long)s->comp_size, s->name, (unsigned long long)s->size);
    }
    return MSFL_OK;
}

static msfl_status read_directory(msfl_zip *zip, uint64_t file_bytes) {
    zip_int64_t n = zip_get_num_entries(zip->archive, 0);
    if (n < 0 || n > MSFL_ZIP_ENTRIES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: %lld entries; at most %d are accepted", zip->name, (long long)n,
                         MSFL_ZIP_ENTRIES_MAX);
    }
    if (n == 0)
        return msfl_fail(MSFL_ERR_FORMAT, "%s: %s", zip->name, file_bytes == 0 ? "an empty file" : "an empty archive");
    zip->n = (size_t)n;
    zip->entries = msfl_alloc(zip->n, sizeof *zip->entries);
    if (zip->entries == NULL) return MSFL_ERR_MEMORY;
    uint64_t packed = 0;
    for (size_t i = 0; i < zip->n; i++) {
        zip_stat_t s;
        zip_stat_init(&s);
        if (zip_stat_index(zip->archive, i, 0, &s) != 0) {
            return from_zip_error(zip_get_error(zip->archive), zip->name);
        }
        msfl_status status = check_entry(zip, &s);
        if (status != MSFL_OK) return status;
        if (__builtin_add_overflow(packed, s.comp_size, &packed) || packed > file_bytes) {
            return msfl_fail(MSFL_ERR_FORMAT,
                             "%s: the entries of the zip directory add up to more than the %llu bytes of the file",
                             zip->name, (unsigned long long)file_bytes);
        }
        zip->entries[i].bytes = s.size;
        zip->entries[i].name = msfl_strdup(s.name);
        if (zip->entries[i].name == NULL) return MSFL_ERR_MEMORY;
    }
    return MSFL_OK;
}

/* Takes `source`. */
static msfl_status open_source(const char *name, zip_source_t *source, uint64_t file_bytes, msfl_zip **out) {
    msfl_status status = MSFL_ERR_MEMORY;
    zip_error_t error;
    zip_error_init(&error);
    msfl_zip *zip = msfl_alloc(1, sizeof *zip);
    if (zip == NULL) goto done;
    zip->name = msfl_strdup(name);
    if (zip->name == NULL) goto done;
    zip->archive = zip_open_from_source(source, ZIP_RDONLY, &error);
    if (zip->archive == NULL) {
        status = from_zip_error(&error, name);
        goto done;
    }
    source = NULL; /* the archive holds it now */
    status = read_directory(zip, file_bytes);
    if (status != MSFL_OK) goto done;
    *out = zip;
    zip = NULL;
done:
    if (source != NULL) zip_source_free(source);
    zip_error_fini(&error);
    msfl_zip_free(zip);
    return status;
}

msfl_status msfl_zip_open(const char *path, msfl_zip **out) {
    *out = NULL;
    /* A FIFO or device would hang the open. */
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s is not a regular file", path);
    }
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_file_create(path, 0, -1, &error);
    msfl_status status = MSFL_OK;
    if (source == NULL) {
        status = from_zip_error(&error, path);
    } else if (stat(path, &info) != 0) {
        zip_source_free(source);
        status = msfl_fail(MSFL_ERR_MISSING, "cannot open %s: there is no such file", path);
    } else {
        status = open_source(path, source, (uint64_t)info.st_size, out);
    }
    zip_error_fini(&error);
    return status;
}

msfl_status msfl_zip_open_bytes(const char *name, const uint8_t *bytes, size_t length, msfl_zip **out) {
    *out = NULL;
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(bytes, length, 0, &error);
    msfl_status status = source == NULL ? from_zip_error(&error, name) : open_source(name, source, length, out);
    zip_error_fini(&error);
    return status;
}

size_t msfl_zip_n(const msfl_zip *zip) {
    return zip->n;
}

const char *msfl_zip_name(const msfl_zip *zip, size_t index) {
    return zip->entries[index].name;
}

uint64_t msfl_zip_bytes(const msfl_zip *zip, size_t index) {
    return zip->entries[index].bytes;
}

msfl_status msfl_zip_entry_open(msfl_zip *zip, size_t index, msfl_zip_entry **out) {
    *out = NULL;
    msfl_zip_entry *entry = msfl_alloc(1, sizeof *entry);
    if (entry == NULL) return MSFL_ERR_MEMORY;
    entry->zip = zip;
    entry->name = zip->entries[index].name;
    entry->file = zip_fopen_index(zip->archive, index, 0);
    if (entry->file == NULL) {
        msfl_free(entry);
        msfl_status status = from_zip_error(zip_get_error(zip->archive), zip->name);
        return msfl_fail_in(status, "entry '%s'", zip->entries[index].name);
    }
    *out = entry;
    return MSFL_OK;
}

msfl_status msfl_zip_entry_read(msfl_zip_entry *entry, void *out, size_t length) {
    uint8_t *at = out;
    while (length > 0) {
        zip_int64_t n = zip_fread(entry->file, at, length);
        if (n < 0) {
            msfl_status status = from_zip_error(zip_file_get_error(entry->file), entry->zip->name);
            return msfl_fail_in(status, "entry '%s'", entry->name);
        }
        if (n == 0) {
            return msfl_fail(MSFL_ERR_FORMAT, "%s: entry '%s' ends before the size that the zip directory gives",
                             entry->zip->name, entry->name);
        }
        at += n;
        length -= (size_t)n;
    }
    return MSFL_OK;
}

msfl_status msfl_zip_entry_end(msfl_zip_entry *entry) {
    uint8_t more;
    zip_int64_t n = zip_fread(entry->file, &more, 1);
    if (n < 0) {
        msfl_status status = from_zip_error(zip_file_get_error(entry->file), entry->zip->name);
        return msfl_fail_in(status, "entry '%s'", entry->name);
    }
    if (n > 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: entry '%s' goes on after the size that the zip directory gives",
                         entry->zip->name, entry->name);
    }
    return MSFL_OK;
}

void msfl_zip_entry_close(msfl_zip_entry *entry) {
    if (entry == NULL) return;
    zip_fclose(entry->file);
    msfl_free(entry);
}
