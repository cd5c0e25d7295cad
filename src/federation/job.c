#include "federation/job.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "base/sodium.h"
#include "dataset/augment.h"
#include "dataset/deal.h"
#include "federation/config.h"
#include "federation/imported.h"
#include "text/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void forward(void *ctx, const msfl_event *event) {
    fed_job *job = ctx;
    pthread_mutex_lock(&job->observer_mutex);
    msfl_observe(job->options->observer, event);
    pthread_mutex_unlock(&job->observer_mutex);
}

static msfl_status load_sample(void *ctx, uint32_t i, uint64_t augment_seed, float *pixels, uint32_t *label) {
    const fed_samples *s = ctx;
    const fed_job *job = s->job;
    const uint32_t image = s->images[i];
    const uint16_t owner = job->owners == NULL ? 0 : job->owners[image];
    const msfl_shift *shift = owner == 0 ? NULL : &job->shifts[owner - 1];
    const msfl_augment *augment = augment_seed == 0 ? NULL : &s->augment;
    if (s->is_pixelwise) {
        return msfl_dataset_pixels_mask(job->dataset, image, shift, augment, augment_seed, pixels, label);
    }
    *label = msfl_dataset_label(job->dataset, image);
    return msfl_dataset_pixels_shifted(job->dataset, image, shift, augment, augment_seed, pixels);
}

msfl_samples fed_samples_of(const fed_job *job, const msfl_indices *images, fed_samples *storage) {
    storage->job = job;
    storage->images = images->at;
    storage->augment = job->augment;
    storage->is_pixelwise = msfl_model_info_borrow(job->model)->is_pixelwise;
    return (msfl_samples){.n = images->n, .ctx = storage, .load = load_sample};
}

/* --- rules that need no data --- */

job_rule fed_course_rule(const msfl_simulate_options *o) {
    return (job_rule){.n_rounds = o->n_rounds,
                      .patience = o->patience,
                      .plateau_patience = o->plateau_patience,
                      .plateau_factor = o->plateau_factor,
                      .learning_rate = o->train.learning_rate,
                      .schedule =
                          o->schedule != NULL && strcmp(o->schedule, job_schedule_words[JOB_SCHEDULE_LINEAR]) == 0
                              ? JOB_SCHEDULE_LINEAR
                              : JOB_SCHEDULE_CONSTANT,
                      .n_averaged = o->average_rounds,
                      .keeps_last = o->keep_last};
}

