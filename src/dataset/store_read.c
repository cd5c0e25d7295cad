/* Reading a set, and what a set is tied together with. */
#include "dataset/store_private.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "dataset/set.h"
#include "dataset/stored.h"
#include "image/image.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

const char *const msfl_store_files[STORE_FILES] = {"pixels.bin", "records.bin", "masks.bin"};
const char *const msfl_store_keys[STORE_FILES] = {"pixels", "records", "masks"};

size_t msfl_store_picture_bytes(const msfl_store_shape *s) {
    return msfl_store_mask_bytes(s) * s->channels * (s->bits / 8);
}

size_t msfl_store_mask_bytes(const msfl_store_shape *s) {
    return (size_t)s->depth * s->height * s->width;
}

uint8_t *msfl_store_seal(const msfl_hospital *key) {
    uint8_t *seal = msfl_secret_alloc(MSFL_AEAD_KEY_BYTES);
    if (seal != NULL) msfl_hospital_derive(key, "set", seal);
    return seal;
}

msfl_status msfl_store_mac(const json_t *manifest, const msfl_hospital *key, char hex[2 * MSFL_HASH_BYTES + 1]) {
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

bool msfl_store_is_set(const char *folder) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return false;
    bool is = faccessat(fd, MSFL_STORE_MANIFEST, F_OK, 0) == 0;
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

/* Sides of volumes multiply to sizes that fit. */
static bool is_sane_volume(const json_t *m) {
    if (json_object_get(m, "depth") == NULL) return true;
    if (!whole(m, "depth", 2, MSFL_IMAGE_SIDE_MAX)) return false;
    static const char *const sides[] = {"depth", "height", "width", "channels"};
    uint64_t values = 1;
    for (int i = 0; i < 4; i++)
        values *= (uint64_t)json_integer_value(json_object_get(m, sides[i])); /* sides below 2^15, channels 16 */
    return values <= MSFL_STORE_VOLUME_VALUES_MAX;
}

static bool is_sane(const json_t *m) {
    const char *format = json_string_value(json_object_get(m, "format"));
    if (format == NULL || strcmp(format, MSFL_STORE_FORMAT) != 0) return false;
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
    const json_t *spacing = json_object_get(m, "picture_spacing");
    for (size_t i = 0; sane && spacing != NULL && i < 3; i++) {
        double mm = json_number_value(json_array_get(spacing, i));
        sane = json_array_size(spacing) == 3 && mm > 0 && mm <= 1e6;
    }
    sane = sane && (json_object_get(m, "shown") == NULL ||
                    whole(m, "shown", 0, json_integer_value(json_object_get(m, "channels")) - 1));
    for (int f = 0; f < STORE_FILES && sane; f++) {
        bool there = f != STORE_MASKS || json_is_true(json_object_get(m, "masks"));
        sane = !there || is_hash(json_object_get(json_object_get(m, "hashes"), msfl_store_keys[f]));
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
    char *path = msfl_path_join(folder, MSFL_STORE_MANIFEST);
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_file_read(path, MSFL_STORE_MANIFEST_BYTES_MAX, &text, &length);
    if (status == MSFL_OK) status = msfl_store_parse(path, (const char *)text, length, out);
    msfl_free(text);
    msfl_free(path);
    return status;
}

bool msfl_store_is_there(const char *folder, const json_t *m) {
    bool there = true;
    for (int f = 0; f < STORE_FILES && there; f++) {
        if (f == STORE_MASKS && !json_is_true(json_object_get(m, "masks"))) continue;
        char *path = msfl_path_join(folder, msfl_store_files[f]);
        there = path != NULL && msfl_file_exists(path);
        msfl_free(path);
    }
    return there;
}

msfl_store_shape msfl_store_shape_of(const json_t *m) {
    const json_t *range = json_object_get(m, "range"), *shown = json_object_get(m, "shown");
    const json_t *depth = json_object_get(m, "depth");
    msfl_store_shape shape = {.width = (uint32_t)json_integer_value(json_object_get(m, "width")),
                              .depth = depth == NULL ? 1 : (uint32_t)json_integer_value(depth),
                              .height = (uint32_t)json_integer_value(json_object_get(m, "height")),
                              .channels = (uint32_t)json_integer_value(json_object_get(m, "channels")),
                              .bits = (uint32_t)json_integer_value(json_object_get(m, "bits")),
                              .low = json_number_value(json_array_get(range, 0)),
                              .high = json_number_value(json_array_get(range, 1)),
                              .has_masks = json_is_true(json_object_get(m, "masks")),
                              .shown = shown != NULL ? 1 + (uint32_t)json_integer_value(shown) : 0};
    for (size_t i = 0; i < 3; i++) /* left out: zeros */
        shape.spacing[i] = json_number_value(json_array_get(json_object_get(m, "picture_spacing"), i));
    return shape;
}

static void unhex(const char *text, uint8_t *out, size_t n) {
    for (size_t i = 0; i < 2 * n; i++) {
        uint8_t v = (uint8_t)(text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10);
        out[i / 2] = (uint8_t)(i % 2 == 0 ? v << 4 : out[i / 2] | v);
    }
}

static void hash_of(const json_t *m, int f, uint8_t out[MSFL_HASH_BYTES]) {
    unhex(json_string_value(json_object_get(json_object_get(m, "hashes"), msfl_store_keys[f])), out, MSFL_HASH_BYTES);
}

static msfl_status check_key(const char *folder, const json_t *m, const msfl_hospital *key) {
    char mac[2 * MSFL_HASH_BYTES + 1];
    if (!json_is_true(json_object_get(m, "sealed"))) return MSFL_OK;
    if (key == NULL) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "%s is sealed: name the hospital's key with --key (--data-key of simulate, evaluate and "
                         "reproduce; key in a site.yaml)",
                         folder);
    }
    msfl_status status = msfl_store_mac(m, key, mac);
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
    hash_of(m, f, hash);
    char *path = msfl_path_join(folder, msfl_store_files[f]);
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    *mapped = may_map && !sealed && length > 0;
    if (status == MSFL_OK && *mapped) {
        status = msfl_stored_map(path, hash, length, out);
    } else if (status == MSFL_OK) {
        if (sealed) seal = msfl_store_seal(key);
        *out = msfl_alloc(length, 1);
        if (*out == NULL || (sealed && seal == NULL)) status = MSFL_NO_MEMORY;
        if (status == MSFL_OK) status = msfl_stored_read(path, seal, msfl_store_keys[f], hash, *out, length);
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
        records[i].slice = msfl_load16(at + 26);
        records[i].volume = msfl_load32(at + 28);
        if (records[i].label >= n_classes || records[i].bunch >= n || records[i].part > MSFL_PART_TEST ||
            records[i].volume > n) {
            status = msfl_fail(MSFL_ERR_FORMAT, "%s: record %zu names a class, a bunch or a volume that is not there",
                               name, i);
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
        status = open_file(folder, m, key, STORE_RECORDS, *n * MSFL_STORE_RECORD_BYTES, false, &bytes, &mapped);
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
    return status != MSFL_OK
               ? status
               : open_file(folder, m, key, STORE_PIXELS, n * msfl_store_picture_bytes(&shape), true, out, mapped);
}

msfl_status msfl_store_masks(const char *folder, const json_t *m, const msfl_hospital *key, void **out, bool *mapped) {
    msfl_store_shape shape = msfl_store_shape_of(m);
    size_t n = (size_t)json_integer_value(json_object_get(m, "images"));
    msfl_status status = check_key(folder, m, key);
    return status != MSFL_OK
               ? status
               : open_file(folder, m, key, STORE_MASKS, n * msfl_store_mask_bytes(&shape), true, out, mapped);
}

msfl_status msfl_store_verify(const char *folder, const json_t *m, const msfl_hospital *key) {
    const msfl_store_shape shape = msfl_store_shape_of(m);
    const size_t n = (size_t)json_integer_value(json_object_get(m, "images"));
    const size_t lengths[STORE_FILES] = {
        [STORE_PIXELS] = n * msfl_store_picture_bytes(&shape), [STORE_MASKS] = n * msfl_store_mask_bytes(&shape)};
    const bool sealed = json_is_true(json_object_get(m, "sealed"));
    uint8_t *seal = NULL;
    msfl_status status = check_key(folder, m, key);
    if (status == MSFL_OK && sealed && (seal = msfl_store_seal(key)) == NULL) status = MSFL_NO_MEMORY;
    for (int f = 0; f < STORE_FILES && status == MSFL_OK; f++) {
        if (f == STORE_RECORDS || (f == STORE_MASKS && !shape.has_masks)) continue;
        uint8_t hash[MSFL_HASH_BYTES];
        hash_of(m, f, hash);
        char *path = msfl_path_join(folder, msfl_store_files[f]);
        status =
            path == NULL ? MSFL_NO_MEMORY : msfl_stored_read(path, seal, msfl_store_keys[f], hash, NULL, lengths[f]);
        msfl_free(path);
    }
    msfl_secret_free(seal);
    return status;
}
