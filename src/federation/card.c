#include "medsecurefl/card.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/seeded.h"
#include "dataset/store.h"
#include "medsecurefl/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SHEET = 24, EACH_HOSPITAL = 7, HISTOGRAM_IMAGES_MAX = 500 };

typedef struct card {
    const msfl_card_options *o;
    msfl_dataset *set;
    json_t *out;
    uint8_t *pixels; /* of all pictures for the page */
    msfl_report_picture pictures[MSFL_REPORT_PICTURES_MAX];
    char names[MSFL_REPORT_PICTURES_MAX][32];
    size_t n_pictures;
    bool failed; /* out of memory */
} card;

static void put(card *c, json_t *object, const char *key, json_t *value) {
    c->failed |= json_object_set_new(object, key, value) != 0;
}

static msfl_status count_patients(const msfl_dataset *set, uint32_t class_index, uint32_t *seen, uint32_t *images,
                                  uint32_t *patients) {
    *images = *patients = 0;
    for (uint32_t i = 0; i < msfl_dataset_info_borrow(set)->n_images; i++) {
        if (msfl_dataset_label(set, i) != class_index) continue;
        uint32_t *mark = &seen[msfl_dataset_group(set, i)];
        ++*images;
        *patients += *mark != class_index + 1;
        *mark = class_index + 1;
    }
    return MSFL_OK;
}

static msfl_status put_classes(card *c) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(c->set);
    uint32_t *seen = msfl_alloc(info->n_groups, sizeof *seen);
    if (seen == NULL) return MSFL_NO_MEMORY;
    json_t *list = json_array();
    msfl_status status = MSFL_OK;
    for (uint32_t k = 0; k < info->n_classes && status == MSFL_OK; k++) {
        uint32_t images, patients;
        status = count_patients(c->set, k, seen, &images, &patients);
        c->failed |= json_array_append_new(list, json_pack("{s:o, s:i, s:i}", "name",
                                                           msfl_json_string(msfl_dataset_class_name(c->set, k)),
                                                           "images", (int)images, "patients", (int)patients)) != 0;
    }
    put(c, c->out, "classes", list);
    msfl_free(seen);
    return status;
}

static json_t *bins_json(const uint64_t *bins) {
    json_t *list = json_array();
    for (int i = 0; i < MSFL_HISTOGRAM_BINS; i++)
        json_array_append_new(list, json_integer((json_int_t)bins[i]));
    return list;
}

/* What the data are called where nobody said: the last two names of a folder's path, the last one of a file's. */
static void put_name(card *c) {
    const char *data = c->o->data;
    size_t end = strlen(data), slashes = msfl_is_folder(data) ? 2 : 1;
    if (c->o->name != NULL || msfl_dataset_info_borrow(c->set)->synthetic) {
        put(c, c->out, "name", msfl_json_string(c->o->name != NULL ? c->o->name : "phantom"));
        return;
    }
    while (end > 1 && data[end - 1] == '/')
        end--;
    size_t at = end;
    while (at > 0 && slashes > 0)
        slashes -= data[--at] == '/';
    at += data[at] == '/';
    char *name = msfl_strndup(data + at, end - at);
    c->failed |= name == NULL;
    put(c, c->out, "name", msfl_json_string(name));
    msfl_free(name);
}

static void put_basics(card *c) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(c->set);
    const msfl_intensity *m = msfl_dataset_intensity_borrow(c->set);
    put_name(c);
    put(c, c->out, "kind", json_string(info->kind));
    put(c, c->out, "synthetic", json_boolean(info->synthetic));
    put(c, c->out, "images", json_integer(info->n_images));
    put(c, c->out, "patients", json_integer(info->n_groups));
    put(c, c->out, "width", json_integer(info->width));
    put(c, c->out, "height", json_integer(info->height));
    if (info->depth > 1) put(c, c->out, "depth", json_integer(info->depth));
    put(c, c->out, "channels", json_integer(info->channels));
    put(c, c->out, "bits", json_integer(info->bits));
    put(c, c->out, "label_key", msfl_json_string(info->label_key));
    put(c, c->out, "patient_key", msfl_json_string(info->group_key));
    put(c, c->out, "intensity",
        json_pack("{s:f, s:f, s:f, s:f, s:o}", "minimum", m->minimum, "maximum", m->maximum, "mean", m->mean,
                  "deviation", m->deviation, "histogram", bins_json(m->histogram)));
}

