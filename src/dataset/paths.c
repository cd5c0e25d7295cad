#include "dataset/paths.h"

#include "base/mem.h"

#include <string.h>

typedef struct run {
    uint32_t folder, first;
} run;

static run *run_at(const msfl_paths *p, size_t i) {
    return msfl_rows_at(&p->runs, i, sizeof(run));
}

msfl_status msfl_paths_add(msfl_paths *p, const char *path) {
    /* The folder with the slash behind it; "" for a path without one. */
    const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
    char *folder = msfl_strndup(path, (size_t)(name - path));
    uint32_t number = 0;
    msfl_status status = folder == NULL ? MSFL_NO_MEMORY : msfl_words_add(&p->folders, folder, &number);
    msfl_free(folder);
    if (status == MSFL_OK) status = msfl_texts_add(&p->names, name, strlen(name));
    if (status != MSFL_OK) return status;
    if (p->runs.n == 0 || run_at(p, p->runs.n - 1)->folder != number) {
        run *r = msfl_rows_add(&p->runs, sizeof *r);
        if (r == NULL) return MSFL_NO_MEMORY;
        *r = (run){number, (uint32_t)p->n};
    }
    p->n++;
    return MSFL_OK;
}

char *msfl_paths_get(const msfl_paths *p, size_t i) {
    size_t low = 0, high = p->runs.n;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (run_at(p, middle)->first <= i) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return msfl_format("%s%s", msfl_words_get(&p->folders, run_at(p, low)->folder), msfl_texts_get(&p->names, i));
}

void msfl_paths_clear(msfl_paths *p) {
    msfl_words_clear(&p->folders);
    msfl_texts_clear(&p->names);
    msfl_rows_clear(&p->runs);
    *p = (msfl_paths){0};
}
