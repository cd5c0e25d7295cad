#include "dataset/store.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "dataset/set.h"
#include "dataset/stored.h"
#include "image/image.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIXELS, RECORDS, MASKS, FILES };
static const char *const file_names[FILES] = {"pixels.bin", "records.bin", "masks.bin"};
static const char *const file_keys[FILES] = {"pixels", "records", "masks"};
static const char manifest_name[] = "set.json", format_name[] = "medsecurefl-set";

struct msfl_store {
    char *folder;
    msfl_store_shape shape;
    const msfl_hospital *key;
    uint8_t *seal; /* secret; NULL: plain */
    msfl_stored *files[FILES];
    uint64_t n;
};

static size_t mask_bytes(const msfl_store_shape *s) {
    return (size_t)s->depth * s->height * s->width;
}

static size_t picture_bytes(const msfl_store_shape *s) {
    return mask_bytes(s) * s->channels * (s->bits / 8);
}

/* The key of a sealed set's files, in secret memory; NULL with the message set. */
static uint8_t *seal_of(const msfl_hospital *key) {
    uint8_t *seal = msfl_secret_alloc(MSFL_AEAD_KEY_BYTES);
    if (seal != NULL) msfl_hospital_derive(key, "set", seal);
    return seal;
}

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
        bool known = strcmp(names[i], manifest_name) == 0 || strstr(names[i], MSFL_PARTIAL) != NULL;
        for (int f = 0; f < FILES; f++)
            known |= strcmp(names[i], file_names[f]) == 0;
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
    if (key != NULL) s->seal = seal_of(key);
    if (s->folder == NULL || (key != NULL && s->seal == NULL)) status = MSFL_NO_MEMORY;
    for (int f = 0; f < FILES && status == MSFL_OK; f++) {
        if (f == MASKS && !shape->has_masks) continue;
        char *path = msfl_path_join(folder, file_names[f]);
        status = path == NULL ? MSFL_NO_MEMORY : msfl_stored_new(path, s->seal, file_keys[f], &s->files[f]);
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
    for (int f = 0; f < FILES; f++)
        msfl_stored_free(s->files[f]);
    msfl_free(s->folder);
    msfl_secret_free(s->seal);
    msfl_free(s);
}

msfl_status msfl_store_add(msfl_store *s, const void *samples, const uint8_t *masks, uint32_t n) {
    msfl_status status = msfl_stored_write(s->files[PIXELS], samples, n * picture_bytes(&s->shape));
    if (status == MSFL_OK && s->shape.has_masks) {
        status = msfl_stored_write(s->files[MASKS], masks, n * mask_bytes(&s->shape));
    }
    if (status == MSFL_OK) s->n += n;
    return status;
}

static msfl_status write_records(msfl_store *s, const msfl_record *records, size_t n) {
    msfl_status status = MSFL_OK;
    for (size_t i = 0; i < n && status == MSFL_OK; i++) {
        uint8_t bytes[MSFL_STORE_RECORD_BYTES] = {0};
        memcpy(bytes, records[i].patient, MSFL_PSEUDONYM_BYTES);
        msfl_store32(bytes + 16, records[i].label);
        msfl_store32(bytes + 20, records[i].bunch);
        bytes[24] = records[i].part;
        status = msfl_stored_write(s->files[RECORDS], bytes, sizeof bytes);
    }
    return status;
}

/* Ties a sealed set's manifest to the key: hexadecimal, of the compact text without the member "mac". */
static msfl_status mac_of(const json_t *manifest, const msfl_hospital *key, char hex[2 * MSFL_HASH_BYTES + 1]) {
    json_t *bare = json_copy((json_t *)manifest);
    char *text = NULL;
    msfl_status status = bare == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status == MSFL_OK) {
        json_object_del(bare, "mac");
        status = msfl_json_text(bare, true, &text);
    }
    json_decref(bare);
    uint8_t *mac_key = status == MSFL_OK ? msfl_secret_alloc(MSFL_AEAD_KEY_BYTES) : NULL;
    if (status == MSFL_OK && mac_key == NULL) status = MSFL_NO_MEMORY;
    if (status == MSFL_OK && text != NULL) {
        uint8_t mac[MSFL_HASH_BYTES];
        msfl_hash h;
        msfl_hospital_derive(key, "manifest", mac_key);
        msfl_hash_init_keyed(&h, mac_key, "msfl.set.manifest.v1");
        msfl_hash_add(&h, text, strlen(text));
        msfl_hash_final(&h, mac);
        msfl_hash_clear(&h);
        msfl_hex(mac, sizeof mac, hex);
    }
    msfl_secret_free(mac_key);
    msfl_free(text);
    return status;
}

