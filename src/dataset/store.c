/* Writing a set. */
#include "dataset/store_private.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "dataset/stored.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct msfl_store {
    char *folder;
    msfl_store_shape shape;
    const msfl_hospital *key;
    uint8_t *seal; /* secret; NULL: plain */
    msfl_stored *files[STORE_FILES];
    uint64_t n, n_records;
};

/* A set is made in a folder of its own: another one with things in it is not taken over. */
static msfl_status check_folder(const char *folder) {
    enum { ENTRIES_MAX = 10000 };
    char **names;
    size_t n;
    const char *stranger = NULL;
    if (!msfl_file_exists(folder)) return MSFL_OK;
    msfl_status status = msfl_folder_list(folder, ENTRIES_MAX, &names, &n);
    if (status != MSFL_OK) return status;
    for (size_t i = 0; i < n && stranger == NULL; i++) {
        bool known = strcmp(names[i], MSFL_STORE_MANIFEST) == 0 || strstr(names[i], MSFL_PARTIAL) != NULL;
        for (int f = 0; f < STORE_FILES; f++)
            known |= strcmp(names[i], msfl_store_files[f]) == 0;
        if (!known) stranger = names[i];
    }
    if (stranger != NULL) {
        status = msfl_fail(MSFL_ERR_EXISTS, "%s holds other things than a set ('%.60s'): name a folder of its own",
                           folder, stranger);
    }
    msfl_names_free(names, n);
    return status;
}

msfl_status msfl_store_new(const char *folder, const msfl_store_shape *shape, const msfl_hospital *key,
                           msfl_store **out) {
    *out = NULL;
    msfl_status status = check_folder(folder);
    if (status == MSFL_OK) status = msfl_folder_make(folder);
    /* The owner's alone: these are a hospital's images. */
    if (status == MSFL_OK && chmod(folder, 0700) != 0) {
        status = msfl_fail(MSFL_ERR_IO, "cannot close %s to others", folder);
    }
    if (status == MSFL_OK) status = msfl_folder_clean(folder, "");
    if (status != MSFL_OK) return status;
    msfl_store *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_NO_MEMORY;
    s->folder = msfl_strdup(folder);
    s->shape = *shape;
    if (s->shape.depth == 0) s->shape.depth = 1;
    s->key = key;
    if (key != NULL) s->seal = msfl_store_seal(key);
    if (s->folder == NULL || (key != NULL && s->seal == NULL)) status = MSFL_NO_MEMORY;
    for (int f = 0; f < STORE_FILES && status == MSFL_OK; f++) {
        if (f == STORE_MASKS && !shape->has_masks) continue;
        char *path = msfl_path_join(folder, msfl_store_files[f]);
        status = path == NULL ? MSFL_NO_MEMORY : msfl_stored_new(path, s->seal, msfl_store_keys[f], &s->files[f]);
        msfl_free(path);
    }
    if (status != MSFL_OK) {
        msfl_store_free(s);
        return status;
    }
    *out = s;
    return MSFL_OK;
}

void msfl_store_free(msfl_store *s) {
    if (s == NULL) return;
    for (int f = 0; f < STORE_FILES; f++)
        msfl_stored_free(s->files[f]);
    msfl_free(s->folder);
    msfl_secret_free(s->seal);
    msfl_free(s);
}

msfl_status msfl_store_add(msfl_store *s, const void *samples, const uint8_t *masks, uint32_t n) {
    msfl_status status = msfl_stored_write(s->files[STORE_PIXELS], samples, n * msfl_store_picture_bytes(&s->shape));
    if (status == MSFL_OK && s->shape.has_masks) {
        status = msfl_stored_write(s->files[STORE_MASKS], masks, n * msfl_store_mask_bytes(&s->shape));
    }
    if (status == MSFL_OK) s->n += n;
    return status;
}

msfl_status msfl_store_record(msfl_store *s, const msfl_record *record) {
    uint8_t bytes[MSFL_STORE_RECORD_BYTES] = {0};
    memcpy(bytes, record->patient, MSFL_PSEUDONYM_BYTES);
    msfl_store32(bytes + 16, record->label);
    msfl_store32(bytes + 20, record->bunch);
    bytes[24] = record->part;
    msfl_store16(bytes + 26, record->slice);
    msfl_store32(bytes + 28, record->volume);
    msfl_status status = msfl_stored_write(s->files[STORE_RECORDS], bytes, sizeof bytes);
    if (status == MSFL_OK) s->n_records++;
    return status;
}