static msfl_status check_options(const msfl_simulate_options *o) {
    /* Options may come from config.json: nothing is taken for granted. */
    const msfl_scheme *scheme;
    msfl_status status = msfl_scheme_find(o->scheme == NULL ? "" : o->scheme, &scheme);
    if (status != MSFL_OK) return status;
    if (o->custody != NULL) {
        msfl_custody custody;
        status = msfl_custody_find(o->custody, &custody);
        if (status != MSFL_OK) return status;
        if (strcmp(msfl_scheme_name(scheme), "packed") != 0) {
            return msfl_fail(MSFL_ERR_USAGE, "scheme '%s' knows no custody: it is one of scheme 'packed'", o->scheme);
        }
    }
    if (o->delivery != NULL) {
        msfl_delivery delivery;
        status = msfl_delivery_find(o->delivery, &delivery);
        if (status != MSFL_OK) return status;
        if (strcmp(msfl_scheme_name(scheme), "packed") != 0) {
            return msfl_fail(MSFL_ERR_USAGE, "scheme '%s' knows no delivery: it is one of scheme 'packed'", o->scheme);
        }
    }
    if ((unsigned)o->normalise > MSFL_NORMALISE_NONE || (unsigned)o->train.optimizer > MSFL_ADAM ||
        o->compare > MSFL_COMPARE_ALL || o->n_bootstrap > MSFL_BOOTSTRAP_MAX ||
        !(o->plateau_factor > 0 && o->plateau_factor <= 1) || !(o->clip >= 0 && o->clip <= 1e6)) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "normalisation, optimiser, comparisons, bootstrap, plateau factor or clipping bound "
                         "out of range");
    }
    if (o->recipe == NULL && (o->labels != NULL || o->patient != NULL || o->masks != NULL)) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "--labels, --patient and --masks go with --recipe; without one, labels.csv is looked for "
                         "in the data folder and above it, and masks in .npz files");
    }
    if (o->opened != NULL && o->recipe != NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "images that are opened already and a recipe exclude each other");
    }
    if (o->central != NULL && o->shift != NULL && strcmp(o->shift, "none") != 0) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "scanners that differ by hospital make the central training another one for every number of "
                         "hospitals: it cannot be kept for several runs");
    }
    if (o->central != NULL && o->train.n_steps > 0) {
        return msfl_fail(
            MSFL_ERR_USAGE,
            "with so many steps a round the central training is another one for every number of hospitals: "
            "it cannot be kept for several runs");
    }
    if (o->n_clients < 2) {
        return msfl_fail(MSFL_ERR_USAGE, "a federation needs at least 2 hospitals, not %u: use --clients 3 or more",
                         o->n_clients);
    }
    if (o->n_clients > MSFL_SIMULATE_CLIENTS_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%u hospitals were asked for; one process simulates at most %d", o->n_clients,
                         MSFL_SIMULATE_CLIENTS_MAX);
    }
    if (o->n_clients == 2 && !o->allow_two_sites) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "with 2 hospitals each can subtract its own update from the sum and see the other's: use 3 or "
                         "more, or accept that with --allow-two-sites");
    }
    if (o->n_rounds < 1 || o->n_rounds > MSFL_SIMULATE_ROUNDS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "1 to %d rounds are possible, not %u", MSFL_SIMULATE_ROUNDS_MAX, o->n_rounds);
    }
    if (!(o->test_fraction > 0 && o->validation_fraction >= 0 && o->test_fraction + o->validation_fraction < 0.9)) {
        return msfl_fail(MSFL_ERR_USAGE, "test and validation fractions of %g and %g leave too little to train on",
                         o->test_fraction, o->validation_fraction);
    }
    if (o->train.batch < 1 || o->train.batch > 1024 || o->train.n_epochs < 1 || o->train.n_epochs > 1000) {
        return msfl_fail(MSFL_ERR_USAGE, "a batch of 1 to 1024 and 1 to 1000 local epochs are possible");
    }
    if (o->train.n_steps > 0 && o->train.n_epochs != 1) {
        return msfl_fail(MSFL_ERR_USAGE, "a round has either --local-steps or --local-epochs, not both");
    }
    if (!(o->logit_adjustment >= 0 && o->logit_adjustment <= 10) ||
        !(o->server_learning_rate > 0 && o->server_learning_rate <= 100)) {
        return msfl_fail(MSFL_ERR_USAGE, "a logit adjustment of 0 to 10 and a server's learning rate above 0 and up to "
                                         "100 are possible");
    }
    if (o->n_views < 1 || o->n_views > MSFL_VIEWS_MAX || (o->n_views > 1 && !o->augment)) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "1 to %d views of an image are possible, and more than one only with augmentation, "
                         "which is how they differ",
                         MSFL_VIEWS_MAX);
    }
    const job_rule course = fed_course_rule(o);
    msfl_status possible = job_rule_check(&course);
    if (possible != MSFL_OK) return msfl_fail_in(possible, "--average-rounds");
    if (o->average_rounds > 0 && o->norms != NULL && strcmp(o->norms, job_norms_words[JOB_NORMS_SHARED]) != 0) {
        return msfl_fail(MSFL_ERR_USAGE, "--average-rounds and --norms: layers that hospitals keep for themselves are "
                                         "in no mean");
    }
    bool known = o->schedule == NULL;
    for (int i = 0; !known && job_schedule_words[i] != NULL; i++)
        known = strcmp(o->schedule, job_schedule_words[i]) == 0;
    if (!known) {
        return msfl_fail(MSFL_ERR_USAGE, "there is no schedule '%.40s': constant, linear", o->schedule);
    }
    if (!(o->train.learning_rate > 0) || !isfinite(o->train.learning_rate)) {
        return msfl_fail(MSFL_ERR_USAGE, "the learning rate must be a positive number");
    }
    return MSFL_OK;
}

/* Words that a look-up or a parser judges: now, and not after hours of reading. */
static msfl_status check_words(const msfl_simulate_options *o) {
    msfl_shift shift;
    msfl_augment augment;
    msfl_status status = msfl_partition_check(o->partition);
    if (status == MSFL_OK) status = msfl_shift_draw(o->shift, 1, o->seed, &shift);
    if (status == MSFL_OK && o->augmentation != NULL) status = msfl_augment_parse(o->augmentation, &augment);
    return status;
}