/* What the import found out about the files, which are no longer at hand. */
static msfl_status put_import(card *c) {
    static const char *const keys[] = {"recipe", "recipe_hash", "range",     "samples",  "patients",
                                       "source", "near_copies", "traits",    "warnings", "clipped_share",
                                       "masks",  "sealed",      "laterality"};
    json_t *m = NULL;
    msfl_status status = msfl_store_manifest(c->o->data, &m);
    if (status != MSFL_OK) return status;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_t *v = json_object_get(m, keys[i]);
        if (v != NULL) put(c, c->out, keys[i], json_incref(v));
    }
    json_t *name = json_object_get(m, "name");
    if (c->o->name == NULL && json_is_string(name)) put(c, c->out, "name", json_incref(name));
    json_decref(m);
    return MSFL_OK;
}

/* Of files that were read directly: sizes and formats. */
static void put_origins(card *c) {
    enum { KINDS = 64 };
    const msfl_dataset_info *info = msfl_dataset_info_borrow(c->set);
    struct {
        msfl_origin o;
        uint32_t n;
    } kinds[KINDS];
    size_t n = 0;
    json_t *source = json_object(), *formats = json_object(), *sizes = json_array(), *warnings = json_array();
    for (uint32_t i = 0; i < info->n_images; i++) {
        msfl_origin o = msfl_dataset_origin(c->set, i);
        size_t k = 0;
        while (k < n && (kinds[k].o.width != o.width || kinds[k].o.height != o.height))
            k++;
        if (k == n && n < KINDS) {
            kinds[n].o = o;
            kinds[n++].n = 0;
        }
        if (k < n) kinds[k].n++;
        json_int_t before = json_integer_value(json_object_get(formats, o.format));
        put(c, formats, o.format, json_integer(before + 1));
    }
    for (size_t k = 0; k < n && k < 12; k++) {
        char text[40];
        snprintf(text, sizeof text, "%u x %u", kinds[k].o.width, kinds[k].o.height);
        c->failed |=
            json_array_append_new(sizes, json_pack("{s:s, s:i}", "size", text, "samples", (int)kinds[k].n)) != 0;
    }
    put(c, source, "formats", formats);
    put(c, source, "sizes", sizes);
    put(c, source, "skipped", json_integer(info->n_skipped));
    put(c, source, "ignored", json_integer(info->n_ignored));
    put(c, c->out, "source", source);
    if (info->group_key == NULL) {
        c->failed |=
            json_array_append_new(warnings, json_string("no patient key: images of one patient may end up on both "
                                                        "sides of a split")) != 0;
    }
    put(c, c->out, "warnings", warnings);
}

/* --- pictures for the page --- */

static msfl_status add_picture(card *c, uint32_t image, const char *hospital, const msfl_shift *shift) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(c->set);
    size_t pixels = (size_t)info->width * info->height;
    if (c->n_pictures == MSFL_REPORT_PICTURES_MAX) return MSFL_OK;
    uint8_t *at = c->pixels + c->n_pictures * info->depth * pixels * info->channels;
    msfl_status status = msfl_dataset_preview_shifted(c->set, image, shift, at);
    at += info->depth / 2 * pixels * info->channels; /* a volume's middle slice */
    uint32_t shown = msfl_dataset_shown(info, at);
    char *name = c->names[c->n_pictures];
    if (hospital != NULL) snprintf(name, sizeof c->names[0], "%s", hospital);
    c->pictures[c->n_pictures++] =
        (msfl_report_picture){.pixels = at,
                              .width = info->width,
                              .height = info->height,
                              .channels = shown,
                              .name = hospital != NULL ? name : NULL,
                              .truth = msfl_dataset_class_name(c->set, msfl_dataset_label(c->set, image)),
                              .probability = NAN};
    return status;
}

