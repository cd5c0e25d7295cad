#include "data_facts.h"

#include "base/mem.h"
#include "base/sodium.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORMATS = 6 };
static const char *const formats[FORMATS] = {"PNG", "JPEG", "array", "drawing", "DICOM", "NIfTI"};

static uint64_t size_key(const msfl_origin *o) {
    return (uint64_t)o->width << 32 | o->height;
}

static uint64_t format_number(const msfl_origin *o) {
    for (uint64_t i = 0; i < FORMATS; i++) {
        if (strcmp(o->format, formats[i]) == 0) return i;
    }
    return FORMATS;
}

static uint64_t format_key(const msfl_origin *o) {
    return format_number(o) << 16 | (uint64_t)o->bits << 8 | o->channels;
}

char *cli_size_text(uint64_t key, char text[64]) {
    snprintf(text, 64, "%u x %u", (unsigned)(key >> 32), (unsigned)key);
    return text;
}

char *cli_format_text(uint64_t key, char text[64]) {
    unsigned channels = key & 255;
    snprintf(text, 64, "%s, %u bits, %s", key >> 16 < FORMATS ? formats[key >> 16] : "file", (unsigned)(key >> 8 & 255),
             channels == 1   ? "grey"
             : channels == 3 ? "RGB"
                             : "RGB with alpha");
    return text;
}

/* An image with the value of one trait. */
typedef struct tagged {
    uint64_t key;
    uint32_t label;
} tagged;

static int by_key(const void *a, const void *b) {
    const tagged *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->label < y->label ? -1 : x->label > y->label;
}

static int most_common_first(const void *a, const void *b) {
    const cli_kind_facts *x = a, *y = b;
    if (x->images != y->images) return x->images > y->images ? -1 : 1;
    return x->key < y->key ? -1 : x->key > y->key;
}

static msfl_status tag(const msfl_dataset *set, uint64_t (*key_of)(const msfl_origin *), tagged **out) {
    uint32_t n = msfl_dataset_info_borrow(set)->n_images;
    *out = msfl_alloc(n, sizeof **out);
    if (*out == NULL) return MSFL_ERR_MEMORY;
    for (uint32_t i = 0; i < n; i++) {
        msfl_origin o = msfl_dataset_origin(set, i);
        (*out)[i] = (tagged){key_of(&o), msfl_dataset_label(set, i)};
    }
    qsort(*out, n, sizeof **out, by_key);
    return MSFL_OK;
}

static msfl_status count_kinds(const tagged *sorted, uint32_t n, cli_kind_facts **out, uint32_t *n_out) {
    uint32_t kinds = 0;
    for (uint32_t i = 0; i < n; i++)
        kinds += i == 0 || sorted[i].key != sorted[i - 1].key;
    *out = msfl_alloc(kinds, sizeof **out);
    if (*out == NULL) return MSFL_ERR_MEMORY;
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0 || sorted[i].key != sorted[i - 1].key) (*out)[(*n_out)++].key = sorted[i].key;
        (*out)[*n_out - 1].images++;
    }
    qsort(*out, *n_out, sizeof **out, most_common_first);
    return MSFL_OK;
}

/* Of the images with one value of the trait, how many have the class that most of the others with that value have? The
 * image itself does not count, so that values which occur once tell nothing. */
static uint32_t correct_in_run(const tagged *run, uint32_t n, uint32_t n_classes, uint32_t *count) {
    memset(count, 0, n_classes * sizeof *count);
    uint32_t best = 0, second = 0, best_class = 0;
    for (uint32_t i = 0; i < n; i++)
        count[run[i].label]++;
    for (uint32_t k = 0; k < n_classes; k++) {
        if (count[k] > best) {
            second = best;
            best = count[k];
            best_class = k;
        } else if (count[k] > second) {
            second = count[k];
        }
    }
    return best > second + 1 ? count[best_class] : 0;
}

static void judge(const tagged *sorted, uint32_t n, uint32_t n_classes, uint32_t *count, double guessing,
                  cli_trait_facts *out) {
    uint32_t correct = 0;
    for (uint32_t begin = 0, end; begin < n; begin = end) {
        for (end = begin + 1; end < n && sorted[end].key == sorted[begin].key;)
            end++;
        correct += correct_in_run(sorted + begin, end - begin, n_classes, count);
        out->n_values++;
    }
    out->accuracy = (double)correct / n;
    out->telling = out->n_values > 1 && out->accuracy - guessing > 0.3 * (1 - guessing);
}

static uint64_t bits_key(const msfl_origin *o) {
    return o->bits;
}

static uint64_t channels_key(const msfl_origin *o) {
    return o->channels;
}

