#include "medsecurefl/inspect.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/threads.h"
#include "image/decode.h"
#include "image/fault.h"
#include "image/series.h"

#include <stdlib.h>
#include <string.h>

/* What is kept of one file. */
typedef struct entry {
    bool good, single;
    msfl_slice slice;
    uint64_t shape[4];
    double spacing_mm[3];
    const char *dtype, *error;
    char modality[MSFL_INSPECT_TEXT_BYTES];
    char *message;
} entry;

typedef struct job {
    const char *const *paths;
    entry *entries;
} job;

static msfl_status open_one(void *ctx, size_t i) {
    job *j = ctx;
    entry *e = &j->entries[i];
    msfl_image_facts facts = {0};
    msfl_image image = {0};
    msfl_fault_forget();
    msfl_status status = msfl_image_open(j->paths[i], true, &facts, &image);
    if (status == MSFL_OK && facts.format != MSFL_FORMAT_DICOM) {
        status = msfl_fault_fail(MSFL_FAULT_UNKNOWN_FORMAT, "%s: a %s file, no slice of a DICOM series", j->paths[i],
                                 msfl_image_format_name(facts.format));
    }
    if (status == MSFL_OK) {
        e->good = true;
        e->single = msfl_slice_of(&facts.dicom, &image, &e->slice);
        const uint64_t shape[4] = {msfl_image_frames(&image), image.height, image.width, image.channels};
        memcpy(e->shape, shape, sizeof shape);
        for (size_t k = 0; k < 3; k++)
            e->spacing_mm[k] = image.spacing[2 - k];
        e->dtype = msfl_image_dtype(&image);
        memcpy(e->modality, facts.dicom.modality, sizeof e->modality);
    } else {
        e->error = msfl_fault_name(status);
        e->message = msfl_strdup(msfl_error_message());
        if (e->message == NULL) return MSFL_ERR_MEMORY;
    }
    msfl_image_clear(&image);
    return MSFL_OK;
}

static void take(const entry *e, const uint32_t *files, size_t n, msfl_volume_facts *v) {
    *v = (msfl_volume_facts){.n_files = n, .files = files, .dtype = e->dtype};
    memcpy(v->shape, e->shape, sizeof v->shape);
    memcpy(v->spacing_mm, e->spacing_mm, sizeof v->spacing_mm);
    memcpy(v->modality, e->modality, sizeof v->modality);
}

static int by_first_file(const void *a, const void *b) {
    const msfl_volume_facts *x = a, *y = b;
    uint32_t least[2] = {UINT32_MAX, UINT32_MAX};
    for (size_t i = 0; i < x->n_files; i++)
        least[0] = x->files[i] < least[0] ? x->files[i] : least[0];
    for (size_t i = 0; i < y->n_files; i++)
        least[1] = y->files[i] < least[1] ? y->files[i] : least[1];
    return least[0] < least[1] ? -1 : least[0] > least[1];
}

/* `numbers` are those of the files that `sorted` is about. */
static void fill(const entry *entries, size_t n, const uint32_t *numbers, const msfl_series *sorted,
                 msfl_volumes *out) {
    size_t at = 0;
    for (size_t i = 0; i < sorted->n_stacks; i++) {
        const msfl_stack *s = &sorted->stacks[i];
        uint32_t *files = out->order + at;
        for (size_t k = 0; k < s->n; k++)
            files[k] = numbers[sorted->order[s->first + k]];
        at += s->n;
        msfl_volume_facts *v = &out->volumes[out->n++];
        take(&entries[files[0]], files, s->n, v);
        v->shape[0] = s->n;
        if (s->spacing > 0) v->spacing_mm[0] = s->spacing;
        v->by_position = s->has_place;
        v->n_gaps = s->n_gaps;
        v->n_missing = s->n_missing;
        v->n_duplicates = s->n_duplicates;
        v->n_aside = s->n_aside;
        v->uneven = s->uneven;
    }
    for (size_t i = 0; i < n; i++) {
        if (!entries[i].good || entries[i].single) continue;
        out->order[at] = (uint32_t)i;
        take(&entries[i], out->order + at, 1, &out->volumes[out->n++]);
        at++;
    }
    /* Each comparison looks at all files of two volumes; there are few large ones. */
    qsort(out->volumes, out->n, sizeof *out->volumes, by_first_file);
}

static msfl_status sort_entries(entry *entries, size_t n, msfl_volumes *out) {
    msfl_series sorted = {0};
    size_t n_slices = 0, n_bad = 0;
    msfl_slice *slices = msfl_alloc(n, sizeof *slices);
    uint32_t *numbers = msfl_alloc(n, sizeof *numbers);
    msfl_status status = slices == NULL || numbers == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    for (size_t i = 0; i < n && status == MSFL_OK; i++) {
        n_bad += !entries[i].good;
        if (!entries[i].good || !entries[i].single) continue;
        slices[n_slices] = entries[i].slice;
        numbers[n_slices++] = (uint32_t)i;
    }
    if (status == MSFL_OK) status = msfl_series_sort(slices, n_slices, &sorted);
    if (status == MSFL_OK) {
        out->order = msfl_alloc(n, sizeof *out->order);
        out->volumes = msfl_alloc(n, sizeof *out->volumes);
        out->excuses = msfl_alloc(n_bad, sizeof *out->excuses);
        if (out->order == NULL || out->volumes == NULL || out->excuses == NULL) status = MSFL_NO_MEMORY;
    }
    if (status == MSFL_OK) {
        fill(entries, n, numbers, &sorted, out);
        for (size_t i = 0; i < n; i++) {
            if (entries[i].good) continue;
            out->excuses[out->n_excuses++] = (msfl_volume_excuse){(uint32_t)i, entries[i].error, entries[i].message};
            entries[i].message = NULL;
        }
    }
    msfl_series_clear(&sorted);
    msfl_free(slices);
    msfl_free(numbers);
    return status;
}

msfl_status msfl_inspect_series(const char *const *paths, size_t n, uint32_t n_threads, msfl_volumes *out) {
    if (n > MSFL_SERIES_FILES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%zu files; at most %d are sorted at once", n, MSFL_SERIES_FILES_MAX);
    }
    msfl_volumes v = {0};
    msfl_pool *pool = NULL;
    job j = {paths, msfl_alloc(n, sizeof *j.entries)};
    msfl_status status = j.entries == NULL ? MSFL_NO_MEMORY : msfl_pool_new(n_threads, &pool);
    if (status == MSFL_OK) status = msfl_pool_run(pool, n, open_one, &j);
    if (status == MSFL_OK) status = sort_entries(j.entries, n, &v);
    for (size_t i = 0; j.entries != NULL && i < n; i++)
        msfl_free(j.entries[i].message);
    msfl_free(j.entries);
    msfl_pool_free(pool);
    if (status != MSFL_OK) {
        msfl_volumes_clear(&v);
        return status;
    }
    *out = v;
    return MSFL_OK;
}

void msfl_volumes_clear(msfl_volumes *volumes) {
    for (size_t i = 0; i < volumes->n_excuses; i++)
        msfl_free(volumes->excuses[i].message);
    msfl_free(volumes->excuses);
    msfl_free(volumes->volumes);
    msfl_free(volumes->order);
    *volumes = (msfl_volumes){0};
}
