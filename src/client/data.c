#include "client/data.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "dataset/store.h"

#include <string.h>

void client_data_clear(client_data *d) {
    msfl_free(d->label);
    msfl_indices_clear(&d->test);
    msfl_holding_clear(&d->holding);
    msfl_split_clear(&d->split);
    msfl_dataset_free(d->dataset);
    memset(d, 0, sizeof *d);
}

static msfl_normalise normalise_of(const char *word) {
    if (strcmp(word, "set") == 0) return MSFL_NORMALISE_SET;
    return strcmp(word, "none") == 0 ? MSFL_NORMALISE_NONE : MSFL_NORMALISE_IMAGE;
}

/* Which class it is stays here: what is wrong may be told to others. */
static msfl_status foreign_class(const job_spec *spec, const char *source) {
    msfl_buffer list = {0};
    for (uint32_t i = 0; i < spec->n_classes && list.length < 300; i++)
        msfl_put_text(&list, "%s%.64s", i > 0 ? ", " : "", spec->classes[i]);
    msfl_put8(&list, 0);
    msfl_status status = list.status;
    if (status == MSFL_OK) {
        status =
            msfl_fail(MSFL_ERR_MISMATCH,
                      "%s has a class that is none of the job's (%s): 'medsecurefl data inspect --data' on it shows "
                      "which; import it again with the job's words for its classes, or without that one",
                      source, (const char *)list.bytes);
    }
    msfl_buffer_clear(&list);
    return status;
}

/* Classes are numbered by the job: a hospital that has never seen one of them would number its own otherwise. */
static msfl_status map_labels(const job_shape *shape, client_data *d) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(d->dataset);
    const job_spec *spec = shape->spec;
    const uint32_t n_classes = shape->model != NULL ? msfl_model_info_borrow(shape->model)->n_classes : info->n_classes;
    d->label = msfl_alloc(info->n_classes, sizeof *d->label);
    if (d->label == NULL) return MSFL_NO_MEMORY;
    if (spec->n_classes == 0 && info->n_classes != n_classes) {
        return msfl_fail(MSFL_ERR_MISMATCH,
                         "%s has %u classes and the job's network %u: a job that names its classes can be joined by "
                         "hospitals that have not all of them",
                         info->source, info->n_classes, n_classes);
    }
    for (uint32_t i = 0; i < info->n_classes; i++) {
        const char *name = msfl_dataset_class_name(d->dataset, i);
        uint32_t k = 0;
        while (k < spec->n_classes && strcmp(spec->classes[k], name) != 0)
            k++;
        if (spec->n_classes > 0 && k == spec->n_classes) {
            return foreign_class(spec, info->source);
        }
        d->label[i] = spec->n_classes > 0 ? k : i;
    }
    return MSFL_OK;
}

/* Classes of pixels have numbers and no names in a set: they are the job's, in its order. */
static msfl_status check_masks(const job_shape *shape, const client_site *site, const msfl_dataset *dataset) {
    const msfl_model_info *m = msfl_model_info_borrow(shape->model);
    if (!msfl_dataset_info_borrow(dataset)->has_masks) {
        return msfl_fail(
            MSFL_ERR_DATA,
            "%s: no masks of %u x %u pixels, which the job's network learns from: 'medsecurefl data import "
            "--masks' makes sets with masks, of the size that its recipe names",
            site->path, m->height, m->width);
    }
    const uint32_t n = msfl_dataset_mask_classes(dataset);
    if (n <= m->n_classes) return MSFL_OK;
    return msfl_fail(MSFL_ERR_MISMATCH, "%s: its masks have values up to %u, the job's network knows 0 to %u",
                     site->path, n - 1, m->n_classes - 1);
}