/* `wanted` images of `list`, classes taking turns. */
static msfl_status add_some(card *c, const msfl_indices *list, uint32_t wanted, const char *hospital,
                            const msfl_shift *shift, uint64_t stream) {
    const uint32_t n_classes = msfl_dataset_info_borrow(c->set)->n_classes;
    uint32_t *order = msfl_alloc(list->n, sizeof *order), taken = 0;
    if (order == NULL) return MSFL_NO_MEMORY;
    memcpy(order, list->at, list->n * sizeof *order);
    msfl_seeded g;
    msfl_seeded_init(&g, c->o->seed, "card", stream, 0, 0);
    msfl_seeded_shuffle(&g, order, list->n);
    msfl_status status = MSFL_OK;
    for (uint32_t round = 0; taken < wanted && round < wanted && status == MSFL_OK; round++) {
        for (uint32_t k = 0; k < n_classes && taken < wanted && status == MSFL_OK; k++) {
            uint32_t seen = 0;
            for (uint32_t i = 0; i < list->n; i++) {
                if (msfl_dataset_label(c->set, order[i]) != k || seen++ != round) continue;
                status = add_picture(c, order[i], hospital, shift);
                taken++;
                break;
            }
        }
    }
    msfl_free(order);
    return status;
}

/* --- hospitals --- */

static msfl_status measure(const card *c, const msfl_indices *list, const msfl_shift *shift, uint64_t *bins) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(c->set);
    size_t n = (size_t)info->depth * info->width * info->height * info->channels;
    uint8_t *pixels = msfl_alloc(n, 1);
    if (pixels == NULL) return MSFL_NO_MEMORY;
    uint32_t step = list->n / HISTOGRAM_IMAGES_MAX + 1;
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < list->n && status == MSFL_OK; i += step) {
        status = msfl_dataset_preview_shifted(c->set, list->at[i], shift, pixels);
        for (size_t k = 0; k < n; k++)
            bins[pixels[k] * MSFL_HISTOGRAM_BINS / 256]++;
    }
    msfl_free(pixels);
    return status;
}

static msfl_status put_hospital(card *c, uint32_t k, const msfl_indices *list, const msfl_shift *shift,
                                json_t *hospitals) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(c->set);
    uint64_t bins[MSFL_HISTOGRAM_BINS] = {0};
    uint8_t *seen = msfl_alloc(info->n_groups, 1);
    if (seen == NULL) return MSFL_NO_MEMORY;
    uint32_t patients = 0;
    json_t *counts = json_array();
    for (uint32_t class_index = 0; class_index < info->n_classes; class_index++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < list->n; i++) {
            if (msfl_dataset_label(c->set, list->at[i]) != class_index) continue;
            uint8_t *mark = &seen[msfl_dataset_group(c->set, list->at[i])];
            n++;
            patients += *mark == 0;
            *mark = 1;
        }
        c->failed |= json_array_append_new(counts, json_integer(n)) != 0;
    }
    msfl_free(seen);
    char name[32];
    snprintf(name, sizeof name, "hospital %u", k + 1);
    msfl_status status = measure(c, list, shift, bins);
    json_t *one = json_pack("{s:s, s:i, s:i, s:o, s:o}", "name", name, "images", (int)list->n, "patients",
                            (int)patients, "counts", counts, "histogram", bins_json(bins));
    if (c->o->shift != NULL) {
        put(c, one, "shift",
            json_pack("{s:f, s:f, s:f, s:f}", "gamma", (double)shift->gamma, "blur", (double)shift->blur, "noise",
                      (double)shift->noise, "resolution", (double)shift->resolution));
    }
    c->failed |= json_array_append_new(hospitals, one) != 0;
    if (status == MSFL_OK && c->o->html != NULL && list->n > 0) {
        uint32_t room = (MSFL_REPORT_PICTURES_MAX - SHEET) / c->o->n_clients;
        status = add_some(c, list, room < EACH_HOSPITAL ? room : EACH_HOSPITAL, name, shift, k + 1);
    }
    return status;
}

