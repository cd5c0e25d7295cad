#include "import/traits.h"

#include "base/error.h"
#include "base/mem.h"
#include "medsecurefl/dataset.h"

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

msfl_status msfl_traits_judge(const msfl_facts *facts, const uint32_t *labels, size_t n, uint32_t n_classes,
                              json_t *traits, json_t *warnings) {
    static const struct {
        const char *name;
        uint64_t (*key_of)(const msfl_facts *);
    } list[] = {{"image size", size_key},   {"file type", format_key}, {"bit depth", bits_key},
                {"channels", channels_key}, {"spacing", spacing_key},  {"scanner", scanner_key}};
    uint64_t *keys = msfl_alloc(n, sizeof *keys);
    msfl_status status = keys == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    for (size_t t = 0; t < sizeof list / sizeof list[0] && status == MSFL_OK && n > 0; t++) {
        msfl_trait found;
        for (size_t i = 0; i < n; i++)
            keys[i] = list[t].key_of(&facts[i]);
        status = msfl_trait_judge(keys, labels, n, n_classes, &found);
        if (status != MSFL_OK) break;
        int failed = json_array_append_new(traits, json_pack("{s:s, s:i, s:f, s:b}", "trait", list[t].name, "values",
                                                             (int)found.n_values, "accuracy", found.accuracy, "telling",
                                                             found.telling));
        if (found.telling) {
            char text[300];
            snprintf(text, sizeof text,
                     "the class can be told from the %s of the files alone in %.1f %% of the samples (the most common "
                     "class: %.1f %%): a network may learn that instead of the disease",
                     list[t].name, 100 * found.accuracy, 100 * found.guessing);
            failed |= json_array_append_new(warnings, json_string(text));
        }
        if (failed != 0) status = msfl_fail(MSFL_ERR_MEMORY, "out of memory");
    }
    msfl_free(keys);
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

static int by_kind_key(const void *a, const void *b) {
    const kind *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

static int add_sizes(const msfl_facts *facts, size_t n, kind *kinds, json_t *out) {
    enum { SHOWN = 12 };
    size_t n_kinds = 0;
    for (size_t i = 0; i < n; i++)
        kinds[i] = (kind){size_key(&facts[i]), 1, i};
    qsort(kinds, n, sizeof *kinds, by_kind_key);
    for (size_t i = 0; i < n; i++) {
        if (n_kinds > 0 && kinds[n_kinds - 1].key == kinds[i].key) {
            kinds[n_kinds - 1].n++;
        } else {
            kinds[n_kinds++] = kinds[i];
        }
    }
    qsort(kinds, n_kinds, sizeof *kinds, most_first);
    json_t *list = json_array();
    int failed = json_object_set_new(out, "n_sizes", json_integer((json_int_t)n_kinds));
    for (size_t i = 0; i < n_kinds && i < SHOWN; i++) {
        const msfl_facts *f = &facts[kinds[i].first];
        char text[64];
        int at = snprintf(text, sizeof text, "%u x %u", f->width, f->height);
        if (f->depth > 1) snprintf(text + at, sizeof text - (size_t)at, " x %u", f->depth);
        failed |= json_array_append_new(list, json_pack("{s:s, s:I}", "size", text, "samples", (json_int_t)kinds[i].n));
    }
    return failed | json_object_set_new(out, "sizes", list);
}

msfl_status msfl_traits_source(const msfl_facts *facts, size_t n, json_t *out) {
    static const char *const axes[] = {"columns", "rows", "slices"};
    double *sorted = msfl_alloc(n, sizeof *sorted);
    kind *kinds = msfl_alloc(n, sizeof *kinds);
    uint32_t formats[8] = {0};
    json_t *list = json_object(), *spacing = json_object();
    int failed = sorted == NULL || kinds == NULL || list == NULL || spacing == NULL;
    for (size_t i = 0; i < n && failed == 0; i++)
        formats[facts[i].format & 7]++;
    for (uint32_t f = 0; f < 8 && failed == 0; f++) {
        const char *name = f == MSFL_FORMAT_NONE ? "array" : msfl_image_format_name((msfl_image_format)f);
        if (formats[f] > 0) failed |= json_object_set_new(list, name, json_integer(formats[f]));
    }
    for (int a = 0; a < 3 && failed == 0; a++) {
        size_t known = 0;
        for (size_t i = 0; i < n; i++)
            if (facts[i].spacing[a] > 0) sorted[known++] = facts[i].spacing[a];
        if (known == 0) continue;
        qsort(sorted, known, sizeof *sorted, by_number);
        failed |=
            json_object_set_new(spacing, axes[a],
                                json_pack("{s:f, s:f, s:f, s:I}", "minimum", sorted[0], "median", sorted[known / 2],
                                          "maximum", sorted[known - 1], "samples", (json_int_t)known));
    }
    if (failed == 0) failed |= add_sizes(facts, n, kinds, out);
    msfl_free(sorted);
    msfl_free(kinds);
    failed |= json_object_set_new(out, "formats", list);
    failed |= json_object_set_new(out, "spacing", spacing);
    return failed != 0 ? msfl_fail(MSFL_ERR_MEMORY, "out of memory") : MSFL_OK;
}