static msfl_status take_share(const client_site *site, client_data *d) {
    const client_share *s = &site->share;
    if (s->of == 0) {
        msfl_status status = msfl_dataset_hold_all(d->dataset, &d->split, &d->holding);
        return status == MSFL_OK ? msfl_dataset_take_turns(d->dataset, &d->split.test, 1, 0, &d->test) : status;
    }
    msfl_holding *all = msfl_alloc(s->of, sizeof *all);
    if (all == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_dataset_deal(d->dataset, &d->split, s->partition, s->of, s->seed, all);
    for (uint32_t i = 0; i < s->of; i++) {
        if (status == MSFL_OK && i == s->index) {
            d->holding = all[i];
        } else {
            msfl_holding_clear(&all[i]);
        }
    }
    msfl_free(all);
    return status == MSFL_OK ? msfl_dataset_take_turns(d->dataset, &d->split.test, s->of, s->index, &d->test) : status;
}

/* A job that names a recipe is for images that were made by it, and no others. The message may be told to others: it
 * names nothing of this hospital. */
static msfl_status same_recipe(const job_spec *spec, const char *recipe) {
    static const uint8_t any[MSFL_HASH_BYTES];
    if (memcmp(spec->recipe, any, sizeof any) == 0) return MSFL_OK;
    char wanted[2 * MSFL_HASH_BYTES + 1];
    msfl_hex(spec->recipe, sizeof spec->recipe, wanted);
    if (recipe != NULL && strcmp(recipe, wanted) == 0) return MSFL_OK;
    return msfl_fail(MSFL_ERR_POLICY,
                     "the images here were %s; the job asks for recipe %s: import them by it with 'medsecurefl data "
                     "import'",
                     recipe == NULL ? "not imported by a recipe" : "imported by another recipe", wanted);
}

msfl_status client_data_accepts(const client_site *site, const job_spec *spec) {
    json_t *manifest = NULL;
    if (site->trainer.n_command > 0 || site->path == NULL) return MSFL_OK;
    if (!msfl_store_is_set(site->path)) return same_recipe(spec, NULL);
    if (msfl_store_manifest(site->path, &manifest) != MSFL_OK) return MSFL_OK; /* opening it will say what is wrong */
    msfl_status status = same_recipe(spec, json_string_value(json_object_get(manifest, "recipe_hash")));
    json_decref(manifest);
    return status;
}

msfl_status client_data_permits(const client_site *site, const job_spec *spec) {
    msfl_augment augment;
    msfl_laterality laterality = MSFL_LATERALITY_UNSAID;
    msfl_status status = job_spec_augment(spec, &augment);
    if (status != MSFL_OK || !spec->train.augment || (!augment.flip_horizontal && !augment.flip_vertical))
        return status;
    if (site->path != NULL) status = msfl_dataset_laterality(site->path, &laterality);
    if (status != MSFL_OK) return status;
    /* What the recipe says counts; in data without one, what this hospital's operator says. The path stays here. */
    if (laterality == MSFL_LATERALITY_UNSAID) laterality = site->laterality;
    if (laterality == MSFL_LATERALITY_UNSAID) {
        return msfl_fail(
            MSFL_ERR_POLICY,
            "the job mirrors pictures (flips), and nothing says that left and right mean the same here: import by "
            "a recipe with 'laterality: irrelevant', or say that under data in site.yaml");
    }
    return msfl_augment_allowed(&augment, laterality, "this hospital's pictures");
}

static msfl_status split(const client_site *site, const job_spec *spec, uint32_t multiple_of, uint64_t seed,
                         client_data *d) {
    if (multiple_of <= 1) {
        return msfl_dataset_split(d->dataset, spec->test_fraction, spec->validation_fraction, seed, &d->split);
    }
    msfl_indices kept = {0};
    if (site->share.of > 0) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "multiple_of in policy.yaml is for data that are this hospital's own, not a share");
    }
    msfl_status status = msfl_dataset_keep_multiple(d->dataset, multiple_of, &kept);
    if (status == MSFL_OK && kept.n == 0) {
        status =
            msfl_fail(MSFL_ERR_DATA, "%s: fewer images than multiple_of in policy.yaml, %u", site->path, multiple_of);
    }
    if (status == MSFL_OK) {
        status = msfl_dataset_split_among(d->dataset, &kept, spec->test_fraction, spec->validation_fraction, seed,
                                          &d->split);
    }
    msfl_indices_clear(&kept);
    return status;
}