/* --- the hospitals --- */

static msfl_status deal(fed_job *job) {
    const msfl_simulate_options *o = job->options;
    msfl_holding *holdings = msfl_alloc(o->n_clients, sizeof *holdings);
    job->hospitals = msfl_alloc(o->n_clients, sizeof *job->hospitals);
    msfl_status status = MSFL_ERR_MEMORY;
    if (holdings == NULL || job->hospitals == NULL) goto done;
    status = msfl_dataset_deal(job->dataset, &job->split, o->partition, o->n_clients, o->seed, holdings);
    if (status != MSFL_OK) goto done;
    job->n_hospitals = o->n_clients;
    uint32_t n_most = 1;
    for (uint32_t k = 0; k < o->n_clients; k++) {
        fed_hospital *h = &job->hospitals[k];
        snprintf(h->name, sizeof h->name, "hospital %u", k + 1);
        h->train = holdings[k].train;
        h->validation = holdings[k].validation;
        h->n_patients = holdings[k].n_patients;
        if (h->train.n > n_most) n_most = h->train.n;
    }
    for (job->n_samples_max = 1; job->n_samples_max < n_most;)
        job->n_samples_max *= 2;
    job->shifts = msfl_alloc(o->n_clients, sizeof *job->shifts);
    job->owners = msfl_alloc(msfl_dataset_info_borrow(job->dataset)->n_images, sizeof *job->owners);
    status = job->shifts == NULL || job->owners == NULL ? MSFL_ERR_MEMORY
                                                        : msfl_shift_draw(o->shift, o->n_clients, o->seed, job->shifts);
    for (uint32_t k = 0; k < o->n_clients && status == MSFL_OK; k++) {
        const fed_hospital *h = &job->hospitals[k];
        for (uint32_t i = 0; i < h->train.n; i++)
            job->owners[h->train.at[i]] = (uint16_t)(k + 1);
        for (uint32_t i = 0; i < h->validation.n; i++)
            job->owners[h->validation.at[i]] = (uint16_t)(k + 1);
    }
done:
    msfl_free(holdings);
    return status;
}

static msfl_status one_class(const msfl_dataset_info *info, msfl_model **out) {
    msfl_model_free(*out);
    *out = NULL;
    return msfl_fail(MSFL_ERR_DATA,
                     "%s: all images are of one class by %s: a network that tells images apart needs two", info->source,
                     info->label_key);
}

static msfl_status no_masks(const char *name, const msfl_dataset_info *info, uint32_t n_classes) {
    if (n_classes < 1) {
        return msfl_fail(MSFL_ERR_DATA,
                         "%s: %s gives a class to every pixel, and there are no masks beside the images: "
                         "docs/guide/data.md says how to name them, and resnet8 is a network that tells images apart",
                         info->source, name);
    }
    if (n_classes < 2) {
        return msfl_fail(MSFL_ERR_DATA, "%s: %s gives a class to every pixel, and all masks are empty", info->source,
                         name);
    }
    return msfl_fail(
        MSFL_ERR_DATA,
        "%s: %s gives a class to every pixel, and the masks have values up to %u; 0, the background, to %d are "
        "possible",
        info->source, name, n_classes - 1, MSFL_CLASSES_MAX - 1);
}

static uint32_t round_up(uint32_t side, uint32_t unit) {
    return (side + unit - 1) / unit * unit;
}

