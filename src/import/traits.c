#include "import/traits.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/tagged.h"
#include "dataset/trait.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t size_key(const msfl_facts *f) {
    return (uint64_t)f->width << 40 ^ (uint64_t)f->height << 20 ^ f->depth;
}
static uint64_t format_key(const msfl_facts *f) {
    return f->format;
}
static uint64_t bits_key(const msfl_facts *f) {
    return f->bits;
}
static uint64_t channels_key(const msfl_facts *f) {
    return f->channels;
}
/* To a thousandth of a millimetre. */
static uint64_t spacing_key(const msfl_facts *f) {
    uint64_t key = 0;
    for (int i = 0; i < 3; i++)
        key = key << 21 ^ (uint64_t)(f->spacing[i] >= 0 && f->spacing[i] < 2000 ? f->spacing[i] * 1000 + 0.5 : 0);
    return key;
}
static uint64_t scanner_key(const msfl_facts *f) {
    return msfl_load64(f->scanner);
}

const msfl_sample_row *msfl_sample_next(msfl_sample_walk *w) {
    enum { ROWS = sizeof w->rows / sizeof w->rows[0] };
    const size_t n = msfl_spill_rows(w->from);
    if (w->status != MSFL_OK || w->at == n) return NULL;
    if (w->at == w->first + w->n) {
        w->first = w->at;
        w->n = n - w->at < ROWS ? n - w->at : ROWS;
        w->status = msfl_spill_read(w->from, w->rows, w->first, w->n);
        if (w->status != MSFL_OK) return NULL;
    }
    return &w->rows[w->at++ - w->first];
}

msfl_status msfl_traits_judge(const msfl_spill *samples, const uint32_t *codes, uint32_t n_classes, json_t *traits,
                              json_t *warnings) {
    static const struct {
        const char *name;
        uint64_t (*key_of)(const msfl_facts *);
    } kinds[] = {{"image size", size_key},   {"file type", format_key}, {"bit depth", bits_key},
                 {"channels", channels_key}, {"spacing", spacing_key},  {"scanner", scanner_key}};
    const size_t n = msfl_spill_rows(samples);
    msfl_tagged *list = msfl_alloc(n, sizeof *list);
    msfl_status status = list == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    for (size_t t = 0; t < sizeof kinds / sizeof kinds[0] && status == MSFL_OK && n > 0; t++) {
        msfl_trait found;
        msfl_sample_walk walk = {.from = samples};
        size_t at = 0;
        for (const msfl_sample_row *row; (row = msfl_sample_next(&walk)) != NULL;)
            list[at++] = (msfl_tagged){kinds[t].key_of(&row->facts), codes[row->label]};
        status = walk.status;
        if (status == MSFL_OK) status = msfl_trait_judge_tagged(list, n, n_classes, &found);
        if (status != MSFL_OK) break;
        int failed = json_array_append_new(traits, json_pack("{s:s, s:i, s:f, s:b}", "trait", kinds[t].name, "values",
                                                             (int)found.n_values, "accuracy", found.accuracy, "telling",
                                                             found.telling));
        if (found.telling) {
            char text[300];
            snprintf(text, sizeof text,
                     "the class can be told from the %s of the files alone in %.1f %% of the samples (the most common "
                     "class: %.1f %%): a network may learn that instead of the disease",
                     kinds[t].name, 100 * found.accuracy, 100 * found.guessing);
            failed |= json_array_append_new(warnings, json_string(text));
        }
        if (failed != 0) status = msfl_fail(MSFL_ERR_MEMORY, "out of memory");
    }
    msfl_free(list);
    return status;
}

