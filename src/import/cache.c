#include "import/cache.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "import/memo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEYS_BYTES = 2 * MSFL_AEAD_KEY_BYTES, HEAD_BYTES = 128 };
static const char magic[8] = "MSFLITM2";

struct msfl_cache {
    char *folder; /* NULL: nothing is kept */
    const msfl_hospital *key;
    bool seal;
    uint8_t *keys; /* secret: for names and checks; for sealing */
    msfl_memo *memo;
};

void msfl_result_clear(msfl_result *r) {
    msfl_pictures_clear(&r->pictures);
    msfl_free(r->prints);
    *r = (msfl_result){0};
}

/* What this program, or a desktop, leaves in a cache. */
static bool is_ours(const char *name) {
    if (name[0] == '.' || strcmp(name, "hospital.key") == 0 || strcmp(name, "seen.bin") == 0) return true;
    return strstr(name, MSFL_PARTIAL) != NULL || (strlen(name) == 2 && strspn(name, "0123456789abcdef") == 2);
}

msfl_status msfl_cache_prepare(const char *folder) {
    enum { ENTRIES_MAX = 10000 };
    char **names = NULL;
    size_t n = 0;
    msfl_status status = msfl_folder_make(folder);
    if (status == MSFL_OK) status = msfl_folder_list(folder, ENTRIES_MAX, &names, &n);
    for (size_t i = 0; i < n && status == MSFL_OK; i++) {
        if (is_ours(names[i])) continue;
        status = msfl_fail(MSFL_ERR_EXISTS, "%s holds other things than a cache ('%.60s'): name a folder of its own",
                           folder, names[i]);
    }
    msfl_names_free(names, n);
    /* The owner's alone: what lies here are a hospital's images. */
    if (status == MSFL_OK && chmod(folder, 0700) != 0) {
        status = msfl_fail_errno(errno, "cannot close %s to others", folder);
    }
    return status;
}

msfl_status msfl_cache_open(const char *folder, const msfl_hospital *key, bool seal, msfl_cache **out) {
    *out = NULL;
    msfl_cache *c = msfl_alloc(1, sizeof *c);
    if (c == NULL) return MSFL_NO_MEMORY;
    c->key = key;
    c->seal = seal;
    c->keys = msfl_secret_alloc(KEYS_BYTES);
    c->folder = folder == NULL ? NULL : msfl_strdup(folder);
    msfl_status status = c->keys == NULL || (folder != NULL && c->folder == NULL) ? MSFL_NO_MEMORY : MSFL_OK;
    if (status == MSFL_OK) {
        msfl_hospital_derive(key, "cache names", c->keys);
        msfl_hospital_derive(key, "cache seal", c->keys + MSFL_AEAD_KEY_BYTES);
    }
    if (status == MSFL_OK && folder != NULL) status = msfl_cache_prepare(folder);
    if (status == MSFL_OK) status = msfl_memo_open(folder, c->keys, &c->memo);
    if (status != MSFL_OK) {
        msfl_cache_close(c);
        return status;
    }
    *out = c;
    return MSFL_OK;
}

void msfl_cache_close(msfl_cache *c) {
    if (c == NULL) return;
    msfl_memo_close(c->memo);
    msfl_free(c->folder);
    msfl_secret_free(c->keys);
    msfl_free(c);
}

msfl_status msfl_cache_content(msfl_cache *c, const char *path, uint8_t out[MSFL_HASH_BYTES]) {
    return msfl_memo_content(c->memo, path, out);
}

void msfl_cache_name(const msfl_cache *c, const msfl_recipe *recipe, const uint8_t (*contents)[MSFL_HASH_BYTES],
                     size_t n, bool has_mask, bool allow_burned_in, uint8_t out[MSFL_CACHE_NAME_BYTES]) {
    /* The number changes whenever the same recipe gives other values than before. */
    enum { PIPELINE = 3 };
    msfl_hash h;
    msfl_hash_init_keyed(&h, c->keys, "msfl.cache.name");
    msfl_hash_add_u64(&h, PIPELINE);
    msfl_hash_add(&h, recipe->hash, sizeof recipe->hash);
    msfl_hash_add_u64(&h, (uint64_t)allow_burned_in << 1 | has_mask);
    msfl_hash_add_u64(&h, n);
    for (size_t i = 0; i < n; i++)
        msfl_hash_add(&h, contents[i], MSFL_HASH_BYTES);
    msfl_hash_final(&h, out);
    msfl_hash_clear(&h);
}