static msfl_status describe(const msfl_store *s, const msfl_texts *classes,
                            char hashes[STORE_FILES][2 * MSFL_HASH_BYTES + 1], json_t *m) {
    const msfl_store_shape *p = &s->shape;
    json_t *list = json_array(), *files = json_object();
    int failed = list == NULL || files == NULL;
    for (size_t i = 0; i < classes->n; i++)
        failed |= json_array_append_new(list, msfl_json_string(msfl_texts_get(classes, i)));
    for (int f = 0; f < STORE_FILES; f++)
        if (s->files[f] != NULL) failed |= json_object_set_new(files, msfl_store_keys[f], json_string(hashes[f]));
    failed |= json_object_set_new(m, "format", json_string(MSFL_STORE_FORMAT));
    failed |= json_object_set_new(m, "version", json_integer(MSFL_STORE_VERSION));
    failed |= json_object_set_new(m, "images", json_integer((json_int_t)s->n));
    failed |= json_object_set_new(m, "width", json_integer(p->width));
    failed |= json_object_set_new(m, "height", json_integer(p->height));
    if (p->depth > 1) failed |= json_object_set_new(m, "depth", json_integer(p->depth));
    failed |= json_object_set_new(m, "channels", json_integer(p->channels));
    failed |= json_object_set_new(m, "bits", json_integer(p->bits));
    failed |= json_object_set_new(m, "range", json_pack("[f, f]", p->low, p->high));
    failed |= json_object_set_new(m, "masks", json_boolean(p->has_masks));
    if (p->shown > 0) failed |= json_object_set_new(m, "shown", json_integer(p->shown - 1));
    failed |= json_object_set_new(m, "classes", list);
    failed |= json_object_set_new(m, "sealed", json_boolean(s->key != NULL));
    failed |= json_object_set_new(m, "hashes", files);
    return failed != 0 ? msfl_fail(MSFL_ERR_MEMORY, "out of memory") : MSFL_OK;
}

msfl_status msfl_store_finish(msfl_store *s, const msfl_texts *classes, json_t *manifest) {
    char hashes[STORE_FILES][2 * MSFL_HASH_BYTES + 1], mac[2 * MSFL_HASH_BYTES + 1] = "";
    if (s->n_records != s->n) {
        return msfl_fail(MSFL_ERR_MISMATCH, "%llu records for %llu pictures", (unsigned long long)s->n_records,
                         (unsigned long long)s->n);
    }
    char *path = msfl_path_join(s->folder, MSFL_STORE_MANIFEST);
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status status = MSFL_OK;
    /* The old manifest goes first: files of two imports are never taken for one set. */
    if (status == MSFL_OK && msfl_file_exists(path) && unlink(path) != 0) {
        status = msfl_fail(MSFL_ERR_IO, "cannot replace %s", path);
    }
    for (int f = 0; f < STORE_FILES && status == MSFL_OK; f++) {
        uint8_t hash[MSFL_HASH_BYTES];
        if (s->files[f] == NULL) continue;
        status = msfl_stored_commit(s->files[f], hash);
        msfl_hex(hash, sizeof hash, hashes[f]);
    }
    if (status == MSFL_OK) status = describe(s, classes, hashes, manifest);
    if (status == MSFL_OK && s->key != NULL) {
        status = msfl_store_mac(manifest, s->key, mac);
        if (status == MSFL_OK && json_object_set_new(manifest, "mac", json_string(mac)) != 0) status = MSFL_NO_MEMORY;
    }
    if (status == MSFL_OK) status = msfl_json_write(path, manifest);
    if (status == MSFL_OK && !s->shape.has_masks) {
        char *masks = msfl_path_join(s->folder, msfl_store_files[STORE_MASKS]);
        if (masks != NULL) (void)unlink(masks); /* of an import before, perhaps */
        msfl_free(masks);
    }
    msfl_free(path);
    return status;
}