static int by_number(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct kind {
    uint64_t key;
    size_t n, first;
} kind;

static int most_first(const void *a, const void *b) {
    const kind *x = a, *y = b;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    return x->key < y->key ? -1 : x->key > y->key;
}

static msfl_status put_sizes(const msfl_spill *samples, const kind *kinds, size_t n_kinds, json_t *out) {
    enum { SHOWN = 12 };
    json_t *list = json_array();
    msfl_status status = MSFL_OK;
    int failed = json_object_set_new(out, "n_sizes", json_integer((json_int_t)n_kinds));
    for (size_t i = 0; i < n_kinds && i < SHOWN && status == MSFL_OK; i++) {
        msfl_sample_row row;
        status = msfl_spill_read(samples, &row, kinds[i].first, 1);
        if (status != MSFL_OK) break;
        const msfl_facts *f = &row.facts;
        char text[64];
        int at = snprintf(text, sizeof text, "%u x %u", f->width, f->height);
        if (f->depth > 1) snprintf(text + at, sizeof text - (size_t)at, " x %u", f->depth);
        failed |= json_array_append_new(list, json_pack("{s:s, s:I}", "size", text, "samples", (json_int_t)kinds[i].n));
    }
    failed |= json_object_set_new(out, "sizes", list);
    return status == MSFL_OK && failed != 0 ? msfl_fail(MSFL_ERR_MEMORY, "out of memory") : status;
}

static msfl_status count_sizes(const msfl_spill *samples, json_t *out) {
    const size_t n = msfl_spill_rows(samples);
    msfl_sample_walk walk = {.from = samples};
    size_t n_kinds = 0, capacity = 0, at = 0;
    void *kinds = NULL;
    msfl_tagged *list = msfl_alloc(n, sizeof *list);
    if (list == NULL) return MSFL_NO_MEMORY;
    for (const msfl_sample_row *row; (row = msfl_sample_next(&walk)) != NULL; at++)
        list[at] = (msfl_tagged){size_key(&row->facts), (uint32_t)at};
    msfl_status status = walk.status;
    if (status == MSFL_OK) msfl_tagged_sort(list, n);
    for (size_t begin = 0, end; begin < n && status == MSFL_OK; begin = end) {
        end = msfl_tagged_run(list, n, begin);
        status = msfl_grow(&kinds, &capacity, n_kinds + 1, sizeof(kind));
        if (status == MSFL_OK) ((kind *)kinds)[n_kinds++] = (kind){list[begin].key, end - begin, list[begin].tag};
    }
    if (status == MSFL_OK && n_kinds > 0) qsort(kinds, n_kinds, sizeof(kind), most_first);
    if (status == MSFL_OK) status = put_sizes(samples, kinds, n_kinds, out);
    msfl_free(list);
    msfl_free(kinds);
    return status;
}

static msfl_status count_formats(const msfl_spill *samples, json_t *out) {
    uint32_t formats[8] = {0};
    int failed = 0;
    msfl_sample_walk walk = {.from = samples};
    for (const msfl_sample_row *row; (row = msfl_sample_next(&walk)) != NULL;)
        formats[row->facts.format & 7]++;
    for (uint32_t f = 0; f < 8 && walk.status == MSFL_OK; f++) {
        const char *name = f == MSFL_FORMAT_NONE ? "array" : msfl_image_format_name((msfl_image_format)f);
        if (formats[f] > 0) failed |= json_object_set_new(out, name, json_integer(formats[f]));
    }
    return walk.status == MSFL_OK && failed != 0 ? msfl_fail(MSFL_ERR_MEMORY, "out of memory") : walk.status;
}

static msfl_status measure_spacing(const msfl_spill *samples, json_t *out) {
    static const char *const axes[] = {"columns", "rows", "slices"};
    double *sorted = msfl_alloc(msfl_spill_rows(samples), sizeof *sorted);
    msfl_status status = sorted == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    int failed = 0;
    for (int a = 0; a < 3 && status == MSFL_OK; a++) {
        size_t known = 0;
        msfl_sample_walk walk = {.from = samples};
        for (const msfl_sample_row *row; (row = msfl_sample_next(&walk)) != NULL;)
            if (row->facts.spacing[a] > 0) sorted[known++] = row->facts.spacing[a];
        status = walk.status;
        if (known == 0 || status != MSFL_OK) continue;
        qsort(sorted, known, sizeof *sorted, by_number);
        failed |=
            json_object_set_new(out, axes[a],
                                json_pack("{s:f, s:f, s:f, s:I}", "minimum", sorted[0], "median", sorted[known / 2],
                                          "maximum", sorted[known - 1], "samples", (json_int_t)known));
    }
    msfl_free(sorted);
    return status == MSFL_OK && failed != 0 ? msfl_fail(MSFL_ERR_MEMORY, "out of memory") : status;
}

msfl_status msfl_traits_source(const msfl_spill *samples, json_t *out) {
    json_t *formats = json_object(), *spacing = json_object();
    msfl_status status = formats == NULL || spacing == NULL ? MSFL_NO_MEMORY : count_formats(samples, formats);
    if (status == MSFL_OK) status = measure_spacing(samples, spacing);
    if (status == MSFL_OK) status = count_sizes(samples, out);
    int failed = json_object_set_new(out, "formats", formats);
    failed |= json_object_set_new(out, "spacing", spacing);
    return status == MSFL_OK && failed != 0 ? msfl_fail(MSFL_ERR_MEMORY, "out of memory") : status;
}