static msfl_status describe(const msfl_store *s, const msfl_texts *classes, char hashes[FILES][2 * MSFL_HASH_BYTES + 1],
                            json_t *m) {
    const msfl_store_shape *p = &s->shape;
    json_t *list = json_array(), *files = json_object();
    int failed = list == NULL || files == NULL;
    for (size_t i = 0; i < classes->n; i++)
        failed |= json_array_append_new(list, msfl_json_string(msfl_texts_get(classes, i)));
    for (int f = 0; f < FILES; f++)
        if (s->files[f] != NULL) failed |= json_object_set_new(files, file_keys[f], json_string(hashes[f]));
    failed |= json_object_set_new(m, "format", json_string(format_name));
    failed |= json_object_set_new(m, "version", json_integer(MSFL_STORE_VERSION));
    failed |= json_object_set_new(m, "images", json_integer((json_int_t)s->n));
    failed |= json_object_set_new(m, "width", json_integer(p->width));
    failed |= json_object_set_new(m, "height", json_integer(p->height));
    if (p->depth > 1) failed |= json_object_set_new(m, "depth", json_integer(p->depth));
    if (p->depth > 1 && p->spacing[0] > 0) {
        failed |=
            json_object_set_new(m, "spacing", json_pack("[f, f, f]", p->spacing[0], p->spacing[1], p->spacing[2]));
    }
    failed |= json_object_set_new(m, "channels", json_integer(p->channels));
    failed |= json_object_set_new(m, "bits", json_integer(p->bits));
    failed |= json_object_set_new(m, "range", json_pack("[f, f]", p->low, p->high));
    failed |= json_object_set_new(m, "masks", json_boolean(p->has_masks));
    failed |= json_object_set_new(m, "classes", list);
    failed |= json_object_set_new(m, "sealed", json_boolean(s->key != NULL));
    failed |= json_object_set_new(m, "hashes", files);
    return failed != 0 ? msfl_fail(MSFL_ERR_MEMORY, "out of memory") : MSFL_OK;
}

msfl_status msfl_store_finish(msfl_store *s, const msfl_record *records, size_t n, const msfl_texts *classes,
                              json_t *manifest) {
    char hashes[FILES][2 * MSFL_HASH_BYTES + 1], mac[2 * MSFL_HASH_BYTES + 1] = "";
    if (n != s->n) return msfl_fail(MSFL_ERR_MISMATCH, "%zu records for %llu pictures", n, (unsigned long long)s->n);
    char *path = msfl_path_join(s->folder, manifest_name);
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status status = write_records(s, records, n);
    /* The old manifest goes first: files of two imports are never taken for one set. */
    if (status == MSFL_OK && msfl_file_exists(path) && unlink(path) != 0) {
        status = msfl_fail(MSFL_ERR_IO, "cannot replace %s", path);
    }
    for (int f = 0; f < FILES && status == MSFL_OK; f++) {
        uint8_t hash[MSFL_HASH_BYTES];
        if (s->files[f] == NULL) continue;
        status = msfl_stored_commit(s->files[f], hash);
        msfl_hex(hash, sizeof hash, hashes[f]);
    }
    if (status == MSFL_OK) status = describe(s, classes, hashes, manifest);
    if (status == MSFL_OK && s->key != NULL) {
        status = mac_of(manifest, s->key, mac);
        if (status == MSFL_OK && json_object_set_new(manifest, "mac", json_string(mac)) != 0) status = MSFL_NO_MEMORY;
    }
    if (status == MSFL_OK) status = msfl_json_write(path, manifest);
    if (status == MSFL_OK && !s->shape.has_masks) {
        char *masks = msfl_path_join(s->folder, file_names[MASKS]);
        if (masks != NULL) (void)unlink(masks); /* of an import before, perhaps */
        msfl_free(masks);
    }
    msfl_free(path);
    return status;
}