static msfl_status count_traits(const msfl_dataset *set, cli_data_facts *f) {
    static const struct {
        const char *name;
        uint64_t (*key_of)(const msfl_origin *);
    } traits[CLI_TRAITS] = {{"image size", size_key},
                            {"file type", format_number},
                            {"bit depth", bits_key},
                            {"number of channels", channels_key}};
    uint32_t n = msfl_dataset_info_borrow(set)->n_images;
    uint32_t *count = msfl_alloc(f->n_classes, sizeof *count);
    msfl_status status = count == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    for (int i = 0; i < CLI_TRAITS && status == MSFL_OK; i++) {
        tagged *sorted;
        status = tag(set, traits[i].key_of, &sorted);
        if (status != MSFL_OK) break;
        f->traits[i].name = traits[i].name;
        judge(sorted, n, f->n_classes, count, f->guessing, &f->traits[i]);
        if (i == 0) status = count_kinds(sorted, n, &f->sizes, &f->n_sizes);
        msfl_free(sorted);
    }
    tagged *sorted = NULL;
    if (status == MSFL_OK) status = tag(set, format_key, &sorted);
    if (status == MSFL_OK) status = count_kinds(sorted, n, &f->formats, &f->n_formats);
    msfl_free(sorted);
    msfl_free(count);
    return status;
}

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static msfl_status count_patients(const msfl_dataset *set, cli_data_facts *f) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(set);
    uint32_t *visits = msfl_alloc(info->n_groups, sizeof *visits);
    uint8_t *parts = msfl_alloc(info->n_groups, 1);
    tagged *seen = msfl_alloc(info->n_images, sizeof *seen); /* patient and class */
    msfl_status status = visits == NULL || parts == NULL || seen == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    if (status == MSFL_OK) {
        for (uint32_t i = 0; i < info->n_images; i++) {
            uint32_t group = msfl_dataset_group(set, i);
            visits[group]++;
            parts[group] |= (uint8_t)(1u << msfl_dataset_origin(set, i).part);
            seen[i] = (tagged){group, msfl_dataset_label(set, i)};
        }
        qsort(seen, info->n_images, sizeof *seen, by_key);
        for (uint32_t i = 0; i < info->n_images; i++)
            f->classes[seen[i].label].patients += i == 0 || by_key(&seen[i], &seen[i - 1]) != 0;
        for (uint32_t g = 0; g < info->n_groups; g++)
            f->n_on_both_sides += (parts[g] & (parts[g] - 1)) != 0;
        qsort(visits, info->n_groups, sizeof *visits, by_number);
        f->visits_min = visits[0];
        f->visits_median = visits[info->n_groups / 2];
        f->visits_max = visits[info->n_groups - 1];
    }
    msfl_free(visits);
    msfl_free(parts);
    msfl_free(seen);
    return status;
}

/* A picture's hash and number. */
typedef struct print {
    uint8_t hash[MSFL_HASH_BYTES];
    uint32_t image;
} print;

static int by_hash(const void *a, const void *b) {
    const print *x = a, *y = b;
    int order = memcmp(x->hash, y->hash, sizeof x->hash);
    return order != 0 ? order : x->image < y->image ? -1 : x->image > y->image;
}

static msfl_status count_copies(const msfl_dataset *set, cli_data_facts *f) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(set);
    size_t bytes = (size_t)info->depth * info->width * info->height * info->channels;
    print *prints = msfl_alloc(info->n_images, sizeof *prints);
    uint8_t *pixels = msfl_alloc(bytes, 1);
    msfl_status status = prints == NULL || pixels == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    if (status == MSFL_OK) {
        for (uint32_t i = 0; i < info->n_images; i++) {
            msfl_hash h;
            msfl_dataset_preview(set, i, pixels);
            msfl_hash_init(&h, "msfl.copies.v1");
            msfl_hash_add(&h, pixels, bytes);
            msfl_hash_final(&h, prints[i].hash);
            prints[i].image = i;
        }
        qsort(prints, info->n_images, sizeof *prints, by_hash);
        for (uint32_t i = 1, first = 0; i < info->n_images; i++) {
            if (memcmp(prints[i].hash, prints[first].hash, MSFL_HASH_BYTES) != 0) {
                first = i;
                continue;
            }
            uint32_t a = prints[first].image, b = prints[i].image;
            f->n_copies++;
            f->n_copies_astray += msfl_dataset_group(set, a) != msfl_dataset_group(set, b);
            f->n_copies_at_odds += msfl_dataset_label(set, a) != msfl_dataset_label(set, b);
        }
    }
    msfl_free(prints);
    msfl_free(pixels);
    return status;
}

msfl_status cli_data_facts_new(const msfl_dataset *set, cli_data_facts *out) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(set);
    cli_data_facts f = {.n_classes = info->n_classes};
    f.classes = msfl_alloc(info->n_classes, sizeof *f.classes);
    if (f.classes == NULL) return MSFL_ERR_MEMORY;
    for (uint32_t i = 0; i < info->n_images; i++) {
        cli_class_facts *c = &f.classes[msfl_dataset_label(set, i)];
        c->images++;
        c->by_part[msfl_dataset_origin(set, i).part]++;
    }
    for (uint32_t k = 0; k < info->n_classes; k++) {
        double share = (double)f.classes[k].images / info->n_images;
        if (share > f.guessing) f.guessing = share;
    }
    msfl_status status = count_patients(set, &f);
    if (status == MSFL_OK) status = count_copies(set, &f);
    if (status == MSFL_OK) status = count_traits(set, &f);
    if (status != MSFL_OK) {
        cli_data_facts_clear(&f);
        return status;
    }
    *out = f;
    return MSFL_OK;
}

void cli_data_facts_clear(cli_data_facts *facts) {
    msfl_free(facts->classes);
    msfl_free(facts->sizes);
    msfl_free(facts->formats);
    memset(facts, 0, sizeof *facts);
}
