/* layer: import */
/* What lies in a cache, with a check that its key vouches for: bytes as an entry, and as what it remembers of files.
 * Both checks are made here as the cache makes them; without, nothing behind them would be reached. */
#include "base/file.h"
#include "base/mem.h"
#include "import/cache.h"
#include "import/memo_table.h"

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

static void check_of(const char *purpose, const uint8_t *prefix, size_t n_prefix, const uint8_t *bytes, size_t length,
                     uint8_t check[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init_keyed(&h, names_key, purpose);
    msfl_hash_add(&h, prefix, n_prefix);
    msfl_hash_add(&h, bytes, length);
    msfl_hash_final(&h, check);
}

static void put(const char *path, const uint8_t *bytes, size_t length, const uint8_t *end, size_t n_end) {
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(bytes, 1, length, f) != length || fwrite(end, 1, n_end, f) != n_end || fclose(f) != 0) {
        abort();
    }
}

/* The bytes as what is remembered; slots that end in zeros get the check that the key gives. */
static void put_memo(const uint8_t *bytes, size_t length) {
    enum { PAGE = 4096, SLOT = 80, CHECK = 16, ROOM = 20 * PAGE };
    static uint8_t file[ROOM];
    uint8_t check[MSFL_HASH_BYTES];
    const size_t n = length < ROOM ? length : ROOM;
    memcpy(file, bytes, n);
    for (size_t page = PAGE; page + PAGE <= n; page += PAGE) {
        for (uint8_t *slot = file + page; slot + SLOT <= file + page + PAGE; slot += SLOT) {
            static const uint8_t zeros[CHECK];
            if (memcmp(slot + SLOT - CHECK, zeros, CHECK) != 0) continue;
            check_of("msfl.memo.entry", NULL, 0, slot, SLOT - CHECK, check);
            memcpy(slot + SLOT - CHECK, check, CHECK);
        }
    }
    put(memo_path, file, n, NULL, 0);
}

/* Entries come and go, of names that meet in one bucket too, until it overflows and the table grows. */
static void use_memo(const uint8_t *bytes, size_t length) {
    msfl_memo_table *table = NULL;
    if (msfl_memo_table_open(memo_path, names_key, &table) != MSFL_OK) abort();
    msfl_memo_entry last = {0};
    const size_t n = length < 120 ? length : 120;
    for (size_t i = 0; i < n; i++) {
        msfl_memo_entry e = {.name = {bytes[i], bytes[n - 1 - i], 1, (uint8_t)i}}, there = e;
        (void)msfl_memo_table_get(table, &there);
        memcpy(e.look, bytes, n < sizeof e.look ? n : sizeof e.look);
        msfl_memo_table_put(table, &e);
        last = e;
    }
    msfl_memo_entry there = last;
    if (n > 0 && (!msfl_memo_table_get(table, &there) || memcmp(&there, &last, sizeof last) != 0)) abort();
    msfl_memo_table_close(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    if (folder[0] == 0) begin();
    uint64_t before = msfl_alloc_bytes();
    msfl_cache *cache = NULL;
    msfl_result result = {0};
    bool found = false;
    uint8_t check[MSFL_HASH_BYTES];
    check_of("msfl.cache.entry", name, sizeof name, bytes, length, check);
    put_memo(bytes, length);
    use_memo(bytes, length);
    put(entry_path, bytes, length, check, sizeof check);
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