/* --- reading --- */

bool msfl_store_is_set(const char *folder) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return false;
    bool is = faccessat(fd, manifest_name, F_OK, 0) == 0;
    close(fd);
    return is;
}

static bool whole(const json_t *m, const char *key, json_int_t min, json_int_t max) {
    const json_t *v = json_object_get(m, key);
    return json_is_integer(v) && json_integer_value(v) >= min && json_integer_value(v) <= max;
}

static bool is_hash(const json_t *v) {
    const char *text = json_string_value(v);
    return text != NULL && strlen(text) == (size_t)2 * MSFL_HASH_BYTES &&
           strspn(text, "0123456789abcdef") == (size_t)2 * MSFL_HASH_BYTES;
}

/* Of volumes: what pictures have none of. */
static bool is_sane_volume(const json_t *m) {
    const json_t *spacing = json_object_get(m, "spacing");
    if (json_object_get(m, "depth") == NULL) return spacing == NULL;
    if (!whole(m, "depth", 2, MSFL_IMAGE_SIDE_MAX)) return false;
    static const char *const sides[] = {"depth", "height", "width", "channels"};
    uint64_t values = 1;
    for (int i = 0; i < 4; i++)
        values *= (uint64_t)json_integer_value(json_object_get(m, sides[i])); /* 2^14 each at most, channels 2^4 */
    bool sane = values <= MSFL_STORE_VOLUME_VALUES_MAX && (spacing == NULL || json_array_size(spacing) == 3);
    for (size_t i = 0; sane && i < json_array_size(spacing); i++) {
        double mm = json_number_value(json_array_get(spacing, i));
        sane = mm > 0 && mm <= 1e3;
    }
    return sane;
}

static bool is_sane(const json_t *m) {
    const char *format = json_string_value(json_object_get(m, "format"));
    if (format == NULL || strcmp(format, format_name) != 0) return false;
    bool sane = whole(m, "images", 0, MSFL_IMAGES_MAX) && whole(m, "width", 1, MSFL_IMAGE_SIDE_MAX) &&
                whole(m, "height", 1, MSFL_IMAGE_SIDE_MAX) && whole(m, "channels", 1, 16) && whole(m, "bits", 8, 16) &&
                json_is_boolean(json_object_get(m, "masks")) && json_is_boolean(json_object_get(m, "sealed"));
    const json_t *classes = json_object_get(m, "classes"), *range = json_object_get(m, "range");
    sane = sane && is_sane_volume(m) && json_array_size(classes) <= MSFL_CLASSES_MAX && json_array_size(range) == 2 &&
           json_is_number(json_array_get(range, 0)) && json_is_number(json_array_get(range, 1)) &&
           json_number_value(json_array_get(range, 0)) < json_number_value(json_array_get(range, 1));
    for (size_t i = 0; sane && i < json_array_size(classes); i++) {
        const char *name = json_string_value(json_array_get(classes, i));
        sane = name != NULL && name[0] != 0;
    }
    for (int f = 0; f < FILES && sane; f++) {
        bool there = f != MASKS || json_is_true(json_object_get(m, "masks"));
        sane = !there || is_hash(json_object_get(json_object_get(m, "hashes"), file_keys[f]));
    }
    json_int_t bits = json_integer_value(json_object_get(m, "bits"));
    return sane && (bits == 8 || bits == 16);
}