static msfl_status put_hospitals(card *c, const msfl_indices *all) {
    enum { CLIENTS_MAX = 1000 };
    const msfl_card_options *o = c->o;
    if (o->n_clients == 0) return MSFL_OK;
    if (o->n_clients > CLIENTS_MAX) return msfl_fail(MSFL_ERR_USAGE, "1 to %d hospitals are possible", CLIENTS_MAX);
    msfl_indices *dealt = msfl_alloc(o->n_clients, sizeof *dealt);
    msfl_shift *shifts = msfl_alloc(o->n_clients, sizeof *shifts);
    json_t *hospitals = json_array();
    const char *partition = o->partition != NULL ? o->partition : "iid";
    msfl_status status = dealt == NULL || shifts == NULL || hospitals == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status == MSFL_OK) status = msfl_shift_draw(o->shift, o->n_clients, o->seed, shifts);
    if (status == MSFL_OK) status = msfl_dataset_partition(c->set, all, partition, o->n_clients, 0, o->seed, dealt);
    for (uint32_t k = 0; k < o->n_clients && status == MSFL_OK; k++)
        status = put_hospital(c, k, &dealt[k], &shifts[k], hospitals);
    put(c, c->out, "partition", json_string(partition));
    put(c, c->out, "shift", msfl_json_string(o->shift));
    put(c, c->out, "hospitals", hospitals);
    for (uint32_t k = 0; k < o->n_clients && dealt != NULL; k++)
        msfl_indices_clear(&dealt[k]);
    msfl_free(dealt);
    msfl_free(shifts);
    return status;
}

static msfl_status fill(card *c) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(c->set);
    msfl_indices all = {msfl_alloc(info->n_images, sizeof *all.at), info->n_images};
    c->pixels = msfl_alloc(MSFL_REPORT_PICTURES_MAX, (size_t)info->depth * info->width * info->height * info->channels);
    msfl_status status = all.at == NULL || c->pixels == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    for (uint32_t i = 0; i < all.n && status == MSFL_OK; i++)
        all.at[i] = i;
    if (status == MSFL_OK) {
        put_basics(c);
        status = put_classes(c);
    }
    if (status == MSFL_OK && strcmp(info->kind, "imported") == 0) {
        status = put_import(c);
    } else if (status == MSFL_OK) {
        put_origins(c);
    }
    if (status == MSFL_OK && c->o->html != NULL) status = add_some(c, &all, SHEET, NULL, NULL, 0);
    if (status == MSFL_OK) status = put_hospitals(c, &all);
    if (status == MSFL_OK && c->failed) status = msfl_fail(MSFL_ERR_MEMORY, "out of memory");
    msfl_indices_clear(&all);
    return status;
}

msfl_status msfl_card(const msfl_card_options *o, char **json) {
    card c = {.o = o, .out = json_object()};
    char *text = NULL;
    if (json != NULL) *json = NULL;
    msfl_status status = c.out == NULL ? MSFL_NO_MEMORY : msfl_dataset_open(o->data, &o->dataset, &c.set);
    if (status == MSFL_OK) status = fill(&c);
    if (status == MSFL_OK) status = msfl_json_text(c.out, false, &text);
    if (status == MSFL_OK && o->html != NULL) {
        status = msfl_card_write(o->html, text, strlen(text), c.pictures, c.n_pictures);
    }
    if (status == MSFL_OK && json != NULL) {
        *json = text;
        text = NULL;
    }
    msfl_free(text);
    msfl_free(c.pixels);
    msfl_dataset_free(c.set);
    json_decref(c.out);
    return status;
}