/* "FOLDER/ab/cdef...", a folder for each first byte. */
static char *path_of(const msfl_cache *c, const uint8_t name[MSFL_CACHE_NAME_BYTES], bool make) {
    char hex[2 * MSFL_CACHE_NAME_BYTES + 1];
    msfl_hex(name, MSFL_CACHE_NAME_BYTES, hex);
    char *path = msfl_format("%s/%.2s/%s", c->folder, hex, hex + 2);
    if (path != NULL && make) {
        char *slash = strrchr(path, '/');
        *slash = 0;
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    return path;
}

static void put_head(const msfl_result *r, msfl_buffer *b) {
    const msfl_facts *f = &r->facts;
    msfl_put_bytes(b, magic, sizeof magic);
    msfl_put32(b, r->pictures.n);
    msfl_put8(b, r->pictures.masks != NULL);
    msfl_put8(b, r->has_patient);
    msfl_put8(b, (uint8_t)f->format);
    msfl_put8(b, (uint8_t)f->bits);
    msfl_put64(b, r->pictures.n_clipped);
    msfl_put_bytes(b, r->patient, sizeof r->patient);
    msfl_put32(b, f->width);
    msfl_put32(b, f->height);
    msfl_put32(b, f->depth);
    msfl_put32(b, f->channels);
    for (int i = 0; i < 3; i++)
        msfl_put_f64(b, f->spacing[i]);
    msfl_put_bytes(b, f->scanner, sizeof f->scanner);
    for (int i = 0; i < 3; i++)
        msfl_put_f64(b, r->pictures.spacing[i]);
    msfl_put8(b, r->pictures.slices != NULL);
}

static uint32_t pictures_max(const msfl_recipe *recipe) {
    return recipe->depth > 1 ? 1 : MSFL_RECIPE_SLICES_MAX;
}

static size_t payload_bytes(const msfl_recipe *recipe, uint32_t n, bool has_masks) {
    size_t each = msfl_recipe_picture_bytes(recipe) + sizeof(msfl_print) + (recipe->volumes ? sizeof(uint32_t) : 0);
    if (has_masks) each += msfl_recipe_mask_bytes(recipe);
    return HEAD_BYTES + n * each;
}

/* Head, prints, samples, masks, slices. Prints hold 64-bit words: little-endian. */
static void put_result(const msfl_recipe *recipe, const msfl_result *r, msfl_buffer *b) {
    put_head(r, b);
    while (b->status == MSFL_OK && b->length < HEAD_BYTES)
        msfl_put8(b, 0);
    for (uint32_t i = 0; i < r->pictures.n; i++) {
        for (int k = 0; k < MSFL_PRINT_WORDS; k++)
            msfl_put64(b, r->prints[i].bits[k]);
        msfl_put_bytes(b, r->prints[i].thumbnail, sizeof r->prints[i].thumbnail);
    }
    msfl_put_bytes(b, r->pictures.samples, r->pictures.n * msfl_recipe_picture_bytes(recipe));
    if (r->pictures.masks != NULL) {
        msfl_put_bytes(b, r->pictures.masks, r->pictures.n * msfl_recipe_mask_bytes(recipe));
    }
    for (uint32_t i = 0; i < r->pictures.n && r->pictures.slices != NULL; i++)
        msfl_put32(b, r->pictures.slices[i]);
}

/* Only bytes that this key has vouched for come here. */
static msfl_status take_result(const msfl_recipe *recipe, const uint8_t *bytes, size_t length, bool *found,
                               msfl_result *out) {
    msfl_reader in = msfl_reader_init(bytes, length);
    msfl_result r = {0};
    const uint8_t *there = msfl_get_bytes(&in, sizeof magic);
    r.pictures.n = msfl_get32(&in);
    bool has_masks = msfl_get8(&in) == 1;
    r.has_patient = msfl_get8(&in) == 1;
    r.facts.format = msfl_get8(&in);
    r.facts.bits = msfl_get8(&in);
    r.pictures.n_clipped = msfl_get64(&in);
    const uint8_t *patient = msfl_get_bytes(&in, sizeof r.patient);
    uint32_t *const numbers[] = {&r.facts.width, &r.facts.height, &r.facts.depth, &r.facts.channels};
    for (int i = 0; i < 4; i++)
        *numbers[i] = msfl_get32(&in);
    for (int i = 0; i < 3; i++)
        r.facts.spacing[i] = msfl_get_f64(&in);
    const uint8_t *scanner = msfl_get_bytes(&in, sizeof r.facts.scanner);
    for (int i = 0; i < 3; i++)
        r.pictures.spacing[i] = msfl_get_f64(&in);
    bool has_slices = msfl_get8(&in) == 1;
    (void)msfl_get_bytes(&in, HEAD_BYTES - (size_t)(in.at - bytes));
    *found = false;
    if (in.failed || there == NULL || memcmp(there, magic, sizeof magic) != 0 || r.pictures.n == 0 ||
        r.pictures.n > pictures_max(recipe) || has_slices != recipe->volumes ||
        length != payload_bytes(recipe, r.pictures.n, has_masks)) {
        return MSFL_OK;
    }
    memcpy(r.patient, patient, sizeof r.patient);
    memcpy(r.facts.scanner, scanner, sizeof r.facts.scanner);
    size_t samples = r.pictures.n * msfl_recipe_picture_bytes(recipe);
    size_t masks = has_masks ? r.pictures.n * msfl_recipe_mask_bytes(recipe) : 0;
    r.prints = msfl_alloc(r.pictures.n, sizeof *r.prints);
    r.pictures.samples = msfl_alloc(samples, 1);
    if (has_masks) r.pictures.masks = msfl_alloc(masks, 1);
    if (has_slices) r.pictures.slices = msfl_alloc(r.pictures.n, sizeof *r.pictures.slices);
    if (r.prints == NULL || r.pictures.samples == NULL || (has_masks && r.pictures.masks == NULL) ||
        (has_slices && r.pictures.slices == NULL)) {
        msfl_result_clear(&r);
        return MSFL_NO_MEMORY;
    }
    for (uint32_t i = 0; i < r.pictures.n; i++) {
        for (int k = 0; k < MSFL_PRINT_WORDS; k++)
            r.prints[i].bits[k] = msfl_get64(&in);
        memcpy(r.prints[i].thumbnail, msfl_get_bytes(&in, sizeof r.prints[i].thumbnail), sizeof r.prints[i].thumbnail);
    }
    memcpy(r.pictures.samples, msfl_get_bytes(&in, samples), samples);
    if (has_masks) memcpy(r.pictures.masks, msfl_get_bytes(&in, masks), masks);
    for (uint32_t i = 0; i < r.pictures.n && has_slices; i++)
        r.pictures.slices[i] = msfl_get32(&in);
    *found = true;
    *out = r;
    return MSFL_OK;
}

static void check_of(const msfl_cache *c, const uint8_t *name, const uint8_t *bytes, size_t length,
                     uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init_keyed(&h, c->keys, "msfl.cache.entry");
    msfl_hash_add(&h, name, MSFL_CACHE_NAME_BYTES);
    msfl_hash_add(&h, bytes, length);
    msfl_hash_final(&h, out);
    msfl_hash_clear(&h);
}

msfl_status msfl_cache_get(const msfl_cache *c, const msfl_recipe *recipe, const uint8_t name[MSFL_CACHE_NAME_BYTES],
                           bool *found, msfl_result *out) {
    *found = false;
    if (c->folder == NULL) return MSFL_OK;
    char *path = path_of(c, name, false);
    if (path == NULL) return MSFL_NO_MEMORY;
    uint8_t *bytes = NULL, *opened = NULL, check[MSFL_HASH_BYTES];
    size_t length = 0, extra = c->seal ? MSFL_AEAD_NONCE_BYTES + MSFL_AEAD_TAG_BYTES : MSFL_HASH_BYTES;
    size_t most = payload_bytes(recipe, pictures_max(recipe), true) + extra;
    msfl_status status = msfl_file_exists(path) ? msfl_file_read(path, most, &bytes, &length) : MSFL_ERR_MISSING;
    msfl_free(path);
    if (status == MSFL_ERR_MEMORY) return status;
    if (status != MSFL_OK || length < extra) {
        msfl_free(bytes);
        return MSFL_OK;
    }
    size_t n = length - extra;
    if (c->seal) {
        opened = msfl_alloc(n, 1);
        status = opened == NULL ? MSFL_NO_MEMORY : MSFL_OK;
        if (status == MSFL_OK &&
            msfl_aead_open(c->keys + MSFL_AEAD_KEY_BYTES, bytes, name, MSFL_CACHE_NAME_BYTES,
                           bytes + MSFL_AEAD_NONCE_BYTES, length - MSFL_AEAD_NONCE_BYTES, opened) == MSFL_OK) {
            status = take_result(recipe, opened, n, found, out);
        }
    } else {
        check_of(c, name, bytes, n, check);
        if (msfl_equal(check, bytes + n, sizeof check)) status = take_result(recipe, bytes, n, found, out);
    }
    msfl_free(opened);
    msfl_free(bytes);
    return status;
}

/* Without fsync, which for thousands of small files would take longer than all the rest: what a crash tears is not
 * believed, and made again. */
static msfl_status write_entry(const char *path, const msfl_buffer *b) {
    /* Threads that hold copies of one picture write the same entry at the same time. */
    static atomic_uint number;
    char *temporary = msfl_format("%s.%ld.%u", path, (long)getpid(), atomic_fetch_add(&number, 1));
    if (temporary == NULL) return MSFL_NO_MEMORY;
    msfl_status status = MSFL_OK;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        status = msfl_fail_errno(errno, "cannot write %s", temporary);
        goto done;
    }
    for (size_t at = 0; at < b->length && status == MSFL_OK;) {
        ssize_t n = write(fd, b->bytes + at, b->length - at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) status = msfl_fail_errno(errno, "cannot write %s", temporary);
        if (n > 0) at += (size_t)n;
    }
    if (close(fd) != 0 && status == MSFL_OK) status = msfl_fail_errno(errno, "cannot write %s", temporary);
    if (status == MSFL_OK && rename(temporary, path) != 0) status = msfl_fail_errno(errno, "cannot write %s", path);
    if (status != MSFL_OK) (void)unlink(temporary);
done:
    msfl_free(temporary);
    return status;
}

