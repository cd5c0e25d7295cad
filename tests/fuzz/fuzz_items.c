/* layer: import */
/* A table beside a hospital's files, with columns of files, masks, labels and patients: whatever it says, no path that
 * an import would read leads out of the folder. The first byte chooses the options. */
#include "base/mem.h"
#include "import/items.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], table[96];
static msfl_recipe pictures, sequences;

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where) {
    (void)info, (void)type, (void)where;
    return remove(path);
}

static void remove_all(void) {
    (void)nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *name, const uint8_t *bytes, size_t length) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(bytes, 1, length, f) != length || fclose(f) != 0) abort();
}

static void begin(void) {
    static const char of_pictures[] = "recipe: 1\ninput: picture\nsteps: [{resize: {size: [4, 4]}}]";
    static const char of_sequences[] =
        "recipe: 1\ninput: volume\nsequences: [t1, t2]\nsteps: [{zscore: {}}, {slices: {axis: slices}}, "
        "{resize: {size: [4, 4]}}]";
    static const char *const folders[] = {"data", "data/a", "data/b", "masks"};
    static const char *const files[] = {"data/a/1.png", "data/a/2.png", "data/b/1.png", "data/b/3.nii",
                                        "data/m.png",   "masks/1.png",  "outside.png"};
    char path[128];
    snprintf(folder, sizeof folder, "%s/msfl-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(folder) == NULL) abort();
    (void)atexit(remove_all);
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, folders[i]);
        if (mkdir(path, 0700) != 0) abort();
    }
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        put(files[i], (const uint8_t *)"x", 1);
    snprintf(table, sizeof table, "%s/data/t.csv", folder);
    if (msfl_recipe_parse("fuzz", of_pictures, strlen(of_pictures), &pictures) != MSFL_OK ||
        msfl_recipe_parse("fuzz", of_sequences, strlen(of_sequences), &sequences) != MSFL_OK) {
        abort();
    }
}

static void check(const msfl_items *items) {
    size_t n = strlen(folder);
    for (size_t i = 0; i < items->paths.n; i++) {
        char *path = msfl_paths_get(&items->paths, i);
        if (path == NULL) abort();
        size_t end = strlen(path);
        if (strncmp(path, folder, n) != 0 || path[n] != '/' || strstr(path, "/../") != NULL ||
            (end >= 3 && strcmp(path + end - 3, "/..") == 0)) {
            abort();
        }
        msfl_free(path);
    }
    if (items->n == 0) abort();
    for (size_t i = 0; i < items->n; i++) {
        const msfl_item *item = &items->list[i];
        if (item->n == 0 || item->first + item->n > items->n_files) abort();
        if (item->label >= items->labels.texts.n || item->patient > items->patients.n || item->stack != 0) abort();
        if (item->mask != MSFL_NO_PATH && item->mask >= items->paths.n) abort();
        for (uint32_t k = 0; k < item->n; k++)
            if (items->files[item->first + k] >= items->paths.n) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    if (folder[0] == 0) begin();
    if (length == 0) return 0;
    char data[80], masks[80];
    snprintf(data, sizeof data, "%s/data", folder);
    snprintf(masks, sizeof masks, "%s/masks", folder);
    put("data/t.csv", bytes + 1, length - 1);
    const msfl_items_options o = {.data = data,
                                  .labels = table,
                                  .label = (bytes[0] & 1) != 0 ? "class" : NULL,
                                  .patient = (bytes[0] & 2) != 0 ? "who" : NULL,
                                  .masks = (bytes[0] & 4) != 0   ? "mask"
                                           : (bytes[0] & 8) != 0 ? masks
                                                                 : NULL};
    uint64_t before = msfl_alloc_bytes();
    msfl_items items = {0};
    if (msfl_items_find(&o, (bytes[0] & 16) != 0 ? &sequences : &pictures, &items) == MSFL_OK) check(&items);
    msfl_items_clear(&items);
    if (msfl_alloc_bytes() != before) abort();
    return 0;
}
