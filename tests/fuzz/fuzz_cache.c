/* layer: import */
/* What lies in a cache, with a check that its key vouches for: bytes as an entry, and as what it remembers of files.
 * Both checks are made here as the cache makes them; without, nothing behind them would be reached. */
#include "base/file.h"
#include "base/mem.h"
#include "import/cache.h"
#include "import/memo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], memo_path[96], entry_path[160];
static msfl_hospital *key;
static uint8_t names_key[MSFL_AEAD_KEY_BYTES], name[MSFL_CACHE_NAME_BYTES];
static msfl_recipe recipe;

static void remove_all(void) {
    (void)unlink(memo_path);
    (void)unlink(entry_path);
    char *slash = strrchr(entry_path, '/');
    *slash = 0;
    (void)rmdir(entry_path);
    (void)rmdir(folder);
}

static void begin(void) {
    static const char text[] = "recipe: 1\ninput: picture\nsteps: [{resize: {size: [4, 3]}}]";
    char path[80], hex[2 * MSFL_CACHE_NAME_BYTES + 1];
    const char *where = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder, sizeof folder, "%s/msfl-fuzz-XXXXXX", where);
    if (mkdtemp(folder) == NULL || msfl_crypto_init() != MSFL_OK) abort();
    snprintf(path, sizeof path, "%s/key", folder);
    if (msfl_hospital_make(path) != MSFL_OK || msfl_hospital_read(path, &key) != MSFL_OK || unlink(path) != 0) abort();
    if (msfl_recipe_parse("fuzz", text, strlen(text), &recipe) != MSFL_OK) abort();
    msfl_hospital_derive(key, "cache names", names_key);
    memset(name, 0x5a, sizeof name);
    msfl_hex(name, sizeof name, hex);
    snprintf(memo_path, sizeof memo_path, "%s/seen.bin", folder);
    snprintf(entry_path, sizeof entry_path, "%s/%.2s", folder, hex);
    if (mkdir(entry_path, 0700) != 0) abort();
    snprintf(entry_path, sizeof entry_path, "%s/%.2s/%s", folder, hex, hex + 2);
    (void)atexit(remove_all);
}

static void put(const char *path, const char *purpose, const uint8_t *prefix, size_t n_prefix, const uint8_t *bytes,
                size_t length) {
    uint8_t check[MSFL_HASH_BYTES];
    msfl_hash h;
    msfl_hash_init_keyed(&h, names_key, purpose);
    msfl_hash_add(&h, prefix, n_prefix);
    msfl_hash_add(&h, bytes, length);
    msfl_hash_final(&h, check);
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(bytes, 1, length, f) != length || fwrite(check, 1, sizeof check, f) != sizeof check ||
        fclose(f) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    if (folder[0] == 0) begin();
    uint64_t before = msfl_alloc_bytes();
    msfl_cache *cache = NULL;
    msfl_result result = {0};
    bool found = false;
    put(memo_path, "msfl.memo.file", NULL, 0, bytes, length);
    put(entry_path, "msfl.cache.entry", name, sizeof name, bytes, length);
    if (msfl_cache_open(folder, key, false, &cache) != MSFL_OK) abort();
    if (msfl_cache_get(cache, &recipe, name, &found, &result) != MSFL_OK) abort();
    if (found) {
        if (result.pictures.n == 0 || result.pictures.n > MSFL_RECIPE_SLICES_MAX) abort();
        /* What is taken is written as it was. */
        size_t n = result.pictures.n * msfl_recipe_picture_bytes(&recipe);
        volatile uint8_t last = ((const uint8_t *)result.pictures.samples)[n - 1];
        (void)last;
        if (msfl_cache_put(cache, &recipe, name, &result) != MSFL_OK) abort();
    }
    msfl_result_clear(&result);
    msfl_cache_close(cache);
    if (msfl_alloc_bytes() != before) abort();
    return 0;
}