msfl_status msfl_cache_put(const msfl_cache *c, const msfl_recipe *recipe, const uint8_t name[MSFL_CACHE_NAME_BYTES],
                           const msfl_result *result) {
    if (c->folder == NULL) return MSFL_OK;
    msfl_buffer plain = {0}, sealed = {0};
    char *path = path_of(c, name, true);
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    put_result(recipe, result, &plain);
    if (status == MSFL_OK) status = plain.status;
    if (status == MSFL_OK && c->seal) {
        uint8_t nonce[MSFL_AEAD_NONCE_BYTES];
        uint8_t *box = msfl_alloc(plain.length + MSFL_AEAD_TAG_BYTES, 1);
        if (box == NULL) {
            status = MSFL_NO_MEMORY;
        } else {
            msfl_random_bytes(nonce, sizeof nonce);
            msfl_aead_seal(c->keys + MSFL_AEAD_KEY_BYTES, nonce, name, MSFL_CACHE_NAME_BYTES, plain.bytes, plain.length,
                           box);
            msfl_put_bytes(&sealed, nonce, sizeof nonce);
            msfl_put_bytes(&sealed, box, plain.length + MSFL_AEAD_TAG_BYTES);
            status = sealed.status;
        }
        msfl_free(box);
    } else if (status == MSFL_OK) {
        uint8_t check[MSFL_HASH_BYTES];
        check_of(c, name, plain.bytes, plain.length, check);
        msfl_put_bytes(&plain, check, sizeof check);
        status = plain.status;
    }
    if (status == MSFL_OK && path != NULL) status = write_entry(path, c->seal ? &sealed : &plain);
    msfl_free(path);
    msfl_buffer_clear(&plain);
    msfl_buffer_clear(&sealed);
    return status;
}
