#include "data_facts.h"

#include "base/mem.h"
#include "base/sodium.h"
#include "base/tagged.h"

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

static int most_common_first(const void *a, const void *b) {
    const cli_kind_facts *x = a, *y = b;
    if (x->images != y->images) return x->images > y->images ? -1 : 1;
    return x->key < y->key ? -1 : x->key > y->key;
}

static msfl_status count_by(const msfl_dataset *set, uint64_t (*key_of)(const msfl_origin *), cli_kind_facts **out,
                            uint32_t *n_out) {
    uint32_t n = msfl_dataset_info_borrow(set)->n_images, kinds = 0;
    msfl_tagged *sorted = msfl_alloc(n, sizeof *sorted);
    if (sorted == NULL) return MSFL_ERR_MEMORY;
    for (uint32_t i = 0; i < n; i++) {
        msfl_origin o = msfl_dataset_origin(set, i);
        sorted[i] = (msfl_tagged){key_of(&o), msfl_dataset_label(set, i)};
    }
    msfl_tagged_sort(sorted, n);
    for (size_t i = 0; i < n; i = msfl_tagged_run(sorted, n, i))
        kinds++;
    *out = msfl_alloc(kinds, sizeof **out);
    for (size_t i = 0, end; i < n && *out != NULL; i = end) {
        end = msfl_tagged_run(sorted, n, i);
        (*out)[(*n_out)++] = (cli_kind_facts){sorted[i].key, (uint32_t)(end - i)};
    }
    msfl_free(sorted);
    if (*out == NULL) return MSFL_ERR_MEMORY;
    qsort(*out, *n_out, sizeof **out, most_common_first);
    return MSFL_OK;
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
    uint64_t *keys = msfl_alloc(n, sizeof *keys);
    uint32_t *labels = msfl_alloc(n, sizeof *labels);
    msfl_status status = keys == NULL || labels == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    for (uint32_t i = 0; i < n && status == MSFL_OK; i++)
        labels[i] = msfl_dataset_label(set, i);
    for (int t = 0; t < CLI_TRAITS && status == MSFL_OK; t++) {
        for (uint32_t i = 0; i < n; i++) {
            msfl_origin o = msfl_dataset_origin(set, i);
            keys[i] = traits[t].key_of(&o);
        }
        f->traits[t].name = traits[t].name;
        status = msfl_trait_judge(keys, labels, n, f->n_classes, &f->traits[t].is);
    }
    msfl_free(keys);
    msfl_free(labels);
    if (status == MSFL_OK) status = count_by(set, size_key, &f->sizes, &f->n_sizes);
    if (status == MSFL_OK) status = count_by(set, format_key, &f->formats, &f->n_formats);
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
    msfl_tagged *seen = msfl_alloc(info->n_images, sizeof *seen); /* patient and class */
    msfl_status status = visits == NULL || parts == NULL || seen == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    if (status == MSFL_OK) {
        for (uint32_t i = 0; i < info->n_images; i++) {
            uint32_t group = msfl_dataset_group(set, i);
            visits[group]++;
            parts[group] |= (uint8_t)(1u << msfl_dataset_origin(set, i).part);
            seen[i] = (msfl_tagged){group, msfl_dataset_label(set, i)};
        }
        msfl_tagged_sort(seen, info->n_images);
        for (uint32_t i = 0; i < info->n_images; i++)
            f->classes[seen[i].tag].patients +=
                i == 0 || seen[i].key != seen[i - 1].key || seen[i].tag != seen[i - 1].tag;
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