msfl_status client_data_open(const client_site *site, const job_shape *shape, uint32_t multiple_of,
                             const msfl_observer *observer, client_data *out) {
    const job_spec *spec = shape->spec;
    *out = (client_data){0};
    msfl_status status = job_spec_augment(spec, &out->augment);
    if (status == MSFL_OK) status = client_data_permits(site, spec);
    if (status != MSFL_OK) return status;
    if (site->path == NULL) return msfl_fail(MSFL_ERR_MISSING, "site.yaml names no data: add data with a path");
    const uint64_t seed = site->share.of > 0 ? site->share.seed : spec->seed;
    msfl_dataset_options o = {.label = site->label,
                              .normalise = normalise_of(spec->normalise),
                              .refuse_bad = site->refuse_bad,
                              .seed = seed,
                              .phantom_images = site->phantom_images,
                              .n_threads = site->n_threads,
                              .observer = observer,
                              .key = site->key};
    if (shape->model != NULL) {
        const msfl_model_info *m = msfl_model_info_borrow(shape->model);
        o.width = m->width;
        o.height = m->height;
        o.channels = m->channels;
    }
    status = msfl_dataset_open(site->path, &o, &out->dataset);
    const uint32_t depth = shape->model != NULL ? msfl_model_info_borrow(shape->model)->depth : 0;
    if (status == MSFL_OK && depth != 0 && msfl_dataset_info_borrow(out->dataset)->depth != depth) {
        status = msfl_fail(MSFL_ERR_MISMATCH, "%s holds images of %u slices, and the job's network takes %u",
                           site->path, msfl_dataset_info_borrow(out->dataset)->depth, depth);
    }
    if (status == MSFL_OK) status = same_recipe(spec, msfl_dataset_info_borrow(out->dataset)->recipe);
    if (status == MSFL_OK) {
        status = shape->n_structures > 0 ? check_masks(shape, site, out->dataset) : map_labels(shape, out);
    }
    if (status == MSFL_OK) {
        status = split(site, spec, multiple_of, seed, out);
    }
    if (status == MSFL_OK) status = take_share(site, out);
    if (status == MSFL_OK && out->holding.train.n == 0) {
        status = msfl_fail(MSFL_ERR_DATA, "%s: no image is left to train on", site->path);
    }
    if (status == MSFL_OK && out->holding.train.n > spec->samples_max) {
        status = msfl_fail(MSFL_ERR_LIMIT, "%s: %u images to train on, the job takes at most %llu of one hospital",
                           site->path, out->holding.train.n, (unsigned long long)spec->samples_max);
    }
    if (status != MSFL_OK) client_data_clear(out);
    return status;
}

static msfl_status load(void *ctx, uint32_t i, uint64_t augment_seed, float *pixels, uint32_t *label) {
    const client_samples *s = ctx;
    const client_data *d = s->data;
    const msfl_augment *augment = augment_seed == 0 ? NULL : &d->augment;
    if (d->label == NULL) {
        return msfl_dataset_pixels_mask(d->dataset, s->images[i], NULL, augment, augment_seed, pixels, label);
    }
    *label = d->label[msfl_dataset_label(d->dataset, s->images[i])];
    return msfl_dataset_pixels(d->dataset, s->images[i], augment, augment_seed, pixels);
}

msfl_samples client_samples_of(const client_data *data, const msfl_indices *images, client_samples *storage) {
    *storage = (client_samples){data, images->at};
    return (msfl_samples){.n = images->n, .ctx = storage, .load = load};
}