/* A network that does not take the images' sides: which it would take is found out by asking. */
static msfl_status fit(const char *name, const msfl_dataset_info *info, uint32_t n_classes, msfl_model **out) {
    msfl_status status =
        msfl_model_new_volume(name, info->depth, info->height, info->width, info->channels, n_classes, out);
    if (status != MSFL_ERR_MISMATCH) return status;
    char *reason = msfl_strdup(msfl_error_message());
    if (reason == NULL) return MSFL_NO_MEMORY;
    const bool volumes = info->depth > 1, fixed = volumes || info->recipe != NULL;
    for (uint32_t unit = 2; unit <= 64; unit *= 2) {
        uint32_t d = volumes ? round_up(info->depth, unit) : info->depth;
        uint32_t h = round_up(info->height, unit), w = round_up(info->width, unit);
        msfl_model *fits;
        if (!fixed) h = w = h > w ? h : w; /* --size makes squares */
        if (msfl_model_new_volume(name, d, h, w, info->channels, n_classes, &fits) != MSFL_OK) continue;
        msfl_model_free(fits);
        if (volumes) {
            status = msfl_fail(MSFL_ERR_MISMATCH, "%s; sides of %u x %u x %u would do: let the recipe make them",
                               reason, w, h, d);
        } else if (fixed) {
            status =
                msfl_fail(MSFL_ERR_MISMATCH, "%s; %u x %u pixels would do: let the recipe make them", reason, w, h);
        } else {
            status = msfl_fail(MSFL_ERR_MISMATCH, "%s; with --size %u it works", reason, h);
        }
        msfl_free(reason);
        return status;
    }
    status = msfl_fail(MSFL_ERR_MISMATCH, "%s", reason);
    msfl_free(reason);
    return status;
}

/* Input size and class count that model and data agree on, 0 where still open: the model decides where it says so. */
static msfl_status model_for_data(const char *name_or_path, const msfl_dataset *dataset, msfl_model **out) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(dataset);
    *out = NULL;
    if (info->n_classes > MSFL_CLASSES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s has %u classes; at most %d are possible", info->source, info->n_classes,
                         MSFL_CLASSES_MAX);
    }
    msfl_model *alone;
    bool is_pixelwise = false;
    msfl_status status = msfl_model_new(name_or_path, 0, 0, 0, 0, &alone);
    if (status == MSFL_OK) is_pixelwise = msfl_model_info_borrow(alone)->is_pixelwise;
    msfl_model_free(alone);
    /* A description whose own sides do not fit its layers may fit the data's. */
    if (status != MSFL_OK && status != MSFL_ERR_MISMATCH) return status;
    if (!is_pixelwise) {
        status = fit(name_or_path, info, info->n_classes < 2 ? 2 : info->n_classes, out);
        if (status != MSFL_OK || !msfl_model_info_borrow(*out)->is_pixelwise) {
            return status != MSFL_OK || info->n_classes >= 2 ? status : one_class(info, out);
        }
        msfl_model_free(*out);
        *out = NULL;
    }
    uint32_t n_classes = msfl_dataset_mask_classes(dataset);
    if (n_classes < 2 || n_classes > MSFL_CLASSES_MAX) return no_masks(name_or_path, info, n_classes);
    return fit(name_or_path, info, n_classes, out);
}

/* By a recipe: imported beside the run's folder, so that a run that is continued finds it done. */
static msfl_status import_data(fed_job *job) {
    const msfl_simulate_options *o = job->options;
    size_t n = strlen(o->out);
    while (n > 1 && o->out[n - 1] == '/')
        n--;
    job->imported = msfl_format("%.*s.set", (int)n, o->out);
    if (job->imported == NULL) return MSFL_ERR_MEMORY;
    const msfl_import_options i = FED_IMPORT_OPTIONS(o, job->imported, &job->observer);
    char *text = NULL;
    json_t *manifest = NULL;
    msfl_status status = msfl_import(&i, &text);
    if (status == MSFL_OK) status = msfl_json_parse("the manifest", text, strlen(text), SIZE_MAX, &manifest);
    for (size_t k = 0; status == MSFL_OK && k < json_array_size(json_object_get(manifest, "warnings")); k++) {
        const json_t *warning = json_array_get(json_object_get(manifest, "warnings"), k);
        msfl_observe_text(&job->observer, MSFL_EVENT_WARNING, "data", "%s", json_string_value(warning));
    }
    json_decref(manifest);
    msfl_text_free(text);
    return status;
}

/* The data is brought to the size that the user named, or else to the one that the model insists on, or else stays.
 * What was imported stays as its recipe made it. */