msfl_status msfl_store_parse(const char *name, const char *text, size_t length, json_t **out) {
    *out = NULL;
    json_t *m = NULL;
    msfl_status status = msfl_json_parse(name, text, length, MSFL_STORE_MANIFEST_BYTES_MAX, &m);
    const json_t *version = json_object_get(m, "version");
    if (status == MSFL_OK && json_is_integer(version) && json_integer_value(version) != MSFL_STORE_VERSION) {
        status = msfl_fail(MSFL_ERR_UNSUPPORTED, "%s: a set of version %lld; this program knows version %d", name,
                           (long long)json_integer_value(version), MSFL_STORE_VERSION);
    } else if (status == MSFL_OK && !is_sane(m)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s is not what data import writes", name);
    }
    if (status != MSFL_OK) {
        json_decref(m);
        return status;
    }
    *out = m;
    return MSFL_OK;
}

msfl_status msfl_store_manifest(const char *folder, json_t **out) {
    *out = NULL;
    uint8_t *text = NULL;
    size_t length = 0;
    char *path = msfl_path_join(folder, manifest_name);
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_file_read(path, MSFL_STORE_MANIFEST_BYTES_MAX, &text, &length);
    if (status == MSFL_OK) status = msfl_store_parse(path, (const char *)text, length, out);
    msfl_free(text);
    msfl_free(path);
    return status;
}

bool msfl_store_is_there(const char *folder, const json_t *m) {
    bool there = true;
    for (int f = 0; f < FILES && there; f++) {
        if (f == MASKS && !json_is_true(json_object_get(m, "masks"))) continue;
        char *path = msfl_path_join(folder, file_names[f]);
        there = path != NULL && msfl_file_exists(path);
        msfl_free(path);
    }
    return there;
}

msfl_store_shape msfl_store_shape_of(const json_t *m) {
    const json_t *range = json_object_get(m, "range");
    const json_t *depth = json_object_get(m, "depth"), *spacing = json_object_get(m, "spacing");
    return (msfl_store_shape){.width = (uint32_t)json_integer_value(json_object_get(m, "width")),
                              .depth = depth == NULL ? 1 : (uint32_t)json_integer_value(depth),
                              .spacing = {json_number_value(json_array_get(spacing, 0)),
                                          json_number_value(json_array_get(spacing, 1)),
                                          json_number_value(json_array_get(spacing, 2))},
                              .height = (uint32_t)json_integer_value(json_object_get(m, "height")),
                              .channels = (uint32_t)json_integer_value(json_object_get(m, "channels")),
                              .bits = (uint32_t)json_integer_value(json_object_get(m, "bits")),
                              .low = json_number_value(json_array_get(range, 0)),
                              .high = json_number_value(json_array_get(range, 1)),
                              .has_masks = json_is_true(json_object_get(m, "masks"))};
}

static void unhex(const char *text, uint8_t *out, size_t n) {
    for (size_t i = 0; i < 2 * n; i++) {
        uint8_t v = (uint8_t)(text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10);
        out[i / 2] = (uint8_t)(i % 2 == 0 ? v << 4 : out[i / 2] | v);
    }
}

static msfl_status check_key(const char *folder, const json_t *m, const msfl_hospital *key) {
    char mac[2 * MSFL_HASH_BYTES + 1];
    if (!json_is_true(json_object_get(m, "sealed"))) return MSFL_OK;
    if (key == NULL) {
        return msfl_fail(MSFL_ERR_POLICY, "%s is sealed: name the hospital's key with --key", folder);
    }
    msfl_status status = mac_of(m, key, mac);
    if (status != MSFL_OK) return status;
    const char *there = json_string_value(json_object_get(m, "mac"));
    if (there != NULL && strlen(there) == sizeof mac - 1 && msfl_equal(there, mac, sizeof mac - 1)) return MSFL_OK;
    return msfl_fail(MSFL_ERR_CRYPTO, "%s was sealed under another key, or its set.json was changed", folder);
}

