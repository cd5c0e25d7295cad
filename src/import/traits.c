#include "import/traits.h"

#include "base/error.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct tagged {
    uint64_t key;
    uint32_t label;
} tagged;

static int by_key(const void *a, const void *b) {
    const tagged *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->label < y->label ? -1 : x->label > y->label;
}

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

/* Right predictions among the samples of one value, each from the others: a value that occurs once tells nothing. */
static uint32_t correct_in(const tagged *run, size_t n, uint32_t n_classes, uint32_t *count) {
    memset(count, 0, n_classes * sizeof *count);
    uint32_t best = 0, second = 0;
    for (size_t i = 0; i < n; i++)
        count[run[i].label]++;
    for (uint32_t k = 0; k < n_classes; k++) {
        if (count[k] > best) {
            second = best;
            best = count[k];
        } else if (count[k] > second) {
            second = count[k];
        }
    }
    return best > second + 1 ? best : 0;
}

static double guessing_of(const uint32_t *labels, size_t n, uint32_t n_classes, uint32_t *count) {
    uint32_t most = 0;
    memset(count, 0, n_classes * sizeof *count);
    for (size_t i = 0; i < n; i++)
        count[labels[i]]++;
    for (uint32_t k = 0; k < n_classes; k++)
        most = count[k] > most ? count[k] : most;
    return n == 0 ? 0 : (double)most / (double)n;
}

msfl_status msfl_traits_judge(const msfl_facts *facts, const uint32_t *labels, size_t n, uint32_t n_classes,
                              json_t *traits, json_t *warnings) {
    static const struct {
        const char *name;
        uint64_t (*key_of)(const msfl_facts *);
    } list[] = {{"image size", size_key},   {"file type", format_key}, {"bit depth", bits_key},
                {"channels", channels_key}, {"spacing", spacing_key},  {"scanner", scanner_key}};
    tagged *all = msfl_alloc(n, sizeof *all);
    uint32_t *count = msfl_alloc(n_classes, sizeof *count);
    msfl_status status = all == NULL || count == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    double guessing = status == MSFL_OK ? guessing_of(labels, n, n_classes, count) : 0;
    for (size_t t = 0; t < sizeof list / sizeof list[0] && status == MSFL_OK && n > 0; t++) {
        for (size_t i = 0; i < n; i++)
            all[i] = (tagged){list[t].key_of(&facts[i]), labels[i]};
        qsort(all, n, sizeof *all, by_key);
        uint32_t correct = 0, values = 0;
        for (size_t begin = 0, end; begin < n; begin = end) {
            for (end = begin + 1; end < n && all[end].key == all[begin].key;)
                end++;
            correct += correct_in(all + begin, end - begin, n_classes, count);
            values++;
        }
        double accuracy = (double)correct / (double)n;
        bool telling = values > 1 && accuracy - guessing > 0.3 * (1 - guessing);
        int failed = json_array_append_new(traits, json_pack("{s:s, s:i, s:f, s:b}", "trait", list[t].name, "values",
                                                             (int)values, "accuracy", accuracy, "telling", telling));
        if (telling) {
            char text[300];
            snprintf(text, sizeof text,
                     "the class can be told from the %s of the files alone in %.1f %% of the samples (the most common "
                     "class: %.1f %%): a network may learn that instead of the disease",
                     list[t].name, 100 * accuracy, 100 * guessing);
            failed |= json_array_append_new(warnings, json_string(text));
        }
        if (failed != 0) status = msfl_fail(MSFL_ERR_MEMORY, "out of memory");
    }
    msfl_free(all);
    msfl_free(count);
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