msfl_status fed_job_open(const msfl_simulate_options *o, const msfl_observer *observer, const char *path,
                         msfl_dataset **out) {
    msfl_dataset_options d = {.label = o->recipe != NULL ? NULL : o->label,
                              .key = o->data_key,
                              .width = o->size,
                              .height = o->size,
                              .channels = o->channels,
                              .normalise = o->normalise,
                              .refuse_bad = o->refuse_bad,
                              .seed = o->seed,
                              .phantom_images = o->phantom_images,
                              .n_threads = o->n_threads,
                              .observer = observer};
    if ((o->size == 0 || o->channels == 0) && !msfl_dataset_is_imported(path)) {
        msfl_model *alone;
        if (msfl_model_new(o->model, o->size, o->size, o->channels, 0, &alone) == MSFL_OK) {
            const msfl_model_info *m = msfl_model_info_borrow(alone);
            /* Masks are best left as they are. */
            if (o->size == 0 && !m->is_pixelwise) {
                d.height = m->height;
                d.width = m->width;
            }
            if (o->channels == 0 && !m->is_pixelwise) d.channels = m->channels;
            msfl_model_free(alone);
        }
    }
    return msfl_dataset_open(path, &d, out);
}

static msfl_status open_data(fed_job *job) {
    const msfl_simulate_options *o = job->options;
    if (o->opened != NULL) {
        job->dataset = o->opened;
        return MSFL_OK;
    }
    const char *path = o->data;
    msfl_status status = MSFL_OK;
    msfl_observe_text(&job->observer, MSFL_EVENT_PHASE, "data", "reading %s", o->data);
    if (o->recipe != NULL) {
        status = import_data(job);
        path = job->imported;
    }
    if (status == MSFL_OK) status = fed_job_open(o, &job->observer, path, &job->own_dataset);
    job->dataset = job->own_dataset;
    return status;
}

job_clip_rule fed_clip_rule(const fed_job *job) {
    return (job_clip_rule){.clip = job->options->clip,
                           .value_bits = job->options->value_bits,
                           .n_tensors = job->sent.n_tensors,
                           .counts = job->sent.counts,
                           .weight = job->sent.weight,
                           .n_values = job->sent.n_values};
}

const char fed_flips_warning[] =
    "Augmentation mirrors pictures, and no recipe says that left and right mean the same in them. Where they do not, a "
    "network learns from pictures that cannot be: import by a recipe with 'laterality: irrelevant', or leave the flips "
    "out.";

/* Options that not every network can take. */
static msfl_status check_model(fed_job *job) {
    const msfl_simulate_options *o = job->options;
    job->is_pixelwise = msfl_model_info_borrow(job->model)->is_pixelwise;
    bool focal = o->train.focal > 0, smooth = o->train.label_smoothing > 0;
    if ((focal && smooth) || (job->is_pixelwise && (focal || smooth))) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "focal loss and label smoothing exclude each other, and a network that gives a class "
                         "to every pixel takes neither");
    }
    if (job->is_pixelwise && o->balance) {
        return msfl_fail(MSFL_ERR_USAGE, "classes of images are balanced, and this network gives classes to pixels");
    }
    if (job->is_pixelwise && o->logit_adjustment > 0) {
        return msfl_fail(MSFL_ERR_USAGE, "logit adjustment is about classes of images, and this network gives classes "
                                         "to pixels");
    }
    if (job->is_pixelwise && o->n_views > 1) {
        return msfl_fail(MSFL_ERR_USAGE, "--views is for classes of images, and this network gives classes to pixels");
    }
    msfl_status status = job_sent_init(job->model, job->norms, &job->sent);
    if (status == MSFL_OK) status = job_aggregate_check(job->aggregate, &job->sent);
    if (status != MSFL_OK) return status;
    job->n_norms = job->norms == JOB_NORMS_SHARED ? 0 : job_norms_count(job->model);
    job->augment = msfl_augment_default();
    if (o->augmentation != NULL) {
        status = msfl_augment_parse(o->augmentation, &job->augment);
        if (status != MSFL_OK) return status;
    }
    job->augment.flip_horizontal = job->augment.flip_horizontal || o->flip_horizontal;
    if (o->n_views > 1 && !msfl_augment_changes(&job->augment))
        return msfl_fail(MSFL_ERR_USAGE, "--views with an augmentation that changes nothing: all views would be alike");
    const msfl_dataset_info *info = msfl_dataset_info_borrow(job->dataset);
    job->flips = o->augment && (job->augment.flip_horizontal || job->augment.flip_vertical);
    if (!job->flips) return MSFL_OK;
    if (info->laterality == MSFL_LATERALITY_UNSAID) {
        msfl_observe_text(&job->observer, MSFL_EVENT_WARNING, "data", "%s", fed_flips_warning);
    }
    return msfl_augment_allowed(&job->augment, info->laterality, info->source);
}