/* One of the files: mapped where that is possible, else read into memory of its own. */
static msfl_status open_file(const char *folder, const json_t *m, const msfl_hospital *key, int f, size_t length,
                             bool may_map, void **out, bool *mapped) {
    uint8_t hash[MSFL_HASH_BYTES], *seal = NULL;
    bool sealed = json_is_true(json_object_get(m, "sealed"));
    unhex(json_string_value(json_object_get(json_object_get(m, "hashes"), file_keys[f])), hash, sizeof hash);
    char *path = msfl_path_join(folder, file_names[f]);
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    *mapped = may_map && !sealed && length > 0;
    if (status == MSFL_OK && *mapped) {
        status = msfl_stored_map(path, hash, length, out);
    } else if (status == MSFL_OK) {
        if (sealed) seal = seal_of(key);
        *out = msfl_alloc(length, 1);
        if (*out == NULL || (sealed && seal == NULL)) status = MSFL_NO_MEMORY;
        if (status == MSFL_OK) status = msfl_stored_read(path, seal, file_keys[f], hash, *out, length);
        msfl_secret_free(seal);
        if (status != MSFL_OK) {
            msfl_free(*out);
            *out = NULL;
        }
    }
    msfl_free(path);
    return status;
}

msfl_status msfl_store_take_records(const char *name, const uint8_t *bytes, size_t n, size_t n_classes,
                                    msfl_record **out) {
    *out = NULL;
    msfl_status status = MSFL_OK;
    msfl_record *records = msfl_alloc(n, sizeof *records);
    if (records == NULL) return MSFL_NO_MEMORY;
    for (size_t i = 0; i < n && status == MSFL_OK; i++) {
        const uint8_t *at = bytes + i * MSFL_STORE_RECORD_BYTES;
        memcpy(records[i].patient, at, MSFL_PSEUDONYM_BYTES);
        records[i].label = msfl_load32(at + 16);
        records[i].bunch = msfl_load32(at + 20);
        records[i].part = at[24];
        if (records[i].label >= n_classes || records[i].bunch >= n || records[i].part > MSFL_PART_TEST) {
            status = msfl_fail(MSFL_ERR_FORMAT, "%s: record %zu names a class or a bunch that is not there", name, i);
        }
    }
    if (status != MSFL_OK) {
        msfl_free(records);
        return status;
    }
    *out = records;
    return MSFL_OK;
}

msfl_status msfl_store_records(const char *folder, const json_t *m, const msfl_hospital *key, msfl_record **out,
                               size_t *n) {
    void *bytes = NULL;
    bool mapped;
    *out = NULL;
    *n = (size_t)json_integer_value(json_object_get(m, "images"));
    msfl_status status = check_key(folder, m, key);
    if (status == MSFL_OK) {
        status = open_file(folder, m, key, RECORDS, *n * MSFL_STORE_RECORD_BYTES, false, &bytes, &mapped);
    }
    if (status != MSFL_OK) return status;
    status = msfl_store_take_records(folder, bytes, *n, json_array_size(json_object_get(m, "classes")), out);
    msfl_free(bytes);
    return status;
}

msfl_status msfl_store_pixels(const char *folder, const json_t *m, const msfl_hospital *key, void **out, bool *mapped) {
    msfl_store_shape shape = msfl_store_shape_of(m);
    size_t n = (size_t)json_integer_value(json_object_get(m, "images"));
    msfl_status status = check_key(folder, m, key);
    return status != MSFL_OK ? status : open_file(folder, m, key, PIXELS, n * picture_bytes(&shape), true, out, mapped);
}

msfl_status msfl_store_masks(const char *folder, const json_t *m, const msfl_hospital *key, void **out, bool *mapped) {
    msfl_store_shape shape = msfl_store_shape_of(m);
    size_t n = (size_t)json_integer_value(json_object_get(m, "images"));
    msfl_status status = check_key(folder, m, key);
    return status != MSFL_OK ? status : open_file(folder, m, key, MASKS, n * mask_bytes(&shape), true, out, mapped);
}

void msfl_store_release(void *samples, const json_t *m, bool is_masks, bool mapped) {
    if (samples == NULL) return;
    msfl_store_shape shape = msfl_store_shape_of(m);
    size_t n = (size_t)json_integer_value(json_object_get(m, "images"));
    if (mapped) {
        munmap(samples, n * (is_masks ? mask_bytes(&shape) : picture_bytes(&shape)));
    } else {
        msfl_free(samples);
    }
}