/* The job's public name: everything that decides what is computed. */
static void name_task(fed_job *job, const uint8_t config[MSFL_HASH_BYTES]) {
    /* How images were prepared belongs to the task as much as the network does. */
    const char *recipe = msfl_dataset_info_borrow(job->dataset)->recipe;
    msfl_hash h;
    uint8_t nonce[32];
    /* Fresh for every process: round ids, and with them the public polynomials, never repeat, not even when a killed
     * round is run again. */
    msfl_random_bytes(nonce, sizeof nonce);
    msfl_hash_init(&h, "msfl.task.v1");
    msfl_hash_add(&h, config, MSFL_HASH_BYTES);
    msfl_hash_add_field(&h, recipe == NULL ? "" : recipe, recipe == NULL ? 0 : strlen(recipe));
    msfl_hash_add(&h, nonce, sizeof nonce);
    msfl_hash_final(&h, job->task);
}

msfl_status fed_job_init(fed_job *job, const msfl_simulate_options *options) {
    job->options = options;
    pthread_mutex_init(&job->observer_mutex, NULL);
    job->observer = (msfl_observer){
        .observe = forward, .ctx = job, .cancel = options->observer == NULL ? NULL : options->observer->cancel};
    msfl_status status = check_options(options);
    if (status == MSFL_OK) status = check_words(options);
    if (status == MSFL_OK) status = job_norms_find(options->norms, &job->norms);
    if (status == MSFL_OK) {
        status = job_aggregate_find(options->aggregate == NULL ? "fedavg" : options->aggregate, &job->aggregate);
    }
    if (status != MSFL_OK) return status;
    status = open_data(job);
    if (status != MSFL_OK) return status;
    status = msfl_dataset_split(job->dataset, options->test_fraction, options->validation_fraction, options->seed,
                                &job->split);
    if (status != MSFL_OK) return status;
    status = deal(job);
    if (status != MSFL_OK) return status;
    status = model_for_data(options->model, job->dataset, &job->model);
    if (status != MSFL_OK) return status;
    status = check_model(job);
    if (status != MSFL_OK) return status;
    const msfl_model_info *info = msfl_model_info_borrow(job->model);
    job->initial = msfl_alloc(info->n_values, sizeof *job->initial);
    if (job->initial == NULL) return MSFL_ERR_MEMORY;
    msfl_model_init(job->model, options->seed, job->initial);
    status = msfl_scheme_find(options->scheme, &job->scheme);
    if (status == MSFL_OK && options->custody != NULL) status = msfl_custody_find(options->custody, &job->custody);
    if (status == MSFL_OK && options->delivery != NULL) status = msfl_delivery_find(options->delivery, &job->delivery);
    if (status != MSFL_OK) return status;
    job->encrypts = (msfl_scheme_traits(job->scheme) & MSFL_SCHEME_ENCRYPTS) != 0;
    uint8_t config[MSFL_HASH_BYTES];
    status = fed_config_hash(options, config);
    if (status != MSFL_OK) return status;
    name_task(job, config);
    return fed_workers_new(job->model, options->train.batch, options->n_threads, &job->workers);
}

void fed_job_clear(fed_job *job) {
    if (job->options == NULL) return;
    fed_workers_free(job->workers);
    fed_channel_clear(&job->updates);
    fed_channel_clear(&job->evaluation);
    msfl_free(job->initial);
    job_sent_clear(&job->sent);
    msfl_model_free(job->model);
    for (uint32_t k = 0; k < job->n_hospitals; k++) {
        msfl_indices_clear(&job->hospitals[k].train);
        msfl_indices_clear(&job->hospitals[k].validation);
    }
    msfl_free(job->hospitals);
    msfl_free(job->shifts);
    msfl_free(job->owners);
    msfl_free(job->imported);
    msfl_split_clear(&job->split);
    msfl_dataset_free(job->own_dataset);
    pthread_mutex_destroy(&job->observer_mutex);
    memset(job, 0, sizeof *job);
}
